# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to a workspace, from what is wished and what was found. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container, Observed

# What may be wished.
STATES = ("present", "started", "stopped", "restarted", "paused", "absent")
NONE, CREATE, UPDATE, APPLY, START, RESTART, STOP, PAUSE, REMOVE, RECOVER = (
    "none",
    "create",
    "update",
    "apply",
    "start",
    "restart",
    "stop",
    "pause",
    "remove",
    "recover",
)
# What an interrupted update left, and what becomes of it before anything else.
KEEP, PUT_BACK, RESUME = "keep", "put back", "resume"
_RUNS = ("running", "restarting", "paused")


@dataclass(frozen=True)
class Decision:
    """The work on one workspace.

    :ivar settle: what becomes of a previous container, first of all.
    :ivar base: the container that the action is about, after settling.
    :ivar was_serving: whether ``base`` is to run again if an update fails.
    """

    action: str
    settle: str = KEEP
    base: Optional[Container] = None
    was_serving: bool = False


def decide(state: str, observed: Observed, digest: str = "", stopping: bool = False) -> Decision:
    """What to do.

    :param state: the wished one: started, stopped, restarted, paused or absent.
    :param digest: the wished configuration's SHA-256; only for ``started`` and ``restarted``.
    :param stopping: a run ended while it stopped the container, which the engine may be about to do still.
    """
    if state == "absent":
        return Decision(REMOVE if observed.exists else NONE)
    if not observed.exists:
        return Decision(CREATE)
    rests = state in ("stopped", "paused")
    # A configuration is proven by running it, so one that rests gets it with its next start.
    settle, base = _settle(observed, "" if rests else digest)
    if rests:
        action = _rest(state, base)
        return Decision(RECOVER if action == NONE and settle != KEEP else action, settle, base)
    if settle == RESUME or base is None:
        # One that is healthy already has only to pass its checks, which the run before may not have come to.
        return Decision(RECOVER if base is not None and base.serves else UPDATE, settle, base)
    if base.spec != digest:
        # What an interrupted update stopped had been running.
        return Decision(UPDATE, settle, base, was_serving=base.state in _RUNS or settle == PUT_BACK)
    action = _same(base)
    # A predecessor that still runs is about to be stopped by the update that was interrupted.
    if action == NONE and (state == "restarted" or stopping or settle == PUT_BACK):
        action = RESTART
    return Decision(RECOVER if action == NONE and settle != KEEP else action, settle, base)


def _settle(observed: Observed, digest: str) -> tuple[str, Optional[Container]]:
    current, previous = observed.current, observed.previous
    if previous is None:
        return KEEP, current
    if current is None:
        return PUT_BACK, previous
    # Only an update that was gone through has no predecessor any more, so nothing proves the new one yet.
    if digest and current.spec == digest:
        return RESUME, current
    return PUT_BACK, previous


def _rest(state: str, base: Optional[Container]) -> str:
    if state == "paused":
        return NONE if base is not None and base.state == "paused" else PAUSE
    return STOP if base is not None and base.state in _RUNS else NONE


def _same(container: Container) -> str:
    if container.state == "running":
        return RESTART if container.health == "unhealthy" else NONE
    return RESTART if container.state == "restarting" else START
