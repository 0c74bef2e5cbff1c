# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may say of one workspace, checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import aliases, gpus, schema
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import LIMITS, Catalogue
from ansible_collections.codeopen.workspaces.plugins.module_utils.decision import STATES
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown

_LONGEST_NAME = 40
_ADDRESS = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[?[0-9A-Fa-f:]+\]?"
_PUBLISHED = re.compile(rf"(?:({_ADDRESS}):)?([0-9]{{1,5}})")


@dataclass(frozen=True)
class PortWish:
    """A container port (``container`` 0: the one that a component declares under this name) and where the host
    publishes it (``host`` None: any free port)."""

    container: int = 0
    host: int | None = None
    address: str = ""


@dataclass(frozen=True)
class Request:
    """One entry of the list of workspaces, as asked for."""

    name: str
    flavor: str
    addons: Sequence[str]
    tier: str
    ports: dict[str, PortWish] = field(default_factory=dict)
    address: str = "127.0.0.1"
    environment: dict[str, str] = field(default_factory=dict)
    gpus: Any = 0
    state: str = "started"
    owner: str = ""
    aliases: Sequence[str] = ()
    limits: dict[str, int] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)
    idle_minutes: int | None = None
    leave_out: Sequence[str] = ()


def _name(value: Any, where: str, problems: list[str], kind: str) -> Any:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not re.fullmatch(schema.NAME, text) or len(text) > _LONGEST_NAME:
        nearest = re.sub(r"-+", "-", re.sub(r"[^a-z0-9]+", "-", str(value).lower())).strip("-")[:_LONGEST_NAME]
        hint = f"; '{nearest}' would do" if nearest and nearest != text else ""
        problems.append(
            f"{where}: {value!r} is not a {kind}'s name; expected lower-case letters, digits and single hyphens "
            f"between them, at most {_LONGEST_NAME} characters{hint}"
        )
    return text


def _port(value: Any, where: str, problems: list[str]) -> PortWish:
    if isinstance(value, dict):
        fields = _PORT(value, where, problems)
        return PortWish(fields.get("container", 0), fields.get("host"), fields.get("address", ""))
    match = _PUBLISHED.fullmatch(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if match is None or not 1 <= int(match.group(2)) <= 65535:
        problems.append(
            f"{where}: expected a host port from 1 to 65535, address:port, or a mapping with container, host "
            f"and address; got {value!r}"
        )
        return PortWish()
    return PortWish(0, int(match.group(2)), (match.group(1) or "").strip("[]"))


def _gpus(value: Any, where: str, problems: list[str]) -> Any:
    """The wish as the modules take it: a number, -1 for all of them, or names of devices."""
    try:
        request = gpus.parse(value)
    except gpus.GpuError as error:
        problems.extend(f"{where.rpartition(': ')[0]}: {text}" for text in error.problems)
        return 0
    if request.devices or request.cdi:
        return list(request.devices or request.cdi)
    return request.count


_ADDRESS_CHECK = schema.text(_ADDRESS, "an IP address such as 127.0.0.1 or 0.0.0.0")
_PORT = schema.record({"container": schema.whole(1, 65535), "host": schema.whole(1, 65535), "address": _ADDRESS_CHECK})
_VARIABLE = schema.text(r"[A-Za-z_][A-Za-z0-9_]*", "a variable's name: letters, digits and underscores")
_CHECK = schema.record(
    {
        "http": schema.text(schema.NAME, "a port's name, such as web"),
        "path": schema.text(r"/\S*", "a path that begins with '/'"),
        "status": schema.whole(100, 599),
        "tcp": schema.text(schema.NAME, "a port's name, such as web"),
        "command": schema.list_of(schema.text()),
        "timeout": schema.whole(0, 3600),
    }
)
_MOUNT = schema.record(
    {
        "source": schema.text(),
        "target": schema.text(r"/\S*", "a path that begins with '/'"),
        "read_only": schema.of_type(bool, False),
        "uid": schema.whole(0, 2**32 - 2),
    },
    required=("source", "target"),
)
_FIELDS: dict[str, schema.Check] = {
    "preset": schema.text(),
    "flavor": schema.text(),
    "addons": schema.list_of(schema.text()),
    "tier": schema.text(),
    "ports": schema.mapping(schema.text(schema.NAME, "a port's name, such as web"), _port),
    "address": _ADDRESS_CHECK,
    "environment": schema.mapping(_VARIABLE, schema.scalar_text),
    "gpus": _gpus,
    "state": schema.one_of(*STATES),
    "owner": schema.text(schema.NAME, "lower-case letters, digits and single hyphens between them"),
    "aliases": schema.list_of(schema.text(aliases.LABEL, aliases.EXPECTED)),
    "limits": LIMITS,
    "checks": schema.list_of(_CHECK),
    "mounts": schema.list_of(_MOUNT),
    "idle_minutes": schema.whole(1, 365 * 24 * 60),
    "leave_out": schema.list_of(schema.text()),
}


def _named(kind: str) -> schema.Check:
    return lambda value, where, problems: _name(value, where, problems, kind)


_REQUESTS = {
    kind: schema.record({"name": _named(kind), **_FIELDS}, required=("name",)) for kind in ("workspace", "pool")
}


def parse_request(
    catalogue: Catalogue, value: Any, number: int, problems: list[str], kind: str = "workspace"
) -> Request | None:
    """The request that entry ``number`` (from 0) of the list makes, or None where it is past understanding.

    Every mistake is added to ``problems``, beginning with the workspace's name.

    :param kind: what is described, workspace or pool.
    """
    name = value.get("name") if isinstance(value, dict) else None
    where = f"{kind} '{name}'" if isinstance(name, str) and name else f"{kind}s[{number}]"
    found: list[str] = []
    fields = _REQUESTS[kind](value, f"{where}: ", found)
    preset_name = fields.get("preset", "")
    preset = catalogue.presets.get(preset_name)
    if preset_name and preset is None:
        found.append(f"{where}: preset: {unknown('preset', preset_name, catalogue.presets)}")
    flavor = fields.get("flavor") or (preset.flavor if preset else "")
    if isinstance(value, dict) and not flavor and not preset_name and fields.get("state") != "absent":
        found.append(f"{where}: flavor: is missing (known: {', '.join(sorted(catalogue.flavors))})")
    problems.extend(found)
    if found:
        return None
    return Request(
        name=fields["name"],
        flavor=flavor,
        addons=fields.get("addons", list(preset.addons) if preset else []),
        tier=fields.get("tier") or (preset.tier if preset else "") or catalogue.default_tier,
        ports=fields.get("ports", {}),
        address=fields.get("address", "127.0.0.1").strip("[]"),
        environment=fields.get("environment", {}),
        gpus=fields.get("gpus", 0),
        state=fields.get("state", "started"),
        owner=fields.get("owner", ""),
        aliases=fields.get("aliases", []),
        limits=fields.get("limits", {}),
        checks=fields.get("checks", []),
        mounts=fields.get("mounts", []),
        idle_minutes=fields.get("idle_minutes"),
        leave_out=fields.get("leave_out", list(preset.leave_out) if preset else []),
    )
