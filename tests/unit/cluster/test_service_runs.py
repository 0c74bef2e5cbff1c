# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs over workspaces of a Swarm that is not there: what they refuse, find under way, and leave for a way back."""

from __future__ import annotations

import copy
import dataclasses
import threading
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import service_fleet, service_watch
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_fleet import ServiceFleet
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import Amounts, Node
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_run import SwarmSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import SecretFile
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Record, ServiceChanged, SwarmState

GIB = 1024**3


class Swarm:
    """Stands in for a Swarm of one node, which does at once what it is told, unless ``on_update`` does otherwise.

    :ivar later: steps, one taken at each look at a service.
    """

    def __init__(self) -> None:
        self.node = Node("n1", "w1", "192.0.2.1", "ready", "active", {}, Amounts(8 * 10**9, 8 * GIB))
        self.services: dict[str, dict[str, Any]] = {}
        self.every_task: list[dict[str, Any]] = []
        self.secrets: dict[str, SecretFile] = {}
        self.records: dict[str, Record] = {}
        self.on_update: Callable[[dict[str, Any]], None] = self.finish
        self.later: list[Callable[[], None]] = []
        self.sent = 0

    def look(self) -> SwarmState:
        by_service: dict[str, list[Any]] = {}
        for task in copy.deepcopy(self.every_task):
            by_service.setdefault(task["ServiceID"], []).append(task)
        secrets: dict[str, list[SecretFile]] = {}
        for name, secret in self.secrets.items():
            secrets.setdefault(name.split("-")[1], []).append(secret)
        services = {made["Spec"]["Name"]: made for made in copy.deepcopy(self.services).values()}
        networks = {"codeopen": "net1"}
        return SwarmState([self.node], services, by_service, secrets, dict(self.records), networks, "n1")

    def nodes(self) -> list[Node]:
        return [self.node]

    def inspect(self, service_id: str) -> dict[str, Any]:
        if self.later:
            self.later.pop(0)()
        return copy.deepcopy(self.services[service_id])

    def tasks(self, service_id: str) -> list[dict[str, Any]]:
        return [copy.deepcopy(task) for task in self.every_task if task["ServiceID"] == service_id]

    def create(self, request: dict[str, Any]) -> str:
        made = {"ID": f"s{len(self.services)}", "Version": {"Index": 1}, "Spec": copy.deepcopy(request)}
        self.services[str(made["ID"])] = made
        self.start(made)
        return str(made["ID"])

    def update(self, service: dict[str, Any], request: dict[str, Any], back: bool = False) -> None:
        found = self.services[service["ID"]]
        if service["Version"] != found["Version"]:
            raise ServiceChanged("update out of sequence")
        self.sent += 1
        if back:
            self.roll_back(found)
            return
        self.begin(found, request)
        self.on_update(found)

    def begin(self, found: dict[str, Any], request: dict[str, Any]) -> None:
        """An update: the old container stops, the new one is not healthy yet. With no new one it is no update."""
        found.update(PreviousSpec=found["Spec"], Spec=copy.deepcopy(request))
        found.pop("UpdateStatus", None)
        self.touch(found)
        if not request["Mode"]["Replicated"]["Replicas"]:
            self.end(found, "shutdown")
            return
        found["UpdateStatus"] = {"State": "updating", "StartedAt": self.clock()}
        self.end(found, "shutdown")
        self.start(found, "starting")

    def finish(self, found: dict[str, Any]) -> None:
        if "UpdateStatus" in found:
            found["UpdateStatus"] = {"State": "completed"}
            self.every_task[-1]["Status"]["State"] = "running"

    def roll_back(self, found: dict[str, Any]) -> None:
        self.end(found, "failed", "task: unhealthy container")
        found["Spec"] = found.pop("PreviousSpec")
        found["UpdateStatus"] = {"State": "rollback_completed", "Message": "rollback completed"}
        self.touch(found)
        self.start(found)

    def start(self, found: dict[str, Any], state: str = "running") -> None:
        spec = copy.deepcopy(found["Spec"]["TaskTemplate"])
        self.every_task.append(
            {
                "ID": f"t{len(self.every_task)}", "CreatedAt": self.clock(), "ServiceID": found["ID"], "NodeID": "n1",
                "DesiredState": "running", "Status": {"State": state}, "Spec": spec,
            }
        )  # fmt: skip

    def end(self, found: dict[str, Any], state: str, error: str = "") -> None:
        last = [task for task in self.every_task if task["ServiceID"] == found["ID"]][-1]
        last.update(DesiredState="shutdown", Status={"State": state, "Err": error})

    def touch(self, found: dict[str, Any]) -> None:
        found["Version"] = {"Index": found["Version"]["Index"] + 1}

    def clock(self) -> str:
        return f"2030-01-01T00:00:{len(self.every_task):02}Z"

    def create_secret(self, workspace: str, file: str, name: str, value: str) -> SecretFile:
        self.secrets[name] = SecretFile(file, name, f"id-{name}")
        return self.secrets[name]

    def remove_secret(self, secret: SecretFile) -> None:
        self.secrets.pop(secret.name, None)

    def write_record(self, workspace: str, record: Record) -> Record:
        self.records[workspace] = dataclasses.replace(record, id=f"c-{workspace}")
        return self.records[workspace]

    def recipe(self, image: str) -> Optional[str]:
        return None

    def log_lines(self, task_id: str) -> list[str]:
        return []

    def ensure_networks(self, owners: Any, there: dict[str, str]) -> dict[str, str]:
        return there

    def remove_unused_networks(self) -> None:
        pass

    def pause(self) -> None:
        self.node = dataclasses.replace(self.node, availability="pause")

    def lose_node(self) -> None:
        self.node = dataclasses.replace(self.node, state="down")


