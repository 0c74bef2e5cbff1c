# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component's programs need from the engine and do not get by default: devices, less confinement. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import schema

# Nothing that reaches out of the container's own namespaces by itself, and nothing else.
SECURITY_OPTIONS = ("apparmor=unconfined", "label=disable", "seccomp=unconfined", "systempaths=unconfined")

_DEVICE = r"/dev(/[A-Za-z0-9][A-Za-z0-9._-]*)+"

RUNTIME_FIELDS = schema.record(
    {
        "devices": schema.list_of(schema.text(_DEVICE, "a device of the host such as /dev/fuse")),
        "security_opt": schema.list_of(schema.one_of(*SECURITY_OPTIONS)),
        "privileged": schema.of_type(bool, False),
    }
)


@dataclass(frozen=True)
class Runtime:
    """Devices of the host, security options, and whether nothing at all is kept from the container."""

    devices: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    privileged: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Runtime:
        """What a component's ``runtime`` says, once checked."""
        return cls(
            tuple(sorted(set(fields.get("devices", ())))),
            tuple(sorted(set(fields.get("security_opt", ())))),
            bool(fields.get("privileged", False)),
        )

    def __add__(self, other: Runtime) -> Runtime:
        return Runtime(
            tuple(sorted({*self.devices, *other.devices})),
            tuple(sorted({*self.security_opt, *other.security_opt})),
            self.privileged or other.privileged,
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"devices": list(self.devices), "security_opt": list(self.security_opt), "privileged": self.privileged}


def runtime_problems(runtime: Mapping[str, Any]) -> Iterable[str]:
    """Every mistake in the ``runtime`` of a workspace of the plan, in words."""
    for device in runtime.get("devices") or []:
        if not re.fullmatch(_DEVICE, str(device)):
            yield f"runtime device {device!r}: expected a device of the host such as /dev/fuse."
    for option in runtime.get("security_opt") or []:
        if option not in SECURITY_OPTIONS:
            yield f"runtime security option {option!r}: expected one of {', '.join(SECURITY_OPTIONS)}."


def host_config_of(runtime: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the engine's request that grants ``runtime``; empty where nothing is to be granted."""
    granted: dict[str, Any] = {}
    devices = sorted(runtime.get("devices") or [])
    if devices:
        granted["Devices"] = [
            {"PathOnHost": device, "PathInContainer": device, "CgroupPermissions": "rw"} for device in devices
        ]
    options = sorted(runtime.get("security_opt") or [])
    if "systempaths=unconfined" in options:
        # The engine's API has no such option: it takes the paths that are hidden or read-only otherwise.
        options.remove("systempaths=unconfined")
        granted.update(MaskedPaths=[], ReadonlyPaths=[])
    if options:
        granted["SecurityOpt"] = options
    if runtime.get("privileged"):
        granted["Privileged"] = True
    return granted
