# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workspaces as services of a Swarm of three real engines."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import make_plan
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import component_files, find_catalogue
from ssh_host import ssh_host
from swarm_cluster import ROOT, Cluster, Services, changed
from swarm_machines import small_image

pytestmark = pytest.mark.engine


def test_from_nothing_to_running_to_stopped_to_gone(services: Services) -> None:
    entry = services.entry("a", ports=[{"name": "web", "container": 4096, "address": "0.0.0.0"}])
    made = services.converged(entry)["workspaces"][0]
    assert (made["action"], made["state"]) == ("create", "started")
    assert services.where("a") == [made["node"]]
    home = services.cluster[made["node"]]
    address, port = home.address, made["ports"]["web"]
    assert made["urls"] == {"web": f"http://{address}:{port}"}
    fetched = subprocess.run(
        ["nsenter", f"--net=/run/netns/{home.space}", "busybox", "wget", "-q", "-O", "-", f"http://{address}:{port}/"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert fetched.stdout == "hello\n"
    (told,) = services.info("a")
    assert (told["state"], told["node"], told["urls"]) == ("running", made["node"], made["urls"])
    assert told["files"] == {"node": made["node"], "settled": True}
    assert [one["state"] for one in told["tasks"]] == ["running"]
    stopped = services.converged(dict(entry, state="stopped"))["workspaces"][0]
    assert (stopped["action"], stopped["state"]) == ("stop", "stopped")
    assert services.where("a") == []
    assert services.info("a")[0]["state"] == "stopped"
    assert services.converged(entry)["workspaces"][0]["action"] == "start"
    restarted = services.ok(dict(entry, state="restarted"))["workspaces"][0]
    assert (restarted["action"], restarted["state"], restarted["changed"]) == ("restart", "started", True)
    assert not services.ok(entry)["changed"]
    gone = services.converged(dict(entry, state="absent"))["workspaces"][0]
    assert (gone["action"], gone["state"]) == ("remove", "absent")
    assert services.info("a") == [{"name": services.name("a"), "state": "absent", "files": told["files"]}]
    # Its home is where it was, and so is its port, when it comes back.
    back = services.converged(entry)["workspaces"][0]
    assert (back["node"], back["ports"]) == (made["node"], made["ports"])
    assert len(set(home.file(f"codeopen-{services.name('a')}-home", "writers").read_text().split()[::2])) > 2
    services.converged(dict(entry, state="absent"), purge=True)
    assert services.info("a") == []
    assert not home.docker.volumes.list(filters={"label": f"codeopen.workspace={services.name('a')}"})
    assert not [one for one in home.docker.volumes.list() if services.prefix in one.name]


def test_volumes_of_another_node_are_removed_by_ssh(
    services: Services, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = services.entry("a")
    options = {"placement": {"disk": "ssd"}}
    services.ok(entry, **options)
    assert services.where("a") == ["w2"]
    with ssh_host(tmp_path, {"DOCKER_HOST": cluster["w2"].url}) as remote:
        monkeypatch.setenv("PATH", f"{remote.command()}:{os.environ['PATH']}")
        engines = {"w2": f"ssh://somebody@127.0.0.1:{remote.port}"}
        services.converged(dict(entry, state="absent"), purge=True, engines=engines, **options)
    assert not [one for one in cluster["w2"].docker.volumes.list() if services.prefix in one.name]


def test_each_setting_is_changed_once(services: Services) -> None:
    entry, options = services.entry("a"), dict[str, Any]()
    services.ok(entry)
    volumes = [*entry["volumes"], {"name": "work", "path": "/workspace"}]
    for change in (
        {"environment": {"TEXT": "other", "TOKEN": "hush"}},
        {"memory": 48 * 1024 * 1024, "cpus": 0.2},
        {"limits": {"pids": 200, "open_files": 512, "shm": 1024 * 1024, "log_size": 600_000}},
        {"owner": f"{services.prefix}ada"},
        {"volumes": volumes},
        {"ports": [{"name": "web", "container": 4096, "address": "0.0.0.0"}]},
        {"tier": "builder"},
        {"runtime": {"security_opt": ["seccomp=unconfined", "apparmor=unconfined"]}},
    ):
        entry = dict(entry, **change)
        result = services.converged(entry)["workspaces"][0]
        assert result["action"] == "update", change
        assert "hush" not in json.dumps(result["diff"])
    for option in (
        {"secrets": {services.name("a"): {"token": "hush-one"}}},
        {"network": {"https_proxy": "http://hush@proxy.example.org:3128"}},
        {"stop_timeout": 5},
    ):
        options.update(option)
        result = services.converged(entry, **options)["workspaces"][0]
        assert result["action"] == "update", option
        assert "hush" not in json.dumps(result["diff"])
    assert len(services.where("a")) == 1


def test_what_somebody_changed_by_hand_is_mended(services: Services) -> None:
    entry = services.entry("a")
    services.ok(entry)
    api = services.cluster.manager.docker.api
    service = services.service("a")
    service["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = ["BY=hand"]
    url = api._url("/services/{0}/update?version=" + str(service["Version"]["Index"]), service["ID"])
    api._raise_for_status(api._post_json(url, data=service["Spec"]))
    services.cluster.until(lambda: (services.service("a").get("UpdateStatus") or {}).get("State") == "completed")
    result = services.converged(entry)["workspaces"][0]
    assert result["diff"]["after"]["mended"] == ["TaskTemplate.ContainerSpec.Env"]


def test_an_update_that_never_gets_healthy_is_a_failure_and_the_old_one_serves(services: Services) -> None:
    entry = services.entry("a", environment={"TEXT": "first"})
    services.ok(entry)
    failed = services.run(dict(entry, environment={"TEXT": "second", "MODE": "never"}))
    assert failed["failed"]
    (result,) = failed["workspaces"]
    assert result["rolled_back"] is True
    assert "not healthy" in result["reason"]
    assert "mode never" in result["error"]
    assert result["changed"]
    assert services.only("a").exec_run(["cat", "/srv/index.html"]).output == b"first\n"
    assert not services.ok(entry)["changed"]


def test_an_update_that_was_interrupted_and_is_rolled_back_is_a_failure_of_the_next_run(services: Services) -> None:
    # Takes its time to stop, which the second run begins in.
    entry = services.entry("a", mode="lingers")
    services.ok(entry)
    changed = dict(entry, environment={"MODE": "never"})
    with services.running(changed):
        services.cluster.until(lambda: (services.service("a").get("UpdateStatus") or {}).get("State") == "updating")
    service = services.service("a")
    # What the list says of it and what a look at it says are compared.
    assert service["Spec"] in [one["Spec"] for one in services.cluster.manager.docker.api.services()]
    assert service["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["MODE=lingers"]
    (result,) = services.run(changed)["workspaces"]
    assert (result["action"], result["changed"]) == ("none", False)
    assert result["rolled_back"] is True
    assert "not healthy" in result["reason"]
    assert "mode lingers" in services.only("a").logs().decode()
    assert not services.ok(entry)["changed"]


def test_what_runs_on_a_paused_node_is_not_replaced(services: Services, cluster: Cluster) -> None:
    entry, options = services.entry("a"), {"placement": {"disk": "ssd"}}
    services.ok(entry, **options)
    container = services.only("a").id

    def become(availability: str) -> None:
        node = cluster.node("w2")
        spec = dict(node["Spec"], Availability=availability)
        cluster.manager.docker.api.update_node(node["ID"], node["Version"]["Index"], spec)

    become("pause")
    try:
        (result,) = services.run(dict(entry, cpus=0.2), **options)["workspaces"]
        assert "its node w2 is paused" in result["error"]
        assert result["changed"] is False
        assert services.only("a").id == container
    finally:
        become("active")
    assert services.converged(dict(entry, cpus=0.2), **options)["workspaces"][0]["action"] == "update"


def test_an_update_that_dies_is_told_with_its_last_words(services: Services) -> None:
    entry = services.entry("a")
    services.ok(entry)
    (result,) = services.run(dict(entry, environment={"MODE": "dies"}))["workspaces"]
    assert result["rolled_back"] is True
    assert "fatal: no database" in result["error"]
    assert len(services.where("a")) == 1


def test_one_that_dies_at_once_is_stopped_and_told(services: Services) -> None:
    (result,) = services.run(services.entry("a", mode="dies"))["workspaces"]
    assert "fatal: no database" in result["error"]
    assert result["rolled_back"] is False
    assert services.where("a") == []
    assert services.ok(services.entry("a"))["workspaces"][0]["state"] == "started"


def test_what_no_node_has_room_for_is_told_at_once(services: Services) -> None:
    entry = services.entry("a")
    services.ok(entry)
    container = services.only("a").id
    (result,) = services.run(dict(entry, memory=2**50))["workspaces"]
    assert "has no room for it" in result["error"]
    assert not result["changed"]
    assert services.only("a").id == container
    (new,) = services.run(services.entry("b", memory=2**50))["workspaces"]
    assert "no suitable node (insufficient resources on" in new["error"]
    assert new["state"] == "pending"
    assert services.converged(services.entry("b"))["workspaces"][0]["state"] == "started"


def test_an_image_that_the_node_has_not_got_is_named_with_the_node(services: Services) -> None:
    result = services.run(services.entry("a", image="codeopen-elsewhere:1", recipe=""), placement={"disk": "ssd"})
    assert "w2 has not got codeopen-elsewhere:1" in result["msg"]
    stale = services.run(services.entry("b", recipe="b" * 64))
    assert "was built from another recipe" in stale["msg"]


def test_placement_by_labels_and_what_is_said_where_none_fits(services: Services) -> None:
    result = services.ok(services.entry("a"), services.entry("b"), placements={services.name("a"): {"disk": "ssd"}})
    assert result["workspaces"][0]["node"] == "w2"
    failed = services.run(services.entry("c"), placement={"disc": "ssd"})
    assert failed["failed"]
    assert f"Workspace '{services.name('c')}'" in failed["msg"]
    assert "did you mean 'disk'?" in failed["msg"]
    moved = services.run(services.entry("a"), placement={"disk": "hdd"})
    assert "a workspace never moves by itself" in moved["msg"]
    assert services.where("a") == ["w2"]


def test_three_that_want_a_gpu_each_and_two_gpus(services: Services) -> None:
    entries = [services.entry(name, gpus=1) for name in "abc"]
    result = services.run(*entries)
    assert result["failed"]
    waiting = [one for one in result["workspaces"] if one["state"] == "pending"]
    assert len(waiting) == 1
    assert "no suitable node" in waiting[0]["error"]
    serving = [one["name"][len(services.prefix) + 1 :] for one in result["workspaces"] if one["state"] == "started"]
    gpus = []
    for name in serving:
        environment = services.only(name).attrs["Config"]["Env"]
        gpus += [text.split("=")[1] for text in environment if text.startswith("DOCKER_RESOURCE_NVIDIA-GPU=")]
    assert sorted(gpus) == ["GPU-aaaa", "GPU-bbbb"]
    again = services.run(*entries)
    assert again["failed"]
    assert not again["changed"]
    # The one that waits starts by itself as soon as a GPU is free.
    services.ok(services.entry(serving[0], state="absent"))
    services.cluster.until(lambda: services.where(waiting[0]["name"][len(services.prefix) + 1 :]))


def test_owners_do_not_reach_each_other_and_find_their_own_across_nodes(services: Services) -> None:
    ssd = {services.name("a"): {"disk": "ssd"}}
    services.ok(
        services.entry("a", owner=f"{services.prefix}ada"),
        services.entry("b", owner=f"{services.prefix}ada", gpus=1),
        services.entry("c", owner=f"{services.prefix}bob"),
        placements=ssd,
    )
    address = services.only("a").exec_run(["sh", "-c", "ip -4 addr show | grep -o '10[0-9.]*/' | head -1"]).output
    assert services.where("a") != services.where("b")
    address = address.decode().rstrip("/\n")
    fetch = ["sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} 4096"]
    assert address in services.only("b").exec_run(["nslookup", services.name("a")]).output.decode()
    assert services.only("b").exec_run(fetch).output.endswith(b"hello\n")
    assert address not in services.only("c").exec_run(["nslookup", services.name("a")]).output.decode()
    assert b"hello" not in services.only("c").exec_run(fetch).output
    networks = services.cluster.manager.docker.api.networks
    services.ok(*[services.entry(name, state="absent") for name in "abc"])
    services.ok(services.entry("d"))
    services.ok(services.entry("d", state="absent"))
    assert not [network for network in networks() if services.prefix in network["Name"]]


def test_secrets_are_nowhere_to_be_seen_and_are_replaced(services: Services) -> None:
    def given(value: str) -> dict[str, Any]:
        return {"secrets": {services.name("a"): {"token": value}}}

    services.converged(services.entry("a"), **given("hush-one"))
    password = (services.state_dir / "workspaces" / services.name("a") / "secrets" / "password").read_text().strip()

    def read(file: str) -> bytes:
        return bytes(services.only("a").exec_run(["cat", f"/run/codeopen/secrets/{file}"]).output)

    assert (read("token"), read("password").decode()) == (b"hush-one", password)
    details = services.only("a").exec_run(["stat", "-c", "%u %a", "/run/codeopen/secrets/token"]).output
    assert details == b"1000 400\n"
    services.converged(services.entry("a"), **given("hush-two"))
    assert read("token") == b"hush-two"
    api = services.cluster.manager.docker.api
    told = json.dumps([services.service("a"), services.only("a").attrs, api.tasks(), api.secrets(), api.configs()])
    assert "hush" not in told
    assert password not in told
    labels = [one["Spec"]["Labels"] for one in api.secrets()]
    files = [label["codeopen.secret"] for label in labels if label.get("codeopen.workspace") == services.name("a")]
    assert (files.count("token"), files.count("password")) == (1, 1)
    # Without the option they stay; with an empty one they go.
    assert not services.ok(services.entry("a"))["changed"]
    services.converged(services.entry("a"), secrets={})
    assert services.only("a").exec_run(["ls", "/run/codeopen/secrets/token"]).exit_code != 0
    services.converged(services.entry("a", state="absent"), purge=True)
    assert not [one for one in api.secrets() if services.prefix in one["Spec"]["Name"]]
    assert not [one for one in api.configs() if services.prefix in one["Spec"]["Name"]]


def test_volumes_that_all_nodes_share_bind_to_none(services: Services, tmp_path: Path) -> None:
    # Debian's `none` with `o=bind` mounts one folder of this machine on every node: what NFS would do.
    shared = Path("/tmp") / services.prefix
    shared.mkdir()
    try:
        driver = {"shared": True, "options": {"type": "none", "o": "bind", "device": str(shared)}}
        entry = services.entry("a")
        result = services.converged(entry, volume_driver=driver, placement={"disk": "ssd"})["workspaces"][0]
        assert result["node"] == ""
        assert services.where("a") == ["w2"]
        moved = services.converged(entry, volume_driver=driver, placement={})["workspaces"][0]
        assert moved["action"] == "update"
        assert (shared / "kept").exists()
        services.ok(services.entry("a", state="absent"), volume_driver=driver)
    finally:
        subprocess.run(["rm", "-rf", str(shared)], check=True)


def test_who_is_no_manager_says_so(services: Services, cluster: Cluster) -> None:
    result = services.run(services.entry("a"), on="w1")
    assert result["failed"]
    assert "is a worker of its Swarm" in result["msg"]
    assert cluster.manager.address in result["msg"]


def test_mistakes_are_told_before_anything_is_touched(services: Services) -> None:
    result = services.run(services.entry("a", gpus=[0]), services.entry("b", state="paused"), services.entry("c"))
    assert "3 mistakes" not in result["msg"]
    assert "2 mistakes in the list of workspaces" in result["msg"]
    pool = {"name": services.name("p"), "size": 1, "workspace": services.entry("p")}
    assert "pools are not for a Swarm" in services.run(services.entry("c"), pools=[pool])["msg"]
    assert services.where("c") == []


def test_the_playbooks_deploy_and_remove_on_the_swarm(services: Services, cluster: Cluster) -> None:
    definition = {"name": services.name("a"), "flavor": "js", "tier": "starter", "ports": {"opencode": "0.0.0.0:24096"}}
    (planned,) = make_plan(find_catalogue(), [definition], component_files)["workspaces"]
    image = small_image()
    for machine in cluster.members.values():
        machine.load(image, planned["image"], planned["recipe"])
    variables = {
        "codeopen_orchestrator": "swarm",
        "codeopen_workspaces": [definition],
        "workspaces_health_timeout": 60,
        "workspaces_engines": {name: machine.url for name, machine in cluster.members.items()},
    }
    deploy, remove = (ROOT / "playbooks" / f"{name}.yml" for name in ("deploy", "remove"))
    told = cluster.playbook(deploy, "--check", "--diff", **variables)
    assert f"+ {services.name('a')}: create" in told.stdout, told.stdout + told.stderr
    first = cluster.playbook(deploy, **variables)
    assert (first.returncode, changed(first)) == (0, 1), first.stdout + first.stderr
    (node,) = services.where("a")
    assert f"http://{cluster[node].address}:24096" in first.stdout
    assert changed(cluster.playbook(deploy, **variables)) == 0

    volume = f"codeopen-{services.name('a')}-home"
    assert cluster[node].file(volume, "").is_dir()
    variables["codeopen_remove"] = services.name("a")
    assert changed(cluster.playbook(remove, **variables)) == 1
    assert services.where("a") == []
    assert cluster[node].file(volume, "").is_dir()
    gone = cluster.playbook(remove, **variables, codeopen_purge=True)
    assert changed(gone) == 1, gone.stdout + gone.stderr
    assert not cluster[node].file(volume, "").exists()
    assert changed(cluster.playbook(remove, **variables, codeopen_purge=True)) == 0


def test_the_role_workspaces_deploys_on_the_swarm(services: Services, cluster: Cluster) -> None:
    secret = {services.name("a"): {"token": "hush-role"}}
    plan = {"workspaces": [services.entry("a", environment={"KEY": "hush-key"})]}
    variables = {
        "codeopen_orchestrator": "swarm",
        "codeopen_plan": plan,
        "codeopen_secrets": secret,
        "codeopen_placement": {"disk": "ssd"},
        "workspaces_health_timeout": 60,
    }
    first = cluster.play("workspaces", "-vvv", "--diff", **variables)
    assert first.returncode == 0, first.stdout + first.stderr
    assert services.where("a") == ["w2"]
    # The inventory itself has them in the open here; Ansible must not repeat them.
    shown = first.stdout + first.stderr
    assert "hush" not in shown
    again = cluster.play("workspaces", **variables)
    assert "changed=0" in again.stdout
    assert "changed=1" not in again.stdout
    plan["workspaces"][0]["state"] = "absent"
    cluster.play("workspaces", **variables)
    assert services.where("a") == []
