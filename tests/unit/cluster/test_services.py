# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for workspaces, numbers for their ports, and what their tasks say."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import service_verdict as verdicts
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError, RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import (
    Amounts,
    Node,
    choose_node,
    follow,
    held,
    needs_of,
    parse_node,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_ports import assign_numbers
from hypothesis import given
from hypothesis import strategies as st

GIB = 1024**3


def node(name: str, memory: int = 8 * GIB, cpus: int = 4, gpus: int = 0, **changes: Any) -> Node:
    generic = {"NVIDIA-GPU": gpus} if gpus else {}
    given = {"state": "ready", "availability": "active", "labels": {}, "former": (), **changes}
    return Node(f"id-{name}", name, "192.0.2.1", whole=Amounts(cpus * 10**9, memory, generic), **given)


def needs(memory: int = GIB, cpus: float = 1, gpus: int = 0) -> Amounts:
    return needs_of({"name": "demo", "cpus": cpus, "memory": memory, "gpus": gpus})


def test_it_goes_where_the_most_memory_is_left() -> None:
    nodes = [node("a"), node("b", memory=16 * GIB), node("c")]
    assert choose_node(needs(), {}, nodes, {}).name == "b"
    assert choose_node(needs(), {}, nodes, {"id-b": Amounts(0, 15 * GIB)}).name == "a"


def test_labels_gpus_and_availability_decide_before_room_does() -> None:
    nodes = [
        node("a", labels={"zone": "x"}),
        node("b", gpus=2),
        node("c", availability="drain"),
        node("d", state="down"),
    ]
    assert choose_node(needs(), {"zone": "x"}, nodes, {}).name == "a"
    assert choose_node(needs(gpus=1), {}, nodes, {}).name == "b"
    # All GPUs are taken: it waits where there are some, and stays where it waits.
    taken = {"id-b": Amounts(generic={"NVIDIA-GPU": 2})}
    assert (
        choose_node(needs(gpus=1), {}, [*nodes, node("e", gpus=2)], {**taken, "id-e": taken["id-b"]}, "id-e").name
        == "e"
    )


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"zome": "x"}, "no node has the label 'zome'; did you mean 'zone'? (there are: disk, zone)"),
        ({"zone": "y"}, "no node has zone=y (a has x)"),
        ({"zone": "x", "disk": "ssd"}, "no node has all of these labels"),
        ({"disk": "ssd"}, "takes services now: b is drained"),
    ],
)
def test_where_no_node_fits_the_message_says_what_there_is(wanted: dict[str, str], words: str) -> None:
    nodes = [node("a", labels={"zone": "x"}), node("b", availability="drain", labels={"disk": "ssd"})]
    with pytest.raises(RolloutError) as caught:
        choose_node(needs(), wanted, nodes, {})
    assert words in str(caught.value)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.lists(st.integers(4, 16), min_size=1, max_size=4))
def test_no_node_gets_more_than_it_has_while_another_one_has_room(wishes: list[int], sizes: list[int]) -> None:
    nodes = [node(f"n{index}", memory=size * GIB, cpus=100) for index, size in enumerate(sizes)]
    taken: dict[str, Amounts] = {}
    for wish in wishes:
        chosen = choose_node(needs(memory=wish * GIB), {}, nodes, taken)
        room = [one for one in nodes if taken.get(one.id, Amounts()).plus(needs(memory=wish * GIB)).fits_in(one.whole)]
        assert not room or chosen in room
        taken[chosen.id] = taken.get(chosen.id, Amounts()).plus(needs(memory=wish * GIB))


def test_a_machine_that_was_reset_is_known_by_its_former_ids() -> None:
    new = node("a", former=("old1", "old2"))
    assert follow("old1", [node("b"), new]) == new
    assert follow("id-a", [new]) == new
    assert follow("other", [new]) is None


def test_a_node_of_the_managers_list() -> None:
    row = {
        "ID": "n1",
        "Spec": {"Labels": {"zone": "x", "codeopen.former": "n0"}, "Availability": "active", "Role": "manager"},
        "Description": {
            "Hostname": "w1",
            "Resources": {
                "NanoCPUs": 2 * 10**9,
                "MemoryBytes": GIB,
                "GenericResources": [
                    {"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-a"}},
                    {"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-b"}},
                    {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 3}},
                ],
            },
        },
        "Status": {"State": "ready", "Addr": "0.0.0.0"},
        "ManagerStatus": {"Addr": "192.0.2.7:2377"},
    }
    found = parse_node(row)
    assert found.whole == Amounts(2 * 10**9, GIB, {"NVIDIA-GPU": 2, "SSD": 3})
    assert (found.name, found.address, found.former) == ("w1", "192.0.2.7", ("n0",))


def test_what_tasks_hold_counts_until_they_have_ended() -> None:
    def made(state: str, service: str = "s") -> dict[str, Any]:
        reserved = {"Reservations": {"NanoCPUs": 5, "MemoryBytes": 7}}
        return {"NodeID": "n1", "ServiceID": service, "Status": {"State": state}, "Spec": {"Resources": reserved}}

    tasks = [made("running"), made("starting"), made("failed"), made("running", "going")]
    assert held(tasks, but=["going"]) == {"n1": Amounts(10, 14)}


NUMBERS = st.integers(100, 130)
WISHES = st.dictionaries(
    st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), st.none() | NUMBERS, max_size=3), max_size=3
)
RECORDED = st.dictionaries(
    st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), NUMBERS, max_size=3), max_size=3
)


