# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Swarm's manager answers, in the words of the door to it."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import docker
import pytest
import requests
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import ServiceChanged, Swarm

SERVICE = {"ID": "s1", "Version": {"Index": 7}}


def answering(monkeypatch: pytest.MonkeyPatch, message: str) -> tuple[Swarm, list[str]]:
    """A Swarm by the SDK's own client, whose engine answers each request so; and the addresses of the requests."""
    client = docker.DockerClient("unix:///nowhere", version="1.44")
    asked: list[str] = []

    def send(request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        asked.append(str(request.url))
        answer = requests.Response()
        answer.status_code = 500
        answer.reason = "Internal Server Error"
        answer.headers["Content-Type"] = "application/json"
        answer.request, answer.url = request, str(request.url)
        answer._content = json.dumps({"message": message}).encode()
        return answer

    monkeypatch.setattr(client.api, "send", send)
    return Swarm(client), asked


@pytest.mark.parametrize("back", [False, True])
def test_a_service_that_was_changed_since_the_look_is_told_apart(monkeypatch: pytest.MonkeyPatch, back: bool) -> None:
    swarm, asked = answering(monkeypatch, "rpc error: code = Unknown desc = update out of sequence")
    with pytest.raises(ServiceChanged, match="service codeopen-demo: somebody else changes it"):
        swarm.update(SERVICE, {"Name": "codeopen-demo"}, back)
    assert asked[0].endswith("/services/s1/update?version=7" + ("&rollback=previous" if back else ""))


def test_any_other_refusal_is_the_engines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm, _asked = answering(monkeypatch, "rpc error: code = Unknown desc = The swarm does not have a leader")
    with pytest.raises(EngineError, match="does not have a leader") as caught:
        swarm.update(SERVICE, {"Name": "codeopen-demo"})
    assert not isinstance(caught.value, ServiceChanged)


def node(state: str) -> dict[str, Any]:
    return {"ID": "n1", "Description": {"Hostname": "w1"}, "Status": {"State": state}}


class Leader:
    """What a new leader's engine says of a node each time that it is asked, the last one for good; time is not real."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *states: str) -> None:
        self.api, self.states, self.now = self, list(states), 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def nodes(self) -> list[dict[str, Any]]:
        return [node(self.states.pop(0) if len(self.states) > 1 else self.states[0])]

    def info(self) -> dict[str, Any]:
        return {"Swarm": {"ControlAvailable": True, "LocalNodeState": "active", "NodeID": "n1"}}

    def services(self) -> list[Any]:
        return []

    def tasks(self) -> list[Any]:
        return []

    def networks(self) -> list[Any]:
        return []

    def secrets(self, filters: Any) -> list[Any]:
        return []

    configs = secrets


NO_LEADER = (
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online."
)


class Voters(Leader):
    """A manager's engine while the managers elect a leader."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        super().__init__(monkeypatch, "ready")
        self.seconds = seconds

    def info(self) -> dict[str, Any]:
        found = super().info()
        if self.now < self.seconds / 2:
            found["Swarm"]["Error"] = NO_LEADER
        return found

    def nodes(self) -> list[dict[str, Any]]:
        if self.now < self.seconds:
            raise docker.errors.APIError(NO_LEADER)
        return super().nodes()


def test_an_election_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    voters = Voters(monkeypatch, 10)
    assert [one.state for one in Swarm(cast(Any, voters)).look().nodes] == ["ready"]
    assert voters.now == 10


def test_managers_that_elect_nobody_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    voters = Voters(monkeypatch, 1000)
    with pytest.raises(EngineError, match="no quorum of managers"):
        Swarm(cast(Any, voters)).look()
    assert voters.now == 30


@pytest.mark.parametrize("state", ["ready", "down"])
def test_a_node_that_a_new_leader_has_not_heard_from_is_waited_for(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    swarm = Swarm(cast(Any, Leader(monkeypatch, "unknown", "unknown", state)))
    assert [one.state for one in swarm.look().nodes] == [state]


def test_a_node_that_stays_unknown_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = Leader(monkeypatch, "unknown")
    assert [one.state for one in Swarm(cast(Any, leader)).nodes()] == ["unknown"]
    assert leader.now == 30
