# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines' own checks of a configuration that is not in place yet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import without_credentials
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_service import (
    DEFAULT_PATH,
    run_command,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml import parse, rewrite

_SECONDS = 90


def validate_docker(text: str, path: str, folder: str) -> tuple[str, str]:
    """Ask ``dockerd --validate``.

    :param path: the file that ``text`` is for, named in the message.
    :param folder: where a copy may lie meanwhile.
    :returns: what the check refused, and a hint where there was no check; each may be empty.
    """
    program = _which("dockerd")
    if not program:
        return "", ""
    with _copy(text, folder) as copy:
        problem = run_command([program, "--validate", "--config-file", copy], _SECONDS)
    if "unknown flag: --validate" in problem:
        return "", f"{program} is older than 23.0 and cannot check its configuration; only the checks made here were."
    problem = problem.replace(f"unable to configure the Docker daemon with file {copy}: ", "").replace(copy, path)
    return without_credentials(problem), ""


def validate_containerd(text: str, path: str, folder: str) -> tuple[str, str]:
    """Ask ``containerd config dump``, which reads the file as containerd's start does; as validate_docker."""
    program = _which("containerd")
    if not program:
        return "", ""
    values = parse(text, path)
    imports = values.get("imports")
    if isinstance(imports, list):
        # They are relative to the file, and the copy lies elsewhere.
        near = os.path.dirname(path)
        values["imports"] = [os.path.join(near, entry) if isinstance(entry, str) else entry for entry in imports]
        text = rewrite(text, values, path)
    with _copy(text, folder) as copy:
        problem = run_command([program, "--config", copy, "config", "dump"], _SECONDS)
    problem = problem.replace(copy, path)
    return without_credentials(problem), ""


def validate_podman(text: str, path: str, folder: str) -> tuple[str, str]:
    """Let Podman read the file, which it does before all else; as validate_docker."""
    program = _which("podman")
    folder_name, name = os.path.split(path)
    # Its other files in this format are read by those commands only that need them.
    if not program or not (name == "containers.conf" or folder_name.endswith("/containers.conf.d")):
        return "", ""
    with _copy(text, folder) as copy:
        problem = run_command([program, "--version"], _SECONDS, CONTAINERS_CONF=copy)
    return without_credentials(problem.replace(copy, path)), ""


def _which(program: str) -> str:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":" + DEFAULT_PATH) or ""


@contextmanager
def _copy(text: str, folder: str) -> Iterator[str]:
    copy = os.path.join(folder, f"daemon-config-{os.getpid()}")
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        yield copy
    finally:
        os.unlink(copy)