class Runs:
    """Runs over one Swarm."""

    def __init__(self, folder: Path) -> None:
        self.swarm = Swarm()
        self.folder = folder

    def __call__(self, *entries: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
        given = {"state_dir": str(self.folder), "health_timeout": 5, **settings}
        made = ServiceFleet(None, SwarmSettings(**given), threading.Event(), lambda line: None)  # type: ignore[arg-type]
        return made.converge(entries)

    def service(self) -> dict[str, Any]:
        """The only service."""
        found = list(self.swarm.services.values())
        assert len(found) == 1
        return found[0]

    def secret_names(self, file: str) -> set[str]:
        return {secret.name for secret in self.swarm.secrets.values() if secret.file == file}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs(tmp_path)
    monkeypatch.setattr(service_fleet, "Swarm", lambda client: made.swarm)
    monkeypatch.setattr(service_watch, "_POLL", 0.001)
    monkeypatch.setattr(service_watch, "_LASTING", 0.01)
    return made


def entry(name: str = "demo", **changes: Any) -> dict[str, Any]:
    """A workspace of the plan."""
    made: dict[str, Any] = {
        "name": name, "image": "codeopen-python:0.1.0", "recipe": "", "tier": "builder", "cpus": 0.5, "memory": GIB,
        "ports": [], "volumes": [{"name": "home", "path": "/home/developer"}], "environment": {}, "gpus": 0,
    }  # fmt: skip
    made.update(changes)
    return made


def interrupted(runs: Runs, changed: dict[str, Any]) -> None:
    """Leave an update under way, as a run does that was interrupted."""
    # What a finished run would have made of it.
    other = copy.deepcopy(runs.service()["Spec"])
    runs(changed)
    new = copy.deepcopy(runs.service()["Spec"])
    runs.service()["Spec"] = other
    runs.swarm.begin(runs.service(), new)


@pytest.mark.parametrize("seen", [False, True])
def test_an_update_found_under_way_that_is_rolled_back_is_a_failure(runs: Runs, seen: bool) -> None:
    """``seen``: the container had failed before the run began to look."""
    changed = entry(environment={"MODE": "never"})
    runs(entry())
    interrupted(runs, changed)
    if seen:
        runs.swarm.end(runs.service(), "failed", "task: unhealthy container")
        runs.swarm.start(runs.service(), "starting")
    runs.swarm.later = [lambda: None, lambda: runs.swarm.roll_back(runs.service())]
    sent = runs.swarm.sent
    (result,) = runs(changed)
    assert (result["action"], result["changed"], result["state"]) == ("none", False, "failed")
    assert result["rolled_back"] is True
    assert "on w1: task: unhealthy container" in result["reason"]
    assert runs.swarm.sent == sent
    # The next one tries again.
    assert runs(changed)[0]["action"] == "update"


def test_an_update_found_under_way_that_is_done_in_the_end_is_none(runs: Runs) -> None:
    changed = entry(environment={"TEXT": "other"})
    runs(entry())
    interrupted(runs, changed)
    runs.swarm.later = [lambda: None, lambda: runs.swarm.finish(runs.service())]
    (result,) = runs(changed)
    assert (result["action"], result["changed"], result["state"], result.get("error")) == (
        "none",
        False,
        "started",
        None,
    )


def test_an_update_found_under_way_that_gets_nowhere_is_taken_back(runs: Runs) -> None:
    changed = entry(environment={"MODE": "slow"})
    runs(entry())
    interrupted(runs, changed)
    (result,) = runs(changed, health_timeout=0.05)
    assert (result["rolled_back"], result["changed"]) == (True, True)
    assert "was not healthy within 0.05 seconds" in result["reason"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("changes", [{"environment": {"TEXT": "other"}}, {"state": "restarted"}])
def test_what_runs_on_a_paused_node_is_not_replaced(runs: Runs, changes: dict[str, Any], check_mode: bool) -> None:
    runs(entry())
    runs.swarm.pause()
    (result,) = runs(entry(**changes), check_mode=check_mode)
    assert "its node w1 is paused and starts no container" in result["error"]
    assert (result["changed"], result["action"], result["state"]) == (False, "none", "failed")
    assert "diff" not in result
    assert runs.swarm.sent == 0
    # It runs on, and may be stopped.
    assert "error" not in runs(entry())[0]
    assert runs(entry(state="stopped"), check_mode=True)[0]["action"] == "stop"


def test_two_that_grow_together_have_to_fit_together(runs: Runs) -> None:
    runs(entry("a", memory=2 * GIB), entry("b", memory=2 * GIB))
    first, second = runs(entry("a", memory=5 * GIB), entry("b", memory=5 * GIB))
    assert "error" not in first
    assert "w1, where it runs, has no room for it" in second["error"]
    assert second["changed"] is False


def test_what_shrinks_makes_room_for_the_next_run_only(runs: Runs) -> None:
    runs(entry("a", memory=5 * GIB), entry("b", memory=2 * GIB))
    small, large = entry("a", memory=GIB), entry("b", memory=6 * GIB)
    # It may go back to what it was.
    assert ["error" in result for result in runs(small, large)] == [False, True]
    assert ["error" in result for result in runs(small, large)] == [False, False]


def test_what_starts_beside_one_that_grows_has_to_fit_too(runs: Runs) -> None:
    runs(entry("a"), entry("b", memory=5 * GIB))
    runs(entry("b", memory=5 * GIB, state="stopped"))
    started, grown = runs(entry("b", memory=5 * GIB), entry("a", memory=4 * GIB), check_mode=True)
    assert started["action"] == "start"
    assert "has no room for it" in grown["error"]
    # What can never start takes no room from others.
    other = runs(entry("b", memory=50 * GIB), entry("a", memory=4 * GIB), check_mode=True)[1]
    assert "error" not in other


def test_a_service_that_the_swarm_touched_meanwhile_is_changed_all_the_same(runs: Runs) -> None:
    runs(entry())
    look = runs.swarm.look

    def stale() -> SwarmState:
        state = look()
        runs.swarm.touch(runs.service())
        return state

    runs.swarm.look = stale  # type: ignore[method-assign]
    (result,) = runs(entry(environment={"TEXT": "other"}))
    assert (result["action"], result["state"], result.get("error")) == ("update", "started", None)


def test_a_service_that_somebody_changed_meanwhile_is_left_alone(runs: Runs) -> None:
    runs(entry())
    look = runs.swarm.look

    def stale() -> SwarmState:
        state = look()
        runs.service()["Spec"]["TaskTemplate"]["ForceUpdate"] = 7
        runs.swarm.touch(runs.service())
        return state

    runs.swarm.look = stale  # type: ignore[method-assign]
    (result,) = runs(entry(environment={"TEXT": "other"}))
    assert "the service codeopen-demo is not what it was when this run looked at it" in result["error"]
    assert runs.swarm.sent == 0


def test_secrets_of_what_was_before_stay_while_the_swarm_may_go_back_to_it(runs: Runs) -> None:
    def given(value: str) -> dict[str, Any]:
        return {"secrets": {"demo": {"token": value}}}

    runs(entry(), **given("one"))
    (old,) = runs.secret_names("token")
    runs.swarm.on_update = lambda found: runs.swarm.lose_node()
    (result,) = runs(entry(), **given("two"))
    assert result["state"] == "waiting"
    assert "which is down" in result["error"]
    both = runs.secret_names("token")
    assert old in both
    assert len(both) == 2
    # Back again, it gets healthy: the old one is not needed any more.
    runs.swarm.node = dataclasses.replace(runs.swarm.node, state="ready")
    runs.swarm.finish(runs.service())
    assert "error" not in runs(entry(), **given("two"))[0]
    assert runs.secret_names("token") == both - {old}


def test_secrets_of_an_update_that_was_taken_back_go(runs: Runs) -> None:
    runs(entry(), secrets={"demo": {"token": "one"}})
    old = runs.secret_names("token")
    runs.swarm.on_update = runs.swarm.roll_back
    (result,) = runs(entry(), secrets={"demo": {"token": "two"}})
    assert result["rolled_back"] is True
    assert runs.secret_names("token") == old


def test_secrets_that_a_stopped_one_had_before_go(runs: Runs) -> None:
    runs(entry(), secrets={"demo": {"token": "one"}})
    (old,) = runs.secret_names("token")
    runs(entry(state="stopped"), secrets={"demo": {"token": "two"}})
    assert len(runs.secret_names("token")) == 1
    assert old not in runs.secret_names("token")
