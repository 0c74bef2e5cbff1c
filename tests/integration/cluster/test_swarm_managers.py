# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three managers, of which the leader is cut off or lost: the others go on, and the Swarm is whole again afterwards."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from swarm_cluster import Cluster, Services, changed
from swarm_machines import machines
from test_swarm_faults import assert_one_after_the_other, writers

pytestmark = pytest.mark.engine

NAMES = ("m1", "m2", "m3")
# What the role has of the module's options that the tests set otherwise.
ROLE = {"stop_timeout": 10, "monitor": 5}
_LASTING = 5.0


@pytest.fixture(scope="module")
def managers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three machines that all manage one Swarm; each has its name as the label ``at``."""
    with machines(f"v{secrets.token_hex(2)}", *NAMES) as made:
        formed = Cluster(made, tmp_path_factory.mktemp("managers"))
        for name, variables in formed.variables.items():
            variables.update(codeopen_swarm_role="manager", codeopen_swarm_labels={"at": name})
        formed.form()
        yield formed


@pytest.fixture
def workspaces(managers: Cluster, tmp_path: Path) -> Iterator[Services]:
    made = Services(managers, tmp_path)
    yield made
    made.clean()


def leader(cluster: Cluster) -> str:
    """The name of the manager that leads; empty while there is none."""
    try:
        nodes = cluster.nodes()
    except docker.errors.APIError:
        return ""
    leading = [node for node in nodes if (node.get("ManagerStatus") or {}).get("Leader")]
    return str(leading[0]["Description"]["Hostname"]) if leading else ""


def votes(cluster: Cluster) -> dict[str, str]:
    """How the managers are reached, by the machine's name."""
    nodes = [node for node in cluster.nodes() if node.get("ManagerStatus")]
    found = {node["Description"]["Hostname"]: str(node["ManagerStatus"]["Reachability"]) for node in nodes}
    assert len(found) == len(nodes), nodes
    return found


def wait_whole(cluster: Cluster) -> None:
    """Wait until all machines are there and vote, and it lasts: one that comes back makes the others vote anew."""
    since = time.monotonic()

    def whole() -> bool:
        nonlocal since
        with contextlib.suppress(docker.errors.APIError):
            ready = [node["Status"]["State"] for node in cluster.nodes()] == ["ready"] * len(NAMES)
            if ready and votes(cluster) == dict.fromkeys(NAMES, "reachable") and leader(cluster):
                return time.monotonic() - since > _LASTING
        since = time.monotonic()
        return False

    # Each vote takes up to twenty seconds, and it may take several of them.
    cluster.until(whole, 240)


def lose_leader(cluster: Cluster, kill: bool) -> str:
    """Cut off the leader, or kill it; another one is asked from now on, while they elect a new one; its name."""
    lost = leader(cluster)
    cluster.asked = next(name for name in NAMES if name != lost)
    if kill:
        cluster[lost].kill()
    else:
        cluster[lost].cut()
    return lost


def deploy(workspaces: Services, *entries: dict[str, Any], **at: str) -> subprocess.CompletedProcess[str]:
    """Run the role workspaces on all hosts of the inventory.

    :param at: the machine of each workspace.
    """
    return workspaces.cluster.play(
        "workspaces",
        codeopen_orchestrator="swarm",
        codeopen_plan={"workspaces": list(entries)},
        workspaces_placements={workspaces.name(name): {"at": machine} for name, machine in at.items()},
        workspaces_health_timeout=60,
    )


def deployed(workspaces: Services, *entries: dict[str, Any], **at: str) -> int:
    """The same, which must succeed; how many tasks changed something."""
    done = deploy(workspaces, *entries, **at)
    assert done.returncode == 0, done.stdout + done.stderr
    return changed(done)


def kept(workspaces: Services) -> list[str]:
    """What the Swarm has of the workspaces of a test: services, records and secrets, each by its name's first part."""
    api = workspaces.cluster.manager.docker.api
    rows = [*api.services(), *api.configs(), *api.secrets()]
    names = [str(row["Spec"]["Name"]) for row in rows if workspaces.prefix in row["Spec"]["Name"]]
    return sorted("-".join(name.split("-")[:3]) for name in names)


def homes(workspaces: Services, name: str) -> list[str]:
    """The machines that have a home of a workspace."""
    volume = f"codeopen-{workspaces.name(name)}-home"
    return [one.name for one in workspaces.cluster.members.values() if one.file(volume, "").is_dir()]


