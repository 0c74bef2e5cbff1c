# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at a host for its GPUs, and for the ways in which its engine gives them to containers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import EngineProcess, find
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import (
    CDI_BY_DEFAULT_SINCE,
    GpuHost,
    engine_version,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus_detect import parse_list

HOOK = "nvidia-container-runtime-hook"
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
DAEMON_CONFIG_FILE = "/etc/docker/daemon.json"
_LIST_SECONDS = 30
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def look(info: Mapping[str, Any], daemon_config_file: str = DAEMON_CONFIG_FILE) -> GpuHost:
    """What this host has, for its own engine.

    :param info: the engine's answer to ``/info``.
    :param daemon_config_file: by which the engine's process is found.
    """
    gpus = parse_list(_listed())
    version = str(info.get("ServerVersion") or "0.0")
    # Engines before 28.2 name the folders only where CDI is on; later ones name none where it is off.
    folders = [str(folder) for folder in info.get("CDISpecDirs") or []]
    switched = bool(folders) if engine_version(version) < CDI_BY_DEFAULT_SINCE or not folders else None
    return GpuHost(
        engine=version,
        gpus=tuple(gpu.uuid for gpu in gpus),
        mig=tuple(uuid for gpu in gpus for uuid in gpu.mig),
        hook=_has_hook(find(daemon_config_file)),
        cdi_feature=switched,
        cdi_devices=tuple(cdi_devices(folders or CDI_FOLDERS)),
    )


def _listed() -> str:
    program = shutil.which("nvidia-smi", path=f"{os.environ.get('PATH', '')}:{_PATH}")
    if program is None:
        return ""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [program, "-L"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIST_SECONDS,
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""
    return ""


def _has_hook(engine: Optional[EngineProcess]) -> bool:
    """Whether the engine found NVIDIA's hook when it started, for it looks for it then and never again."""
    if engine is None:
        return False
    program = shutil.which(HOOK, path=engine.environment.get("PATH") or _PATH)
    if program is None:
        return False
    with suppress(OSError):
        return os.stat(program).st_ctime <= _booted() + engine.started / os.sysconf("SC_CLK_TCK")
    return False


def _booted() -> float:
    """When the machine started, in seconds since 1970."""
    with open("/proc/stat", encoding="ascii") as file:
        found = re.search(r"^btime (\d+)$", file.read(), re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def cdi_devices(folders: Sequence[str]) -> list[str]:
    """The qualified names of the devices in all CDI specifications of the folders."""
    names: set[str] = set()
    for folder in folders:
        with suppress(OSError):
            for file in os.listdir(folder):
                if file.endswith((".yaml", ".json")):
                    names.update(_specified(os.path.join(folder, file)))
    return sorted(names)


def _specified(path: str) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return specified_devices(text)
    return []


def specified_devices(text: str) -> list[str]:
    """The qualified names of the devices in a CDI specification, JSON or YAML as ``nvidia-ctk`` writes it.

    A host's Python need not have a YAML parser, and only the kind and the devices' names are read.
    """
    with suppress(ValueError):
        spec = json.loads(text)
        if isinstance(spec, dict):
            devices = [device for device in spec.get("devices") or [] if isinstance(device, dict)]
            return [f"{spec.get('kind')}={device.get('name')}" for device in devices]
        return []
    kind = re.search(r"^kind:\s*(.+?)\s*$", text, re.MULTILINE)
    # Up to the next key of the document; a list may stand as deep as its key.
    block = re.search(r"^devices:\s*\n((?:(?![A-Za-z]).*\n?)*)", text, re.MULTILINE)
    first = re.match(r"\s*- ", block.group(1)) if block else None
    if kind is None or block is None or first is None:
        return []
    # A device's own keys are as deep as its first one, and the name can be any of them.
    depth = len(first.group().lstrip("\n"))
    names = re.findall(rf"^(?: {{{depth - 2}}}- | {{{depth}}})name:\s*(.+?)\s*$", block.group(1), re.MULTILINE)
    return [f"{_plain(kind.group(1))}={_plain(name)}" for name in names]


def _plain(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
