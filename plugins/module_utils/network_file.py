# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one file that tells a build step or a workspace about proxies, mirrors and the CA bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown

KEYS = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "apt_mirror",
    "apt_security_mirror",
    "pip_index",
    "npm_registry",
    "go_proxy",
    "cargo_registry",
    "release_mirror",
)
# The option C(network), as the documentation fragment of that name describes it. URLs may carry passwords.
ARGUMENT_SPEC: dict[str, Any] = {
    "type": "dict",
    "options": {
        **{key: {"type": "str", "no_log": key != "no_proxy"} for key in KEYS},
        "ca_bundle": {"type": "path"},
    },
}
PEM_BEGIN = "-----BEGIN CERTIFICATE-----"
HOST_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def settings_text(network: Optional[Mapping[str, Any]]) -> str:
    """What the user set, as ``key=value`` lines and the PEM text of ``ca_bundle``; empty where nothing is set.

    :raises WorkspacesError: an unknown key, a value of several lines, or a CA bundle that is not PEM.
    """
    network = network or {}
    known = (*KEYS, "ca_bundle")
    for key in network:
        if key not in known:
            raise WorkspacesError(f"network: {unknown('key', key, known)}.")
    lines = []
    for key in KEYS:
        value = str(network.get(key) or "").strip()
        if "\n" in value or "\r" in value:
            raise WorkspacesError(f"network.{key} has several lines: expected one.")
        if value:
            lines.append(f"{key}={value}\n")
    bundle = str(network.get("ca_bundle") or "").strip()
    if bundle:
        if PEM_BEGIN not in bundle:
            raise WorkspacesError(f"network.ca_bundle has no '{PEM_BEGIN}': expected a file of PEM certificates.")
        # Comments before the first certificate would be read as settings.
        lines.append(bundle[bundle.index(PEM_BEGIN) :] + "\n")
    return "".join(lines)


def file_text(settings: str, host_bundles: tuple[str, ...] = HOST_BUNDLES) -> str:
    """The whole file: the settings, and the host's own CA bundle where the settings bring none."""
    if PEM_BEGIN in settings:
        return settings
    for path in host_bundles:
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read().strip()
            if PEM_BEGIN in text:
                return settings + text[text.index(PEM_BEGIN) :] + "\n"
    return settings
