# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of its host a workspace may use, and what of that the engine can change while it runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Where neither the tier nor the workspace says it. Bytes, but for pids and open_files.
DEFAULTS: Mapping[str, int] = {
    "swap": 0,
    "pids": 4096,
    "shm": 64 * 1024 * 1024,
    "open_files": 0,
    "log_size": 30_000_000,
    "locked_memory": 0,
    "core_size": 0,
}
# The engine's word for no limit.
UNLIMITED = -1
SMALLEST: Mapping[str, int] = {
    "swap": 0,
    "pids": 32,
    "shm": 1024 * 1024,
    "open_files": 0,
    "log_size": 300_000,
    "locked_memory": UNLIMITED,
    "core_size": UNLIMITED,
}
# Limits of single processes, with the engine's words. 0 is what the engine gives by itself: more than its own limit it
# may be unable to give.
ULIMITS: Mapping[str, str] = {"open_files": "nofile", "locked_memory": "memlock", "core_size": "core"}
# Nothing is told of these where they are 0: the containers made before there was a word for them stay as they are.
_LATER = ("locked_memory", "core_size")
LOG_FILES = 3
RESTART_POLICY = {"Name": "unless-stopped", "MaximumRetryCount": 0}


def of_entry(entry: Mapping[str, Any]) -> dict[str, int]:
    """All limits of a workspace of the plan."""
    given = entry.get("limits") or {}
    return {name: int(value if given.get(name) is None else given[name]) for name, value in DEFAULTS.items()}


def told(entry: Mapping[str, Any]) -> dict[str, int]:
    """The limits of a workspace that its configuration names."""
    return {name: value for name, value in of_entry(entry).items() if value or name not in _LATER}


def problems(entry: Mapping[str, Any]) -> Iterable[str]:
    """Limits that nothing could run with."""
    for name, value in of_entry(entry).items():
        if value < SMALLEST[name]:
            yield f"limits.{name} is {value}: expected at least {SMALLEST[name]}."


def live(entry: Mapping[str, Any], cpus: float) -> dict[str, Any]:
    """What the engine can change while a container runs, in its words.

    :param cpus: how many it may use on this host.
    """
    limits = of_entry(entry)
    memory = int(entry["memory"])
    return {
        "NanoCpus": int(cpus * 1_000_000_000),
        "Memory": memory,
        # The engine's limit of swap is that of both together.
        "MemorySwap": memory + limits["swap"],
        "PidsLimit": limits["pids"],
        "RestartPolicy": dict(RESTART_POLICY),
    }


def fixed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What needs a new container, in the engine's words."""
    limits = of_entry(entry)
    return {
        "Ulimits": [
            {"Name": word, "Soft": limits[name], "Hard": limits[name]} for name, word in ULIMITS.items() if limits[name]
        ],
        "ShmSize": limits["shm"],
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(limits["log_size"] // LOG_FILES), "max-file": str(LOG_FILES)},
        },
    }


def words(host_config: Mapping[str, Any], left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What can be changed, as people write it, from the engine's words. What it has no word for is left out.

    :param left_out: those that cannot be had, in the engine's words.
    """
    found: dict[str, Any] = {}
    memory = int(host_config.get("Memory") or 0)
    if host_config.get("NanoCpus"):
        found["cpus"] = host_config["NanoCpus"] / 1_000_000_000
    if memory:
        found["memory"] = memory
    swap = int(host_config.get("MemorySwap") or 0)
    if memory and "MemorySwap" not in left_out and (swap >= memory or swap == UNLIMITED):
        found["swap"] = swap if swap == UNLIMITED else swap - memory
    if "PidsLimit" in host_config and "PidsLimit" not in left_out:
        # The engine says nothing, 0 or -1 of one that was taken away.
        found["pids"] = int(host_config["PidsLimit"] or 0) or UNLIMITED
    if host_config.get("RestartPolicy"):
        found["restart_policy"] = str(host_config["RestartPolicy"].get("Name") or "no")
    return found


def impossible(info: Mapping[str, Any]) -> frozenset[str]:
    """What this host's kernel cannot limit, in the engine's words.

    The engine drops such a limit, and says nothing or -1 of it ever after.

    :param info: what the engine says about its host.
    """
    told = {"MemorySwap": "SwapLimit", "PidsLimit": "PidsLimit"}
    return frozenset(key for key, word in told.items() if info.get(word) is False)


def changes(
    found: Mapping[str, Any], wished: Mapping[str, Any], left_out: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Which of the wished settings, in the engine's words, a container has not.

    :param left_out: those that make no difference, since they cannot be had.
    """
    differing = {}
    for key, value in wished.items():
        have = found.get(key)
        if key not in left_out and have != value:
            differing[key] = value
    # The engine takes the two together only, since neither may be above the other meanwhile.
    if {"Memory", "MemorySwap"} & set(differing):
        differing.update({key: wished[key] for key in ("Memory", "MemorySwap")})
    return differing
