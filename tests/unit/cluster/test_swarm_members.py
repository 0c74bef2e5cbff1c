# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a Swarm and who should be: every kind of trouble is told, and healing ends."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.filter.cluster_steps import cluster_steps
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_members import (
    ClusterError,
    choose_primary,
    find_strangers,
    manager_addresses,
    node_settings,
)
from hypothesis import given
from hypothesis import strategies as st

OUT = {"LocalNodeState": "inactive", "NodeID": ""}


def leads(node_id: str = "m1", swarm: str = "one", error: str = "") -> dict[str, Any]:
    return {
        "LocalNodeState": "active",
        "NodeID": node_id,
        "ControlAvailable": True,
        "Error": error,
        "Cluster": {"ID": swarm},
    }


def works(node_id: str, manager: str = "192.0.2.1:2377", state: str = "active") -> dict[str, Any]:
    return {"LocalNodeState": state, "NodeID": node_id, "RemoteManagers": [{"Addr": manager}]}


def member(name: str, role: str = "worker", swarm: Any = None, **changes: Any) -> dict[str, Any]:
    made = {"name": name, "role": role, "availability": "active", "labels": {}, "resources": [], "live_restore": False}
    return {**made, "swarm": OUT if swarm is None else swarm, **changes}


def node(node_id: str, name: str, address: str = "192.0.2.1", state: str = "ready", **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ID": node_id, "Description": {"Hostname": name}, "Status": {"State": state, "Addr": address},
        "Spec": {"Role": changes.get("role", "worker"), "Labels": changes.get("labels", {}), "Availability": "active"},
    }  # fmt: skip
    if changes.get("role") == "manager":
        made["ManagerStatus"] = {
            "Addr": f"{address}:2377",
            "Reachability": "reachable" if state == "ready" else "unreachable",
        }
    return made


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([member("a", "manager"), member("b")], {"primary": "a", "init": True, "force": False}),
        ([member("b"), member("a", "manager")], {"primary": "a", "init": True, "force": False}),
        ([member("a", "manager"), member("b", "manager", leads())], {"primary": "b", "init": False, "force": False}),
        (
            [member("a", "worker", leads("m2")), member("b", "manager", leads())],
            {"primary": "b", "init": False, "force": False},
        ),
    ],
)
def test_who_speaks_for_the_swarm(members: list[Any], expected: dict[str, Any]) -> None:
    assert choose_primary(members) == cluster_steps(members) == expected


QUORUM = "rpc error: code = Unknown desc = The swarm does not have a leader."


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([member("a"), member("b")], "No host is a manager"),
        (
            [member("a", "boss"), member("b", "manager")],
            "a: the role in the Swarm is 'boss': expected one of manager, worker",
        ),
        ([member("a", "manager", availability="lazy")], "availability in the Swarm is 'lazy'"),
        ([member("a", "manager", resources=["GPU"])], "expected kind=value"),
        ([member("a", "manager", labels={"codeopen.former": "x"})], "the collection's own"),
        ([member("a", "manager", live_restore=True)], "engine_live_restore: false"),
        ([member("a", "manager", {"LocalNodeState": "locked", "NodeID": "m1"})], "docker swarm unlock"),
        (
            [member("a", "manager", leads()), member("b", "manager", leads("m2", "two"))],
            "a and b manage different Swarms",
        ),
        ([member("a", "manager", leads(error=QUORUM)), member("b", "manager")], "no quorum"),
        ([member("a", "manager"), member("b", "worker", works("w1"))], "b: in a Swarm none of whose managers"),
        ([member("a", "worker", leads()), member("b", "manager")], "leave it a manager for one run"),
    ],
)
def test_what_stands_against_it_is_told(members: list[Any], words: str) -> None:
    with pytest.raises(ClusterError) as caught:
        choose_primary(members)
    assert words in str(caught.value)


