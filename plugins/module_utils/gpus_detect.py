# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what ``nvidia-smi -L`` lists, and comparing it with CDI specifications. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import NVIDIA_CDI_KIND

_GPU = re.compile(r"^GPU (\d+): (.+) \(UUID: (GPU-[0-9a-fA-F-]+)\)\s*$")
_MIG = re.compile(r"^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[0-9a-zA-Z/-]+)\)\s*$")


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    :param mig: UUIDs of its MIG instances, by their index.
    """

    index: int
    model: str
    uuid: str
    mig: tuple[str, ...] = ()


def parse_list(text: str) -> list[Gpu]:
    """The GPUs in the output of ``nvidia-smi -L``; none for any other text."""
    gpus: list[Gpu] = []
    for line in text.splitlines():
        found = _GPU.match(line)
        if found:
            gpus.append(Gpu(int(found.group(1)), found.group(2), found.group(3)))
            continue
        found = _MIG.match(line)
        if found and gpus:
            last = gpus[-1]
            gpus[-1] = Gpu(last.index, last.model, last.uuid, (*last.mig, found.group(3)))
    return gpus


def expected_devices(gpus: Sequence[Gpu]) -> list[str]:
    """The names that a CDI specification of these GPUs has, as ``nvidia-ctk cdi generate`` chooses them by default.

    A GPU that is cut into MIG instances is not given as a whole.
    """
    names = []
    for gpu in gpus:
        if gpu.mig:
            for number, uuid in enumerate(gpu.mig):
                names += [f"{gpu.index}:{number}", uuid]
        else:
            names += [str(gpu.index), gpu.uuid]
    return sorted([*names, "all"]) if names else []


def spec_devices(spec: Mapping[str, Any], kind: str = NVIDIA_CDI_KIND) -> list[str]:
    """The names of the devices in a CDI specification of ``kind``; none in one of another kind."""
    if spec.get("kind") != kind:
        return []
    return sorted(str(device.get("name")) for device in spec.get("devices") or [] if isinstance(device, Mapping))


def drift(gpus: Sequence[Gpu], spec: Mapping[str, Any]) -> dict[str, list[str]]:
    """How a CDI specification differs from the GPUs: ``missing`` names that it lacks, ``stale`` ones that are gone."""
    expected, found = set(expected_devices(gpus)), set(spec_devices(spec))
    return {"missing": sorted(expected - found), "stale": sorted(found - expected)}
