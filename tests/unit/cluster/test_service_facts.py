# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told about a workspace of a Swarm, from what the manager says of its service and tasks."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_facts import facts, known_workspaces
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import Amounts, Node
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import FENCE, SecretFile
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Record, SwarmState

NODES = [
    Node("n1", "w1", "192.0.2.1", "ready", "active", {}, Amounts()),
    Node("n2", "w2", "192.0.2.2", "down", "active", {}, Amounts()),
]
RUNNING = {"State": "running"}


def task(name: str, status: dict[str, Any], desired: str = "running", node: str = "n1") -> dict[str, Any]:
    created = f"2030-01-01T00:00:0{name[-1]}Z"
    return {"ID": name, "CreatedAt": created, "NodeID": node, "DesiredState": desired, "Status": status}


def swarm(
    tasks: list[dict[str, Any]], node: str = "n1", replicas: int = 1, update: Optional[dict[str, str]] = None
) -> SwarmState:
    service = {
        "ID": "s",
        "Spec": {
            "Name": "codeopen-a",
            "Labels": {
                "codeopen.workspace": "a", "codeopen.image": "codeopen-python:1", "codeopen.owner": "ada",
                "codeopen.tier": "builder", "codeopen.configuration": '{"cpus": 2}',
            },
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Labels": {"codeopen.planned-recipe": "abc"}}},
        },
        "UpdateStatus": update,
    }  # fmt: skip
    records = {"a": Record("key", node, True, {"web": 20000, FENCE: 20001}), "left": Record("key", "gone", True)}
    secrets = {"a": [SecretFile("token", "t1", "1"), SecretFile("token", "t2", "2"), SecretFile("password", "p", "3")]}
    return SwarmState(NODES, {"codeopen-a": service, "other": {"Spec": {}}}, {"s": tasks}, secrets, records, {}, "n1")


def test_all_of_a_workspace_that_runs() -> None:
    died = {"State": "failed", "Err": "task:  non-zero exit (3)", "ContainerStatus": {"ExitCode": 3}}
    state = swarm([task("t1", died, "shutdown"), task("t2", RUNNING)], update={"State": "completed", "Message": "m"})
    assert known_workspaces(state) == ["a", "left"]
    found = facts("a", state, 5)
    assert found == {
        "name": "a",
        "state": "running",
        "detail": "it runs on w1",
        "node": "w1",
        "image": "codeopen-python:1",
        "recipe": "abc",
        "owner": "ada",
        "tier": "builder",
        "configuration": {"cpus": 2},
        "ports": {"web": 20000},
        "urls": {"web": "http://192.0.2.1:20000"},
        "files": {"node": "w1", "settled": True},
        "secrets": ["password", "token"],
        "update": {"state": "completed", "message": "m"},
        "tasks": [
            {"time": "2030-01-01T00:00:02Z", "state": "running", "wished": "running", "node": "w1", "error": ""},
            {
                "time": "2030-01-01T00:00:01Z", "state": "failed", "wished": "shutdown", "node": "w1",
                "error": "task: non-zero exit (3)", "exit_code": 3,
            },
        ],
    }  # fmt: skip
    assert len(facts("a", state, 1)["tasks"]) == 1


@pytest.mark.parametrize(
    ("state", "word", "where", "detail"),
    [
        (swarm([], replicas=0), "stopped", "", ""),
        (swarm([task("t1", {"State": "starting"})]), "starting", "", "starting"),
        (swarm([task("t1", {"State": "failed", "Err": "exit (3)"}, "shutdown")]), "failed", "", "on w1: exit (3)"),
        (swarm([task("t1", {"State": "pending", "Err": "no room"}, node="")]), "pending", "", "no room"),
        (swarm([], node="n2"), "waiting", "", "it waits for its node w2, which is down"),
    ],
    ids=["stopped", "starting", "failed", "pending", "waiting"],
)
def test_the_state_and_why(state: SwarmState, word: str, where: str, detail: str) -> None:
    found = facts("a", state, 5)
    assert (found["state"], found["node"], found["detail"]) == (word, where, detail)


def test_one_of_which_only_the_files_are_left() -> None:
    assert facts("left", swarm([]), 5) == {
        "name": "left",
        "state": "absent",
        "files": {"node": "gone", "settled": True},
    }