def test_without_the_leader_the_others_deploy_and_its_workspaces_wait_for_it(
    workspaces: Services, managers: Cluster
) -> None:
    lost = leader(managers)
    others = [name for name in NAMES if name != lost]
    at = {"a": lost, "b": others[0], "c": others[1]}
    # It takes its time to stop, and writes meanwhile.
    a, b, c = workspaces.entry("a", mode="lingers"), workspaces.entry("b"), workspaces.entry("c")
    assert deployed(workspaces, a, b, **at) == 1
    home = managers[lost].file(f"codeopen-{workspaces.name('a')}-home", "writers")
    container, before = workspaces.only("b").id, kept(workspaces)
    assert lose_leader(managers, kill=False) == lost
    try:
        # At once: there is no leader yet, and a new one has to hear from the nodes before it knows about them.
        found = workspaces.ok(b, placement={"at": others[0]}, **ROLE)["workspaces"][0]
        assert (found["state"], found["changed"]) == ("started", False)
        assert workspaces.only("b").id == container
        managers.wait_state(lost, "down")
        assert "has no quorum" in workspaces.run(b, on=lost)["msg"]

        b = dict(b, memory=48 * 1024 * 1024)
        done = deploy(workspaces, a, b, c, **at)
        assert done.returncode != 0
        assert f"waits for its node {lost}, which is down" in done.stdout, done.stdout + done.stderr
        told = {one["name"]: one["state"] for one in workspaces.info("a", "b", "c")}
        assert told == {
            workspaces.name("a"): "waiting",
            workspaces.name("b"): "running",
            workspaces.name("c"): "running",
        }
        assert workspaces.only("b").id != container
        assert {name: workspaces.where(name) for name in at} == {name: [machine] for name, machine in at.items()}
        assert {name: homes(workspaces, name) for name in at} == {name: [machine] for name, machine in at.items()}
        again = deploy(workspaces, a, b, c, **at)
        assert changed(again) == 0, again.stdout
    finally:
        managers[lost].plug()
    wait_whole(managers)
    assert deployed(workspaces, a, b, c, **at) == 0
    assert {name: workspaces.where(name) for name in at} == {name: [machine] for name, machine in at.items()}
    assert {name: homes(workspaces, name) for name in at} == {name: [machine] for name, machine in at.items()}
    assert_one_after_the_other(writers(home))
    # A service, a record and the secrets of each, as if nothing had been.
    each = ["codeopen-" + workspaces.name(name) for name in at]
    assert kept(workspaces) == sorted(each * (len(before) // 2))


def test_a_manager_that_is_lost_leaves_the_vote_as_soon_as_its_machine_joins_anew(
    workspaces: Services, managers: Cluster
) -> None:
    lost = leader(managers)
    others = [name for name in NAMES if name != lost]
    at = {"a": lost, "b": others[0]}
    a, b = workspaces.entry("a"), workspaces.entry("b")
    assert deployed(workspaces, a, b, **at) == 1
    home = managers[lost].file(f"codeopen-{workspaces.name('a')}-home", "writers")
    before = {who for who, _when in writers(home)}
    old = managers.node(lost)["ID"]
    assert lose_leader(managers, kill=True) == lost
    managers.until(lambda: leader(managers) not in ("", lost))
    mine = managers.variables.pop(lost)
    managers.wait_state(lost, "down")

    # Without it in the inventory its vote stays, which is told.
    told = managers.form()
    assert changed(told) == 0, told.stdout
    assert f"'docker node demote {lost}'" in told.stdout.replace("\\'", "'"), told.stdout
    assert votes(managers)[lost] == "unreachable"
    done = deploy(workspaces, a, dict(b, cpus=0.2), **at)
    assert f"waits for its node {lost}, which is down" in done.stdout, done.stdout + done.stderr
    assert workspaces.info("b")[0]["configuration"]["cpus"] == 0.2

    # What it knew of the Swarm is gone, and it is a worker from now on: the two others vote.
    shutil.rmtree(managers[lost].folder / "data" / "swarm")
    managers[lost].start()
    managers.variables[lost] = dict(mine, codeopen_swarm_role="worker")
    managers.form()
    assert votes(managers) == dict.fromkeys(others, "reachable")
    assert old not in [node["ID"] for node in managers.nodes()]
    assert managers.node(lost)["Spec"]["Labels"] == {"at": lost, "codeopen.former": old}
    again = managers.form()
    assert changed(again) == 0, again.stdout
    assert deployed(workspaces, a, dict(b, cpus=0.2), **at) == 1
    assert workspaces.where("a") == [lost]
    wrote = writers(home)
    assert before < {who for who, _when in wrote}
    assert_one_after_the_other(wrote)

    # With three votes that count one may be away again.
    managers.variables[lost] = mine
    managers.form()
    wait_whole(managers)
    again = managers.form()
    assert changed(again) == 0, again.stdout
    away = lose_leader(managers, kill=False)
    try:
        stay = next(name for name in ("a", "b") if at[name] != away)
        assert workspaces.ok(workspaces.entry(stay, memory=48 * 1024 * 1024), placement={"at": at[stay]})["changed"]
    finally:
        managers[away].plug()
    wait_whole(managers)
