# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are cut off, killed and reset: never two writers, never an empty home elsewhere, and all comes back.

What has its files on all nodes is started elsewhere.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from swarm_cluster import Cluster, Services

pytestmark = pytest.mark.engine


def writers(path: Path) -> list[tuple[str, float]]:
    """Who wrote to a home, and when."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(line[0], float(line[1])) for line in lines if len(line) == 2]


def assert_one_after_the_other(wrote: list[tuple[str, float]]) -> None:
    """No container wrote after another one had begun."""
    spans: dict[str, tuple[float, float]] = {}
    for who, when in wrote:
        first, _last = spans.get(who, (when, when))
        spans[who] = (first, when)
    ordered = sorted(spans.values())
    assert all(before[1] < after[0] for before, after in zip(ordered, ordered[1:])), spans


def pinned(services: Services, cluster: Cluster, **changes: Any) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """A workspace on w2: its entry, the options of its runs, and the file that its containers write."""
    entry = services.entry("a", **changes)
    options = {"placement": {"disk": "ssd"}}
    services.ok(entry, **options)
    assert services.where("a") == ["w2"]
    return entry, options, cluster["w2"].file(f"codeopen-{services.name('a')}-home", "writers")


def test_a_node_that_is_cut_off_keeps_its_workspace_and_no_second_one_is_started(
    services: Services, cluster: Cluster
) -> None:
    # It takes its time to stop, and writes meanwhile.
    entry, options, home = pinned(services, cluster, mode="lingers")
    cluster["w2"].cut()
    try:
        cluster.wait_state("w2", "down")
        waiting = services.run(entry, **options)
        assert waiting["failed"]
        (result,) = waiting["workspaces"]
        assert (result["state"], result["changed"]) == ("waiting", False)
        assert "waits for its node w2, which is down" in result["error"]
        changed = services.run(dict(entry, memory=48 * 1024 * 1024), **options)["workspaces"][0]
        assert (changed["state"], changed["changed"]) == ("waiting", False)
        (told,) = services.info("a")
        assert (told["state"], told["detail"]) == ("waiting", "it waits for its node w2, which is down")
        time.sleep(10)
        assert [one for one in services.where("a") if one != "w2"] == []
    finally:
        cluster["w2"].plug()
    cluster.wait_state("w2", "ready")
    healed = services.ok(entry, **options)["workspaces"][0]
    assert (healed["state"], healed["changed"]) == ("started", False)
    time.sleep(6)
    assert services.where("a") == ["w2"]
    assert_one_after_the_other(writers(home))


def test_a_node_that_is_killed_comes_back_with_its_workspace(services: Services, cluster: Cluster) -> None:
    entry, options, home = pinned(services, cluster)
    cluster["w2"].kill()
    try:
        cluster.wait_state("w2", "down")
        assert services.run(entry, **options)["workspaces"][0]["state"] == "waiting"
        # Removed and made again while its node is away, it still waits for it.
        gone = services.ok(dict(entry, state="absent"), **options)["workspaces"][0]
        assert "Its node is away" in " ".join(gone["notes"])
        purge = services.run(dict(entry, state="absent"), purge=True, **options)
        assert "its volumes are on w2" in purge["msg"]
        again = services.run(entry, **options)["workspaces"][0]
        assert (again["state"], again["node"]) == ("waiting", "w2")
    finally:
        cluster["w2"].start()
    cluster.wait_state("w2", "ready")
    assert services.ok(entry, **options)["workspaces"][0]["state"] == "started"
    assert services.where("a") == ["w2"]
    wrote = writers(home)
    assert len({who for who, _when in wrote}) == 2
    assert_one_after_the_other(wrote)


def test_a_node_that_was_reset_and_healed_has_its_workspaces_again(services: Services, cluster: Cluster) -> None:
    entry, options, home = pinned(services, cluster)
    before = {who for who, _when in writers(home)}
    cluster["w2"].docker.api.leave_swarm(force=True)
    cluster.wait_state("w2", "down")
    assert services.run(entry, **options)["workspaces"][0]["state"] == "waiting"
    cluster.form()
    result = services.converged(entry, **options)["workspaces"][0]
    assert (result["action"], result["node"]) == ("update", "w2")
    assert services.where("a") == ["w2"]
    wrote = writers(home)
    assert before < {who for who, _when in wrote}
    assert_one_after_the_other(wrote)


def label(cluster: Cluster, name: str, **labels: str) -> None:
    """Give a node labels beside those of the inventory."""
    node = cluster.node(name)
    spec = dict(node["Spec"], Labels={**(node["Spec"].get("Labels") or {}), **labels})
    cluster.manager.docker.api.update_node(node["ID"], node["Version"]["Index"], spec)


def test_what_has_its_files_on_all_nodes_is_started_elsewhere_when_its_node_is_killed(
    services: Services, cluster: Cluster
) -> None:
    # A stand-in for NFS: `none` with `o=bind` mounts one folder of this machine on every node.
    shared = Path("/tmp") / services.prefix
    shared.mkdir()
    driver = {"shared": True, "options": {"type": "none", "o": "bind", "device": str(shared)}}
    # Not on the manager, which is the only one.
    options: dict[str, Any] = {"volume_driver": driver, "placement": {"killable": services.prefix}}
    for name in ("w1", "w2"):
        label(cluster, name, killable=services.prefix)
    try:
        entry = services.entry("a")
        services.ok(entry, **options)
        (killed,) = services.where("a")
        (other,) = {"w1", "w2"} - {killed}
        services.only("a").exec_run(["sh", "-c", "echo precious >/home/developer/work"])
        cluster[killed].kill()
        try:
            cluster.until(lambda: services.where("a") == [other])
            cluster.wait_state(killed, "down")
            found = services.ok(entry, **options)["workspaces"][0]
            assert (found["state"], found["action"], found["node"]) == ("started", "none", "")
            (told,) = services.info("a")
            assert (told["state"], told["node"]) == ("running", other)
            assert services.only("a").exec_run(["cat", "/home/developer/work"]).output == b"precious\n"
            # It is changed there as anywhere.
            changed = services.converged(dict(entry, memory=48 * 1024 * 1024), **options)["workspaces"][0]
            assert (changed["action"], services.where("a")) == ("update", [other])
        finally:
            cluster[killed].start()
        cluster.wait_state(killed, "ready")
        assert not services.ok(dict(entry, memory=48 * 1024 * 1024), **options)["changed"]
        assert services.where("a") == [other]
        wrote = writers(shared / "writers")
        assert len({who for who, _when in wrote}) == 3
        assert_one_after_the_other(wrote)
    finally:
        services.run(services.entry("a", state="absent"), **options)
        subprocess.run(["rm", "-rf", str(shared)], check=True)
