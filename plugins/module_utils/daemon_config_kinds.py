# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines whose configuration can be merged into, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_json as json_
from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_toml as toml
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import Path
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_checks import (
    Finding,
    check,
    unknown_keys,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_keys import action_for, collisions
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import DOCKERD, Daemon
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml_values import unfit
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_validate import (
    validate_containerd,
    validate_docker,
    validate_podman,
)

Which = Callable[[str], Optional[str]]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """How a file is written.

    :param parse: values of a text; also given the file's path for messages.
    :param rewrite: a text with its values changed to others; also given the path.
    :param unfit: why a single value cannot be written, or an empty string.
    """

    parse: Callable[[str, str], dict[str, Any]]
    rewrite: Callable[[str, Values, str], str]
    unfit: Callable[[Any], str]


JSON = Format(json_.parse, json_.rewrite, json_.unfit)
TOML = Format(toml.parse, toml.rewrite, unfit)


@dataclass(frozen=True)
class Kind:
    """One engine.

    :param path: its file, where nobody says otherwise.
    :param address: where it answers, likewise.
    :param checker: the program whose own check ``validate`` asks.
    :param validate: that check; see daemon_config_validate.
    :param check: mistakes in a whole configuration that the engine's own check lets pass.
    :param unknown_keys: keys that the engine may not know.
    :param collisions: keys that exclude a flag of a command line: key to flag.
    :param action_for: what makes the engine take changed keys: ``none``, ``reload`` or ``restart``.
    """

    path: str
    format: Format
    daemon: Daemon
    service: str
    address: str
    checker: str
    validate: Callable[[str, str, str], tuple[str, str]]
    action_for: Callable[[Values, Values, Sequence[Path]], str]
    check: Callable[[Values, Which], list[Finding]]
    unknown_keys: Callable[[Values], list[Finding]]
    collisions: Callable[[Values, Sequence[str]], dict[str, str]]


def _containerd_config_file_of(argv: Sequence[str]) -> str:
    for number, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name in ("--config", "-config", "-c", "--c"):
            return value if equals else "".join(argv[number + 1 : number + 2])
    return "/etc/containerd/config.toml"


def _restart_for_all(before: Values, after: Values, changed: Sequence[Path]) -> str:
    return "restart" if changed else "none"


def _no_findings(config: Values, which: Optional[Which] = None) -> list[Finding]:
    return []


def _no_collisions(config: Values, argv: Sequence[str]) -> dict[str, str]:
    return {}


KINDS = {
    "docker": Kind(
        path="/etc/docker/daemon.json",
        format=JSON,
        daemon=DOCKERD,
        service="docker",
        address="unix:///var/run/docker.sock",
        checker="dockerd",
        validate=validate_docker,
        action_for=action_for,
        check=check,
        unknown_keys=unknown_keys,
        collisions=collisions,
    ),
    "containerd": Kind(
        path="/etc/containerd/config.toml",
        format=TOML,
        daemon=Daemon("containerd", _containerd_config_file_of),
        service="containerd",
        address="unix:///run/containerd/containerd.sock",
        checker="containerd",
        validate=validate_containerd,
        action_for=_restart_for_all,
        check=_no_findings,
        unknown_keys=_no_findings,
        collisions=_no_collisions,
    ),
    "podman": Kind(
        path="/etc/containers/containers.conf",
        format=TOML,
        daemon=Daemon("", lambda argv: ""),
        service="",
        address="",
        checker="podman",
        validate=validate_podman,
        action_for=_restart_for_all,
        check=_no_findings,
        unknown_keys=_no_findings,
        collisions=_no_collisions,
    ),
}