def test_a_lost_quorum_is_forced_only_when_somebody_says_so() -> None:
    members = [member("a", "manager", leads(error=QUORUM)), member("b", "manager")]
    assert choose_primary(members, force_new=True) == {"primary": "a", "init": True, "force": True}
    healthy = [member("a", "manager", leads()), member("b", "manager", leads("m2"))]
    assert choose_primary(healthy, force_new=True) == {"primary": "a", "init": False, "force": False}


def test_hosts_join_and_those_that_were_removed_leave_first() -> None:
    nodes = [node("m1", "a", role="manager")]
    members = [
        member("a", "manager", leads()),
        member("b"),
        member("c", "worker", works("gone")),
        member("d", "worker", works("x", state="error")),
    ]
    assert find_strangers(members, nodes) == {"leave": ["c", "d"], "join": ["b", "c", "d"]}
    assert manager_addresses(nodes) == ["192.0.2.1:2377"]
    foreign = member("e", "worker", works("far", "198.51.100.9:2377"))
    with pytest.raises(ClusterError, match=r"e: in another Swarm \(198\.51\.100\.9:2377\)"):
        find_strangers([*members, foreign], nodes)


def test_what_is_left_of_a_reset_machine_goes_and_its_ids_are_kept() -> None:
    nodes = [
        node("m1", "a", role="manager"),
        node("new", "b", "192.0.2.2"),
        node("old", "b", "192.0.2.2", "down", role="manager", labels={"codeopen.former": "oldest"}),
        # Another machine of the same name, and one that has just stopped answering.
        node("other", "b", "192.0.2.9", "down"),
        node("alive", "b", "192.0.2.2", "ready"),
    ]
    members = [member("a", "manager", leads()), member("b", swarm=works("new"), labels={"zone": "x"}), member("c")]
    first, second = node_settings(members, nodes)
    assert first["stale"] == []
    assert first["labels"] == {}
    assert second["stale"] == [{"id": "old", "manager": True}]
    assert second["labels"] == {"zone": "x", "codeopen.former": "oldest,old"}


@given(st.lists(st.sampled_from(["out", "in", "removed", "reset"]), min_size=1, max_size=6))
def test_after_the_steps_every_host_is_in_and_nothing_is_left_to_do(states: list[str]) -> None:
    nodes = [node("m1", "m", "192.0.2.1", role="manager")]
    members = [member("m", "manager", leads())]
    for index, state in enumerate(states):
        address, name = f"192.0.2.{index + 10}", f"w{index}"
        if state in ("in", "reset"):
            nodes.append(node(f"old{index}", name, address, "ready" if state == "in" else "down"))
        swarm = {"in": works(f"old{index}"), "removed": works(f"old{index}"), "out": OUT, "reset": OUT}[state]
        members.append(member(name, swarm=swarm))
    steps = find_strangers(members, nodes)
    assert set(steps["leave"]) <= set(steps["join"])
    assert steps["join"] == [f"w{index}" for index, state in enumerate(states) if state != "in"]
    for index, state in enumerate(states):
        if state != "in":
            nodes.append(node(f"new{index}", f"w{index}", f"192.0.2.{index + 10}"))
            members[index + 1]["swarm"] = works(f"new{index}")
    settings = node_settings(members, nodes)
    stale = [one["id"] for setting in settings for one in setting["stale"]]
    assert stale == [f"old{index}" for index, state in enumerate(states) if state == "reset"]
    left = [
        dict(one, Spec=dict(one["Spec"], Labels=setting_of(settings, one))) for one in nodes if one["ID"] not in stale
    ]
    assert find_strangers(members, left) == {"leave": [], "join": []}
    again = node_settings(members, left)
    assert [setting["labels"] for setting in again] == [setting["labels"] for setting in settings]
    assert not any(setting["stale"] for setting in again)


def setting_of(settings: list[dict[str, Any]], one: dict[str, Any]) -> dict[str, str]:
    """The labels that a node has once its settings are done."""
    return next((setting["labels"] for setting in settings if setting["id"] == one["ID"]), {})
