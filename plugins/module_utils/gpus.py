# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks for as GPUs, and the device requests that an engine understands for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError, ProblemsError

CDI_SINCE = (25, 0)
CDI_BY_DEFAULT_SINCE = (28, 2)
NVIDIA_CDI_KIND = "nvidia.com/gpu"

_HEX = "[0-9a-fA-F]"
_UUID = rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_INDEX = re.compile(r"^(0|[1-9]\d*)$")
_MIG_INDEX = re.compile(r"^(0|[1-9]\d*):(0|[1-9]\d*)$")
_GPU_UUID = re.compile(rf"^GPU-{_UUID}$")
_MIG_UUID = re.compile(rf"^MIG-{_UUID}$")
# Drivers before 470 named MIG devices by their parent; the engine's hook still takes such names.
_OLD_MIG = re.compile(rf"^MIG-GPU-{_UUID}/\d+/\d+$")
_CDI = re.compile(r"^[a-zA-Z0-9][\w.-]*\.[\w.-]+/[a-zA-Z][\w.-]*=[a-zA-Z0-9][\w.:-]*$")
_CAPABILITIES = ("compat32", "compute", "display", "graphics", "ngx", "utility", "video")

Wish = Union[str, int, Sequence[Union[str, int]], None]


class GpuError(ProblemsError):
    """Mistakes in a request for GPUs."""

    heading = "in the request for GPUs"


@dataclass(frozen=True)
class GpuRequest:
    """A request, understood. At most one of the fields but ``capabilities`` says something.

    :param count: number of GPUs, -1 for all, 0 for none by number.
    :param devices: indexes, GPU UUIDs, MIG UUIDs and MIG indexes such as ``0:1``, for NVIDIA's driver.
    :param cdi: qualified CDI names.
    :param capabilities: what of the driver the container gets; empty for the toolkit's default.
    """

    count: int = 0
    devices: tuple[str, ...] = ()
    cdi: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    @property
    def wanted(self) -> bool:
        """Whether any GPU is asked for."""
        return bool(self.count or self.devices or self.cdi)


@dataclass(frozen=True)
class GpuHost:
    """What a host has.

    :param engine: version of the engine, as ``26.1.5+dfsg1``.
    :param gpus: UUIDs of the GPUs, by index.
    :param mig: UUIDs of the MIG instances.
    :param hook: NVIDIA's runtime hook was there when the engine started, so that it has the driver ``nvidia``.
    :param cdi_feature: the engine's ``features.cdi``, or None where it is not set.
    :param cdi_devices: the qualified names in the host's CDI specifications.
    """

    engine: str
    gpus: tuple[str, ...] = ()
    mig: tuple[str, ...] = ()
    hook: bool = False
    cdi_feature: Union[bool, None] = None
    cdi_devices: tuple[str, ...] = ()

    @property
    def cdi(self) -> bool:
        """Whether the engine takes CDI names."""
        version = engine_version(self.engine)
        if version < CDI_SINCE or self.cdi_feature is False:
            return False
        return self.cdi_feature is True or version >= CDI_BY_DEFAULT_SINCE


NO_GPUS = GpuHost("0.0")


def engine_version(text: str) -> tuple[int, int]:
    """The first two numbers of an engine's version.

    :raises EngineError: ``text`` is no version.
    """
    found = re.match(r"^v?(\d+)\.(\d+)", text)
    if not found:
        raise EngineError(f"The engine's version is '{text}', expected something like 28.2.1.")
    return int(found.group(1)), int(found.group(2))


def parse(wish: Wish, capabilities: Sequence[str] = ()) -> GpuRequest:
    """Understand what a person wrote as ``gpus``.

    ``all`` (or -1) is every GPU, a number is that many, none at all is ``0``, ``none``, an empty text or nothing.
    A text or a list names devices: ``GPU-…``, ``MIG-…``, MIG indexes ``0:1`` and CDI names
    ``nvidia.com/gpu=0``. Indexes are written as a list, ``[0, 2]``, or as ``index=0,2``, for a bare number is a count.

    :raises GpuError: all mistakes at once.
    """
    wrong = [name for name in capabilities if name not in _CAPABILITIES and name != "all"]
    problems = [f"'{name}' is no capability of the driver (known: all, {', '.join(_CAPABILITIES)})" for name in wrong]
    request = GpuRequest(capabilities=tuple(sorted(set(capabilities))))
    try:
        request = _parse(wish, request)
    except GpuError as error:
        problems += error.problems
    if problems:
        raise GpuError(problems)
    return request


def _parse(wish: Wish, base: GpuRequest) -> GpuRequest:
    if wish is None or wish is False or wish in ("", "none"):
        return base
    if wish is True:
        raise GpuError(["gpus is true; expected all, a number or a list of devices"])
    if isinstance(wish, int) or (isinstance(wish, str) and re.match(r"^-?\d+$", wish.strip())):
        count = int(wish)
        if count < -1:
            raise GpuError([f"gpus is {count}; expected all, or a number of at least 0"])
        return GpuRequest(count=count, capabilities=base.capabilities)
    if isinstance(wish, str):
        text = wish.strip()
        if text == "all":
            return GpuRequest(count=-1, capabilities=base.capabilities)
        for prefix in ("index=", "device="):
            if text.startswith(prefix):
                text = text[len(prefix) :]
        return _named([part.strip() for part in text.split(",")], base)
    return _named([str(item).strip() if not isinstance(item, bool) else repr(item) for item in wish], base)


