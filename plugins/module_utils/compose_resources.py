# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the limits of a Compose service to the tier that holds them, and to limits beyond it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import compose_values as values
from ansible_collections.codeopen.workspaces.plugins.module_utils import limits
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Catalogue
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_export import CPU_PERIOD
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_fields import Fields
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_keys import reason
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import Resolution, resolve

_MOST = {"pids": 4194304, "open_files": 1048576}
_KEYS = {
    "swap": "memswap_limit",
    "pids": "pids_limit",
    "shm": "shm_size",
    **{name: f"ulimits.{word}" for name, word in limits.ULIMITS.items()},
}
# For the kernel as little as nothing, which 0 does not mean for a workspace.
_NOTHING = 1


@dataclass
class Asked:
    """What a service may use.

    :ivar cpus: None for no limit, and so is ``memory``, in bytes.
    :ivar keys: where these two were found.
    :ivar limits: those of limits.py that it says something of.
    """

    cpus: float | None = None
    memory: int | None = None
    keys: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)


def asked_of(fields: Fields) -> Asked:
    """Take every limit of a service; those that a workspace cannot have are lost."""
    asked = Asked()
    for key in ("cpus", "deploy.resources.limits.cpus"):
        cpus = fields.take(key, values.as_cpus)
        if cpus:
            asked.cpus, asked.keys["cpus"] = cpus, key
    cpus = _quota(fields)
    if cpus:
        asked.cpus, asked.keys["cpus"] = cpus, "cpu_quota"
    for key in ("mem_limit", "deploy.resources.limits.memory"):
        memory = fields.take(key, values.as_bytes)
        if memory and memory > 0:
            asked.memory, asked.keys["memory"] = memory, key
    found = {
        "swap": _swap(fields, asked.memory),
        "pids": _pids(fields),
        "shm": fields.take("shm_size", values.as_bytes),
        **{name: _ulimit(fields, name) for name in limits.ULIMITS},
        "log_size": _log_size(fields),
    }
    for name, value in found.items():
        if value is None:
            continue
        lowest, highest = limits.SMALLEST[name], _MOST.get(name)
        if value < lowest or (highest and value > highest):
            expected = f"at least {lowest}" if highest is None else f"{lowest} to {highest}"
            fields.lose(_KEYS.get(name, "logging.options.max-size"), f"is {value}: workspaces have {expected}")
        else:
            asked.limits[name] = value
    return asked


def _quota(fields: Fields) -> float | None:
    """CPUs as the kernel has them: microseconds of each period; None for no limit."""
    quota, period = (fields.take(key, values.as_whole) for key in ("cpu_quota", "cpu_period"))
    if quota is None or quota <= 0:
        if period:
            fields.lose("cpu_period", reason("cpu_period"))
        return None
    return float(quota) / (period if period and period > 0 else CPU_PERIOD)


def _swap(fields: Fields, memory: int | None) -> int | None:
    both = fields.take("memswap_limit", values.as_bytes)
    if not both:
        return None
    if both == -1:
        fields.lose("memswap_limit", "the swap of a workspace has a limit: give it as limits.swap")
        return None
    if memory is None or both < memory:
        fields.lose("memswap_limit", "is of memory and swap together, and needs a mem_limit that is not higher")
        return None
    return int(both) - memory


def _pids(fields: Fields) -> int | None:
    found: int | None = None
    for key in ("pids_limit", "deploy.resources.limits.pids"):
        value = fields.take(key, values.as_whole)
        if value is not None and value <= 0:
            fields.lose(key, "the number of a workspace's processes has a limit: give it as limits.pids")
        elif value is not None:
            found = int(value)
    return found


def _ulimit(fields: Fields, name: str) -> int | None:
    """A limit of single processes."""

    def convert(value: Any) -> int:
        if not isinstance(value, Mapping):
            return values.as_whole(value)
        soft, hard = values.as_whole(value.get("soft")), values.as_whole(value.get("hard"))
        if soft != hard:
            raise ValueError(f"soft is {soft} and hard is {hard}, and limits.{name} is both")
        return hard

    found: int | None = fields.take(_KEYS[name], convert)
    if found == 0 and name != "open_files":
        fields.lose(_KEYS[name], f"limits.{name} is {_NOTHING} byte instead, since 0 leaves it to the engine")
        return _NOTHING
    return found


def _log_size(fields: Fields) -> int | None:
    driver = fields.take("logging.driver", str)
    if driver not in (None, "json-file"):
        fields.lose("logging.driver", f"is {driver}, and workspaces log to json-file, which workspace_logs reads")
        return None
    size = fields.take("logging.options.max-size", values.as_log_bytes)
    files = fields.take("logging.options.max-file", values.as_whole)
    return None if size is None else int(size) * int(files or 1)


def choose_tier(
    catalogue: Catalogue, image: tuple[str, Sequence[str], Sequence[str]], asked: Asked, hint: str
) -> Resolution:
    """The smallest tier that holds what is asked for, else the largest; the default where nothing is.

    :param image: flavor, add-ons, and tools that are left out.
    :param hint: the tier that it came from, perhaps, which is taken where it has the same memory.
    :raises PlanError: flavor and add-ons do not go together in any tier, or there is no such tool.
    """
    flavor, addons, leave_out = image
    resolutions = [resolve(catalogue, flavor, addons, tier, leave_out) for tier in catalogue.tiers]
    fitting = [one for one in resolutions if not one.problems]
    if not fitting:
        raise PlanError(list(resolutions[-1].problems))
    by_name = {one.tier: one for one in fitting}
    cpus, memory = asked.cpus or 0.0, asked.memory or 0
    if hint in by_name and by_name[hint].resources.memory == memory and by_name[hint].resources.cpus >= cpus:
        return by_name[hint]
    if not cpus and not memory:
        return by_name.get(catalogue.default_tier, fitting[0])
    holding = [one for one in fitting if one.resources.cpus >= cpus and one.resources.memory >= memory]
    return (holding or fitting[-1:])[0]


def lose_difference(fields: Fields, asked: Asked, resolution: Resolution) -> None:
    """Note where the tier gives something else than what was asked for."""
    given = resolution.resources
    if asked.cpus is not None and abs(asked.cpus - given.cpus) > 0.0005:
        fields.lose(asked.keys["cpus"], f"tier {resolution.tier} gives {given.cpus:g} instead of {asked.cpus:g}")
    if asked.memory is not None and asked.memory != given.memory:
        words = f"{values.format_bytes(given.memory)} instead of {values.format_bytes(asked.memory)}"
        fields.lose(asked.keys["memory"], f"tier {resolution.tier} gives {words}")


def limits_of(catalogue: Catalogue, tier: str, asked: Asked) -> dict[str, int]:
    """The limits that differ from what the tier has."""
    tier_limits = {**limits.DEFAULTS, **catalogue.tier_limits.get(tier, {})}
    # A service without one of these has what the engine gives.
    found = {**dict.fromkeys(limits.ULIMITS, 0), **asked.limits}
    return {name: value for name, value in found.items() if value != tier_limits[name]}