@given(WISHES, RECORDED, st.sets(NUMBERS))
def test_numbers_are_never_given_twice_and_stay(
    wishes: dict[str, dict[str, Optional[int]]], recorded: dict[str, dict[str, int]], taken: set[int]
) -> None:
    asked = [wish for ports in wishes.values() for wish in ports.values() if wish]
    if len(set(asked)) < len(asked) or taken & set(asked):
        with pytest.raises(PlanError, match="which another one in the Swarm has"):
            assign_numbers(wishes, recorded, taken, range(100, 160))
        return
    first = assign_numbers(wishes, recorded, taken, range(100, 160))
    every = [number for ports in first.values() for number in ports.values()]
    assert len(set(every)) == len(every)
    assert not taken & set(every)
    assert {name: set(ports) for name, ports in first.items()} == {name: set(ports) for name, ports in wishes.items()}
    assert assign_numbers(wishes, first, taken, range(100, 160)) == first


def test_too_few_numbers_are_an_error() -> None:
    with pytest.raises(PlanError, match="2 ports are to be chosen, and 1 of 100-101 are free"):
        assign_numbers({"a": {"x": None, "y": None}}, {}, {100}, range(100, 102))


HOME = node("w1")
NAMES = {"id-w1": "w1", "id-w2": "w2"}


def task(name: str, state: str, desired: str = "running", error: str = "", where: str = "id-w1") -> dict[str, Any]:
    return {
        "ID": name, "CreatedAt": f"2030-01-01T00:00:{name[-1]}Z", "NodeID": where, "DesiredState": desired,
        "Status": {"State": state, "Err": error}, "Spec": {"ContainerSpec": {"Image": "codeopen-python:0.1.0"}},
    }  # fmt: skip


NO_NODE = "no suitable node (insufficient resources on 1 node)"
OLD = task("t1", "running")


@pytest.mark.parametrize(
    ("status", "tasks", "before", "updated", "home", "kind", "words"),
    [
        ("", [OLD], [], False, HOME, verdicts.SERVES, "it runs on w1"),
        ("", [], [], False, HOME, verdicts.WAITING, "no task yet"),
        ("", [task("t1", "starting")], [], False, HOME, verdicts.WAITING, "starting"),
        ("", [task("t1", "pending", error=NO_NODE, where="")], [], False, HOME, verdicts.UNPLACED, NO_NODE),
        ("", [task("t1", "failed", "shutdown", "exit (3)")], [], False, HOME, verdicts.FAILED, "on w1: exit (3)"),
        (
            "",
            [task("t1", "failed", "shutdown", "exit (3)"), task("t2", "ready", "ready")],
            ["t1"],
            False,
            HOME,
            verdicts.WAITING,
            "ready",
        ),
        ("", [task("t1", "complete", "shutdown")], [], False, HOME, verdicts.FAILED, "exit code 0"),
        (
            "",
            [task("t1", "rejected", "shutdown", "No such image: codeopen-python:0.1.0")],
            [],
            False,
            HOME,
            verdicts.FAILED,
            "w1 has not got codeopen-python:0.1.0",
        ),
        (
            "",
            [task("t1", "running", "shutdown"), task("t2", "pending", error=NO_NODE, where="")],
            ["t1"],
            True,
            HOME,
            verdicts.WAITING,
            "its predecessor stops",
        ),
        (
            "",
            [task("t1", "pending", error="no suitable node (host-mode port already in use on 1 node)", where="")],
            [],
            False,
            HOME,
            verdicts.WAITING,
            "already in use",
        ),
        ("updating", [OLD, task("t2", "starting")], ["t1"], True, HOME, verdicts.WAITING, "starting"),
        (
            "updating",
            [task("t1", "shutdown", "shutdown"), task("t2", "running")],
            ["t1"],
            True,
            HOME,
            verdicts.WAITING,
            "running",
        ),
        (
            "updating",
            [task("t2", "failed", "shutdown", "unhealthy")],
            ["t1"],
            True,
            HOME,
            verdicts.WAITING,
            "no task yet",
        ),
        (
            "completed",
            [task("t1", "shutdown", "shutdown"), task("t2", "running")],
            ["t1"],
            True,
            HOME,
            verdicts.SERVES,
            "w1",
        ),
        (
            "rollback_started",
            [task("t2", "failed", "shutdown", "x"), task("t3", "starting")],
            ["t1"],
            True,
            HOME,
            verdicts.WAITING,
            "goes back",
        ),
        (
            "rollback_completed",
            [task("t2", "failed", "shutdown", "unhealthy"), task("t3", "running")],
            ["t1"],
            True,
            HOME,
            verdicts.ROLLED_BACK,
            "on w1: unhealthy",
        ),
        (
            "rollback_paused",
            [task("t2", "failed", "shutdown", "unhealthy")],
            ["t1"],
            True,
            HOME,
            verdicts.STUCK,
            "unhealthy",
        ),
        # What an earlier update ended with says nothing about a service that nothing is done to.
        ("rollback_completed", [task("t3", "running")], ["t3"], False, HOME, verdicts.SERVES, "w1"),
        (
            "",
            [task("t1", "running", "shutdown"), task("t2", "pending", error=NO_NODE, where="")],
            [],
            False,
            node("w1", state="down"),
            verdicts.NODE_AWAY,
            "waits for its node w1, which is down",
        ),
        ("", [OLD], [], False, node("w1", availability="drain"), verdicts.NODE_AWAY, "drained"),
        ("", [task("t1", "running", where="id-w2")], [], False, None, verdicts.SERVES, "w2"),
    ],
)
def test_how_far_a_service_has_got(
    status: str, tasks: list[Any], before: list[str], updated: bool, home: Optional[Node], kind: str, words: str
) -> None:
    service = {"UpdateStatus": {"State": status, "Message": "said"}} if status else {}
    verdict = verdicts.judge(service, tasks, before, NAMES, home, updated)
    assert verdict.kind == kind
    assert words in verdict.words
