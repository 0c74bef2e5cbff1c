# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that the Swarm changes between a look and a request is looked at again, and left alone where it goes back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_insist import go_back, keep_stopped
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import ServiceChanged

SPEC = {"Name": "codeopen-a", "Mode": {"Replicated": {"Replicas": 1}}}


class Swarm:
    """Stands in for a Swarm whose service is at these versions, one at each look; a request is for the latest only."""

    def __init__(self, *states: str, moves: int = 0) -> None:
        self.states = list(states)
        self.moves = moves
        self.sent: list[tuple[dict[str, Any], bool]] = []

    def inspect(self, service_id: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"ID": service_id, "Spec": SPEC, "UpdateStatus": {"State": state} if state else None}

    def update(self, service: Any, request: dict[str, Any], back: bool) -> None:
        if self.moves:
            self.moves -= 1
            raise ServiceChanged("out of sequence")
        self.sent.append((request, back))


def test_it_is_told_to_go_back_once() -> None:
    swarm: Any = Swarm("updating")
    go_back(swarm, "s")
    assert swarm.sent == [(SPEC, True)]


@pytest.mark.parametrize("state", ["rollback_started", "rollback_completed", "rollback_paused"])
def test_one_that_goes_back_by_itself_is_left_alone(state: str) -> None:
    swarm: Any = Swarm("updating", state, moves=1)
    go_back(swarm, "s")
    assert swarm.sent == []


def test_one_that_changes_is_looked_at_again() -> None:
    swarm: Any = Swarm("", moves=3)
    keep_stopped(swarm, "s")
    assert swarm.sent == [({**SPEC, "Mode": {"Replicated": {"Replicas": 0}}}, False)]


def test_one_that_changes_all_the_time_is_a_failure() -> None:
    with pytest.raises(ServiceChanged):
        keep_stopped(Swarm("", moves=1000), "s")  # type: ignore[arg-type]
