# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a workspace and the ways between them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

CREATED, STARTING, RUNNING, RESTARTING, PAUSED, UNHEALTHY = (
    "created",
    "starting",
    "running",
    "restarting",
    "paused",
    "unhealthy",
)
STOPPING, STOPPED, FAILED, LOST, REMOVING, REMOVED = (
    "stopping",
    "stopped",
    "failed",
    "lost",
    "removing",
    "removed",
)
STATES = (
    CREATED, STARTING, RUNNING, RESTARTING, PAUSED, UNHEALTHY,
    STOPPING, STOPPED, FAILED, LOST, REMOVING, REMOVED,
)  # fmt: skip
# What comes after what. A container that runs can end, and one that is there can be gone, at any moment.
_ENDS = (FAILED, STOPPED, STOPPING, LOST)
TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    CREATED: (STARTING, REMOVING, LOST),
    STARTING: (RUNNING, UNHEALTHY, PAUSED, RESTARTING, *_ENDS),
    RUNNING: (RESTARTING, PAUSED, UNHEALTHY, *_ENDS),
    RESTARTING: (RUNNING, STARTING, UNHEALTHY, *_ENDS),
    PAUSED: (RUNNING, STARTING, UNHEALTHY, *_ENDS),
    UNHEALTHY: (RUNNING, RESTARTING, PAUSED, *_ENDS),
    STOPPING: (STOPPED, FAILED, LOST),
    STOPPED: (STARTING, REMOVING, LOST),
    FAILED: (STARTING, RESTARTING, STOPPED, REMOVING, LOST),
    LOST: (CREATED, REMOVED),
    REMOVING: (REMOVED, LOST),
    REMOVED: (CREATED,),
}
# Those that nobody asks for: they need a reason.
NEED_REASON = (UNHEALTHY, FAILED, LOST)
# Ends that a program gives itself when it is asked to stop: nothing, SIGINT, SIGTERM.
_ASKED_EXITS = (0, 130, 143)


class IllegalTransition(ValueError):
    """There is no way from a state to another, or none without a reason."""


@dataclass(frozen=True)
class Transition:
    """One step; ``start`` is empty for a workspace that nothing is known of.

    :ivar details: ``exit_code``, ``oom`` and ``last_lines`` of a failure.
    """

    start: str
    end: str
    cause: str
    details: Optional[Mapping[str, Any]] = None


def check(start: str, end: str, cause: str) -> None:
    """See that a step is legal.

    :raises IllegalTransition: it is not, or it needs a reason and has none.
    """
    if end not in STATES or end not in (TRANSITIONS[start] if start else STATES):
        raise IllegalTransition(f"a workspace that is {start or 'unknown'} does not become {end} in one step")
    if end in NEED_REASON and not cause.strip():
        raise IllegalTransition(f"a workspace does not become {end} without a reason")


def way(start: str, end: str, cause: str, details: Optional[Mapping[str, Any]] = None) -> list[Transition]:
    """The legal steps between two states, the fewest; what nobody watched happened so.

    Nothing for a state to itself. Details belong to the last step.

    :raises IllegalTransition: there is no such way, or it needs a reason and has none.
    """
    if start == end:
        return []
    if not start:
        check(start, end, cause)
        return [Transition(start, end, cause, details)]
    before: dict[str, str] = {start: ""}
    queue = deque([start])
    while queue and end not in before:
        here = queue.popleft()
        for following in TRANSITIONS.get(here, ()):
            if following not in before and (following == end or following not in NEED_REASON):
                before[following] = here
                queue.append(following)
    if end not in before:
        raise IllegalTransition(f"no way leads a workspace from {start} to {end}")
    states = [end]
    while states[-1] != start:
        states.append(before[states[-1]])
    states.reverse()
    steps = list(zip(states, states[1:]))
    for one, other in steps:
        check(one, other, cause)
    return [Transition(one, other, cause, details if other == end else None) for one, other in steps]


def observe(status: str, health: str, exit_code: int = 0, recorded: str = "") -> str:
    """The state that the engine's words mean.

    :param status: created, running, paused, restarting, removing, exited or dead; empty where there is no container.
    :param health: healthy, unhealthy, starting or none.
    :param recorded: the last recorded state: one that was stopped has not failed, whatever it exited with.
    """
    if not status:
        return recorded if recorded in ("", REMOVED) else LOST
    if status == "running":
        return {"starting": STARTING, "unhealthy": UNHEALTHY}.get(health, RUNNING)
    if status in ("exited", "dead"):
        # The engine's word of a want of memory says nothing here: it is also of one that a child of it did not outlive.
        asked = exit_code in _ASKED_EXITS or recorded in (STOPPING, STOPPED)
        if recorded == FAILED or status == "dead" or not asked:
            return FAILED
        return STOPPED
    return {"created": CREATED, "paused": PAUSED, "restarting": RESTARTING, "removing": REMOVING}.get(status, FAILED)