def _named(names: Sequence[str], base: GpuRequest) -> GpuRequest:
    devices, cdi, problems = [], [], []
    for name in names:
        if _CDI.match(name):
            cdi.append(name)
        elif any(kind.match(name) for kind in (_INDEX, _MIG_INDEX, _GPU_UUID, _MIG_UUID, _OLD_MIG)):
            devices.append(name)
        else:
            problems.append(_no_device(name))
    for name in sorted({name for name in names if list(names).count(name) > 1}):
        problems.append(f"gpus names '{name}' more than once")
    if devices and cdi and not problems:
        problems.append(f"gpus mixes CDI names ({cdi[0]}) with other names ({devices[0]}); use one kind")
    if problems:
        raise GpuError(problems)
    return GpuRequest(devices=tuple(devices), cdi=tuple(cdi), capabilities=base.capabilities)


def _no_device(name: str) -> str:
    if name == "all":
        return "gpus has 'all' in a list; write gpus: all"
    hint = ""
    if name.upper().startswith(("GPU-", "MIG-")):
        hint = f"; a UUID looks like {name[:4].upper()}01234567-89ab-cdef-0123-456789abcdef"
    elif "=" in name or "/" in name:
        hint = "; a CDI name looks like nvidia.com/gpu=0"
    return f"gpus: '{name}' is no device; expected an index, MIG index (0:1), GPU-…, MIG-… or a CDI name{hint}"


def device_requests(request: GpuRequest, host: GpuHost) -> list[dict[str, Any]]:
    """The ``DeviceRequests`` of the container's HostConfig, as the engine's API spells them.

    :raises GpuError: the host lacks what is asked for; the message says what and how it is had.
    """
    if not request.wanted:
        return []
    problems = _missing(request, host)
    if problems:
        raise GpuError(problems)
    if request.cdi:
        return [_request("cdi", devices=request.cdi)]
    if not host.hook:
        return [_request("cdi", devices=_as_cdi(request))]
    capabilities = [["gpu", *request.capabilities]]
    if request.devices:
        return [_request("nvidia", devices=request.devices, capabilities=capabilities)]
    return [_request("nvidia", count=request.count, capabilities=capabilities)]


def _request(
    driver: str, count: int = 0, devices: Sequence[str] = (), capabilities: Sequence[Sequence[str]] = ()
) -> dict[str, Any]:
    # Count and DeviceIDs exclude each other: the engine wants one of them to be empty.
    return {
        "Driver": driver,
        "Count": count,
        "DeviceIDs": list(devices) or None,
        "Capabilities": [list(names) for names in capabilities],
        "Options": {},
    }


def _as_cdi(request: GpuRequest) -> list[str]:
    if request.count == -1:
        return [f"{NVIDIA_CDI_KIND}=all"]
    names = request.devices or [str(index) for index in range(request.count)]
    return [f"{NVIDIA_CDI_KIND}={name}" for name in names]


def _missing(request: GpuRequest, host: GpuHost) -> list[str]:
    if request.cdi:
        return _missing_cdi(request.cdi, host)
    if not host.gpus:
        return ["gpus are asked for, and the host has no NVIDIA GPU that nvidia-smi lists"]
    problems = []
    if request.count > len(host.gpus):
        problems.append(f"gpus asks for {request.count} GPUs, and the host has {len(host.gpus)}")
    for name in request.devices:
        problems += _missing_device(name, host)
    if problems:
        return problems
    if host.hook:
        return []
    if not host.cdi:
        return [
            "the engine has neither NVIDIA's runtime hook nor CDI: install the NVIDIA container toolkit and restart "
            f"the engine, or set features.cdi to true{_cdi_hint(host)}"
        ]
    if request.capabilities:
        return ["capabilities need NVIDIA's runtime hook; with CDI alone a container gets the whole driver"]
    return _missing_cdi(_as_cdi(request), host)


def _missing_device(name: str, host: GpuHost) -> list[str]:
    if _INDEX.match(name) and int(name) >= len(host.gpus):
        return [f"gpus names the index {name}, and the host has 0 to {len(host.gpus) - 1}"]
    if _MIG_INDEX.match(name) and (int(name.partition(":")[0]) >= len(host.gpus) or not host.mig):
        return [f"gpus names the MIG instance {name}, and the host has no such one"]
    known = {_GPU_UUID: host.gpus, _MIG_UUID: host.mig}
    for kind, uuids in known.items():
        if kind.match(name) and name.lower() not in {uuid.lower() for uuid in uuids}:
            return [f"gpus names {name}, and the host has {', '.join(uuids) if uuids else 'none of that kind'}"]
    return []


def _missing_cdi(names: Sequence[str], host: GpuHost) -> list[str]:
    if not host.cdi:
        return [f"gpus names the CDI device {names[0]}, and the engine takes no CDI names{_cdi_hint(host)}"]
    there = ", ".join(host.cdi_devices) or "none"
    return [
        f"gpus needs the CDI device {name}, and the host's CDI specifications have {there}"
        for name in names
        if name not in host.cdi_devices
    ]


def _cdi_hint(host: GpuHost) -> str:
    version = engine_version(host.engine)
    if version < CDI_SINCE:
        return f" (engine {host.engine}; CDI needs 25.0 or newer)"
    if version < CDI_BY_DEFAULT_SINCE or host.cdi_feature is False:
        return f" (engine {host.engine}; set features.cdi to true in its daemon.json)"
    return ""
