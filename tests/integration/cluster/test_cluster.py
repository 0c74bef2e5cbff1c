# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role cluster forms a Swarm of three machines, heals it, and says what it cannot heal."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from swarm_cluster import Cluster, changed
from swarm_machines import machines

pytestmark = pytest.mark.engine


def test_check_mode_before_there_is_a_swarm_says_that_three_hosts_change(cluster: Cluster) -> None:
    assert cluster.checked is not None
    assert cluster.checked.returncode == 0, cluster.checked.stdout + cluster.checked.stderr
    assert changed(cluster.checked) == 3, cluster.checked.stdout


def test_the_inventory_is_a_swarm_and_a_second_run_changes_nothing(cluster: Cluster) -> None:
    nodes = {node["Description"]["Hostname"]: node for node in cluster.nodes()}
    assert {name: node["Spec"]["Role"] for name, node in nodes.items()} == {
        "m1": "manager",
        "w1": "worker",
        "w2": "worker",
    }
    assert all(node["Status"]["State"] == "ready" for node in nodes.values())
    assert nodes["w2"]["Spec"]["Labels"]["disk"] == "ssd"
    again = cluster.form()
    assert changed(again) == 0, again.stdout
    assert changed(cluster.form("--check", "--diff")) == 0


def test_no_token_is_shown_however_talkative_ansible_is(cluster: Cluster) -> None:
    assert cluster.first is not None
    shown = cluster.first.stdout + cluster.first.stderr
    tokens = cluster.manager.docker.api.inspect_swarm()["JoinTokens"]
    assert "SWMTKN" not in shown
    assert not any(token in shown for token in tokens.values())


def test_a_worker_that_was_reset_joins_again_and_what_was_left_of_it_goes(cluster: Cluster) -> None:
    old = cluster.node("w1")["ID"]
    cluster["w1"].docker.api.leave_swarm(force=True)
    cluster.wait_state("w1", "down")
    assert changed(cluster.form("--check")) == 1
    cluster.form()
    new = cluster.node("w1")
    assert new["ID"] != old
    assert old in new["Spec"]["Labels"]["codeopen.former"].split(",")
    assert old not in [node["ID"] for node in cluster.nodes()]
    again = cluster.form()
    assert changed(again) == 0, again.stdout


def test_a_node_that_was_removed_by_force_joins_again(cluster: Cluster) -> None:
    old = cluster.node("w2")["ID"]
    cluster.manager.docker.api.remove_node(old, force=True)
    cluster.form()
    assert cluster.node("w2")["ID"] != old
    assert cluster.node("w2")["Spec"]["Labels"]["disk"] == "ssd"
    assert changed(cluster.form()) == 0


def test_availability_labels_and_roles_are_put_right(cluster: Cluster) -> None:
    node = cluster.node("w2")
    spec = dict(node["Spec"], Availability="drain", Role="manager", Labels={"disk": "hdd", "own": "kept"})
    cluster.manager.docker.api.update_node(node["ID"], node["Version"]["Index"], spec)
    assert changed(cluster.form("--check")) == 1
    cluster.form()
    found = cluster.node("w2")["Spec"]
    assert (found["Availability"], found["Role"]) == ("active", "worker")
    assert found["Labels"] == {"disk": "ssd", "own": "kept"}
    cluster.until(lambda: changed(cluster.form()) == 0)


def test_the_engine_learns_its_generic_resources(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "daemon.json"
    mine = dict(cluster.variables["m1"], cluster_generic_resources=["NVIDIA-GPU=GPU-cccc"], cluster_daemon_config_file=str(config))
    others = cluster.variables
    try:
        cluster.variables = {**others, "m1": mine}
        cluster.form()
        assert json.loads(config.read_text()) == {"node-generic-resources": ["NVIDIA-GPU=GPU-cccc"]}
        assert changed(cluster.form()) == 0
    finally:
        cluster.variables = others


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"codeopen_swarm_role": "worker"}, "No host is a manager"),
        ({"codeopen_swarm_role": "boss"}, "expected one of manager, worker"),
        ({"cluster_labels": {"codeopen.former": "x"}}, "the collection's own"),
    ],
)
def test_mistakes_of_the_inventory_are_told(cluster: Cluster, variables: dict[str, Any], words: str) -> None:
    done = cluster.play("cluster", **variables)
    assert done.returncode != 0
    assert words in done.stdout.replace("\\'", "'"), done.stdout


def test_a_lost_quorum_is_told_and_forced_only_when_asked_for(tmp_path: Path) -> None:
    with machines(f"q{secrets.token_hex(2)}", "m1", "m2") as made:
        pair = Cluster(made, tmp_path)
        pair.form(codeopen_swarm_role="manager")
        assert [node["Spec"]["Role"] for node in pair.nodes()] == ["manager", "manager"]
        pair["m2"].kill()
        del pair.variables["m2"]
        pair.until(lambda: "quorum" in pair.play("cluster", codeopen_swarm_role="manager").stdout)
        lost = pair.play("cluster", codeopen_swarm_role="manager")
        assert lost.returncode != 0
        assert "cluster_force_new_cluster" in lost.stdout
        pair.form(codeopen_swarm_role="manager", cluster_force_new_cluster=True)
        assert pair.node("m1")["ManagerStatus"]["Leader"]
        again = pair.form(codeopen_swarm_role="manager", cluster_force_new_cluster=True)
        assert changed(again) == 0, again.stdout
