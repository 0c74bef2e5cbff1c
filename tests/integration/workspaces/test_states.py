# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, start, stop, update and remove on a real engine: changed, then unchanged, and the truth in check mode."""

from __future__ import annotations

import json
import socket
import stat
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import bridge_name

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


def get(url: str) -> str:
    """What a workspace answers."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode()).strip()


def only(result: dict[str, Any]) -> dict[str, Any]:
    """The one workspace's result."""
    (item,) = result["workspaces"]
    return dict(item)


def test_create_is_told_done_and_not_done_again(host: Host) -> None:
    entry = host.entry("one")
    planned = host.ok(entry, check_mode=True)
    told = only(planned)
    assert (told["action"], told["changed"]) == ("create", True)
    assert [item["name"] for item in planned["plan"]["new"]] == [entry["name"]]
    assert planned["diff"][0]["prepared"] == planned["plan_text"]
    assert planned["plan_text"].startswith(f"1 new, 0 unchanged\n+ {entry['name']}: create\n    cpus: 0.5\n")
    assert host.container("one") is None
    assert not list(host.state_dir.iterdir())

    done = only(host.ok(entry))
    assert (done["action"], done["state"]) == ("create", "started")
    assert done["diff"]["before"] == {"state": "absent"}
    assert done["diff"]["after"]["memory"] == entry["memory"]
    assert done["ports"] == told["ports"]
    assert get(done["urls"]["web"]) == "healthy"

    again = host.ok(entry)
    assert not again["changed"]
    assert only(again)["ports"] == done["ports"]
    assert not host.ok(entry, check_mode=True)["changed"]


def test_the_container_is_what_the_plan_says(host: Host) -> None:
    host.ok(host.entry("one", environment={"TEXT": "hello"}, cpus=1000))
    found = host.container("one")
    assert found is not None
    config, limits = found["Config"], found["HostConfig"]
    assert config["Hostname"] == host.name("one")
    assert "TEXT=hello" in config["Env"]
    assert limits["Memory"] == 64 * 1024 * 1024
    assert limits["NanoCpus"] == host.client.info()["NCPU"] * 1_000_000_000
    assert limits["PidsLimit"] == 4096
    assert limits["RestartPolicy"]["Name"] == "unless-stopped"
    assert limits["PortBindings"]["4096/tcp"][0]["HostIp"] == "127.0.0.1"
    assert limits["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10000000", "max-file": "3"}}
    volume = host.client.api.inspect_volume(f"codeopen-{host.name('one')}-home")
    assert volume["Labels"]["codeopen.workspace"] == host.name("one")


def test_more_cpus_than_the_host_has_are_a_note(host: Host) -> None:
    assert "this host has no more" in only(host.ok(host.entry("one", cpus=1000)))["notes"][0]


def test_the_password_is_a_file_and_nothing_else(host: Host) -> None:
    result = host.ok(host.entry("one"), network={"https_proxy": "http://u:hush@proxy.example.org:3128"})
    path = host.state_dir / "workspaces" / host.name("one") / "secrets" / "password"
    assert only(result)["password_file"] == str(path)
    password = path.read_text().strip()
    assert len(password) >= 24
    for part, mode, owner in ((path, 0o400, 1000), (path.parent, 0o500, 1000), (path.parent.parent, 0o700, 0)):
        assert (stat.S_IMODE(part.stat().st_mode), part.stat().st_uid) == (mode, owner)
    network = path.parent / "network"
    assert network.read_text().startswith("https_proxy=http://u:hush@proxy.example.org:3128\n-----BEGIN CERT")
    assert stat.S_IMODE(network.stat().st_mode) == 0o400
    result.pop("invocation")
    for text in (json.dumps(result), json.dumps(host.container("one"))):
        assert password not in text
        assert "hush" not in text
    container = host.client.containers.get(f"codeopen-{host.name('one')}")
    assert container.exec_run("cat /run/codeopen/secrets/password").output == f"{password}\n".encode()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"environment": {"TEXT": "other"}}, "environment"),
        ({"limits": {"shm": 2 * 1024 * 1024}}, "shm"),
        ({"volumes": [{"name": "home", "path": "/home/other"}]}, "volumes"),
        ({"ports": [{"name": "web", "container": 4096}, {"name": "more", "container": 4097}]}, "ports"),
        ({"ports": [{"name": "web", "container": 4096, "address": "127.0.0.2"}]}, "ports"),
    ],
    ids=["environment", "shm", "volumes", "ports", "address"],
)
def test_every_change_is_told_done_and_not_done_again(host: Host, change: dict[str, Any], key: str) -> None:
    host.ok(host.entry("one"))
    before = host.started("one")
    entry = host.entry("one", **change)
    told = only(host.ok(entry, check_mode=True))
    assert (told["action"], set(told["diff"]["after"])) == ("update", {"state", key})
    assert host.started("one") == before
    done = only(host.ok(entry))
    assert done["diff"] == told["diff"]
    assert get(done["urls"]["web"]) == ("healthy other" if key == "environment" else "healthy")
    assert not host.ok(entry)["changed"]
    assert not host.ok(entry, check_mode=True)["changed"]
    assert host.container("one", "--previous") is None


def test_limits_and_tier_reach_a_running_workspace(host: Host) -> None:
    host.ok(host.entry("one"))
    before = host.started("one")
    memory = 128 * 1024 * 1024
    entry = host.entry("one", tier="builder", cpus=0.25, memory=memory, limits={"pids": 100, "swap": 1024 * 1024})
    told = only(host.ok(entry, check_mode=True))
    assert (told["action"], set(told["diff"]["after"])) == (
        "apply",
        {"state", "tier", "cpus", "memory", "pids", "swap"},
    )
    done = only(host.ok(entry))
    assert (done["action"], done["diff"]) == ("apply", told["diff"])
    assert host.started("one") == before
    found = (host.container("one") or {})["HostConfig"]
    assert (found["NanoCpus"], found["Memory"], found["PidsLimit"]) == (250_000_000, memory, 100)
    # Where the limit is depends on the kernel's version of control groups.
    container = host.client.containers.get(f"codeopen-{host.name('one')}")
    inside = container.exec_run("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes").output
    assert str(memory).encode() in inside
    assert not host.ok(entry)["changed"]
    # Somebody else's change is mended as well.
    host.client.api.update_container(f"codeopen-{host.name('one')}", restart_policy={"Name": "no"})
    mended = only(host.ok(entry))
    assert (mended["action"], mended["diff"]["after"]) == (
        "apply",
        {"state": "started", "restart_policy": "unless-stopped"},
    )
    assert host.started("one") == before


def test_restarted_paused_and_started_again(host: Host) -> None:
    first = only(host.ok(host.entry("one")))
    before = host.started("one")
    assert only(host.ok(host.entry("one", state="restarted"), check_mode=True))["action"] == "restart"
    again = only(host.ok(host.entry("one", state="restarted")))
    assert (again["action"], again["state"]) == ("restart", "started")
    assert (host.started("one")[0], host.started("one")[1] != before[1]) == (before[0], True)
    paused = host.entry("one", state="paused")
    assert only(host.ok(paused, check_mode=True))["diff"]["after"] == {"state": "paused"}
    assert only(host.ok(paused))["action"] == "pause"
    assert (host.container("one") or {})["State"]["Status"] == "paused"
    assert not host.ok(paused)["changed"]
    back = only(host.ok(host.entry("one")))
    assert (back["action"], back["diff"]["before"]) == ("start", {"state": "paused"})
    assert get(first["urls"]["web"]) == "healthy"
    host.ok(host.entry("one", state="stopped"))
    assert only(host.ok(paused))["action"] == "pause"
    assert (host.container("one") or {})["State"]["Status"] == "paused"


def test_the_network_reaches_the_workspace_and_is_not_shown(host: Host) -> None:
    host.ok(host.entry("one"))
    network = {"pip_index": "https://u:hush@pip.example.org/simple"}
    told = only(host.ok(host.entry("one"), network=network, check_mode=True))
    done = host.ok(host.entry("one"), network=network)
    assert told["diff"] == only(done)["diff"]
    assert set(told["diff"]["after"]) == {"state", "network"}
    assert "hush" not in json.dumps(only(done))
    assert not host.ok(host.entry("one"), network=network)["changed"]


def test_another_image_under_the_name_is_an_update(host: Host, image: str) -> None:
    host.ok(host.entry("one"))
    tag = image.replace(":1", f":{host.prefix}")
    host.client.images.get(image).tag(tag.split(":")[0], host.prefix)
    try:
        done = only(host.ok(host.entry("one", image=tag)))
        assert (done["action"], set(done["diff"]["after"])) == ("update", {"state", "image"})
    finally:
        host.clean()
        host.client.images.remove(tag)


def test_stop_and_start_keep_ports_and_files(host: Host) -> None:
    first = only(host.ok(host.entry("one")))
    container = host.client.containers.get(f"codeopen-{host.name('one')}")
    container.exec_run(["sh", "-c", "echo mine > /home/developer/file"])
    stopped = host.entry("one", state="stopped")
    assert only(host.ok(stopped, check_mode=True))["action"] == "stop"
    done = only(host.ok(stopped))
    assert (done["action"], done["diff"]["after"]) == ("stop", {"state": "stopped"})
    assert not host.ok(stopped)["changed"]
    started = only(host.ok(host.entry("one")))
    assert (started["action"], started["ports"]) == ("start", first["ports"])
    assert container.exec_run("cat /home/developer/file").output == b"mine\n"


def test_stopped_at_first_is_created_and_not_started(host: Host) -> None:
    entry = host.entry("one", state="stopped")
    assert only(host.ok(entry))["action"] == "create"
    found = host.container("one")
    assert found is not None
    assert found["State"]["Status"] == "created"
    assert not host.ok(entry)["changed"]


def test_remove_keeps_volumes_ports_and_password_until_purge(host: Host) -> None:
    # A port of a small range, so that a new choice would most likely be another one.
    first = only(host.ok(host.entry("one")))
    password = host.state_dir / "workspaces" / host.name("one") / "secrets" / "password"
    secret = password.read_text()
    host.client.containers.get(f"codeopen-{host.name('one')}").exec_run(
        ["sh", "-c", "echo mine > /home/developer/file"]
    )
    absent = {"name": host.name("one"), "state": "absent"}
    assert only(host.ok(absent, check_mode=True))["action"] == "remove"
    assert host.container("one") is not None
    assert only(host.ok(absent))["action"] == "remove"
    assert not host.ok(absent)["changed"]
    back = only(host.ok(host.entry("one"), port_range="30500-30510"))
    assert back["ports"] == first["ports"]
    assert password.read_text() == secret
    found = host.client.containers.get(f"codeopen-{host.name('one')}")
    assert found.exec_run("cat /home/developer/file").output == b"mine\n"
    host.ok(absent)
    told = only(host.ok(absent, purge=True, check_mode=True))
    assert host.name("one") in told["diff"]["before"]["kept"]
    assert only(host.ok(absent, purge=True))["action"] == "remove"
    assert not password.exists()
    assert not host.client.volumes.list(filters={"label": f"codeopen.workspace={host.name('one')}"})
    assert not host.ok(absent, purge=True)["changed"]


def test_a_port_goes_from_one_that_leaves_to_one_that_comes(host: Host) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ports = [{"name": "web", "container": 4096, "host": port}]
    host.ok(host.entry("one", ports=ports))
    result = host.ok(host.entry("two", ports=ports), {"name": host.name("one"), "state": "absent"})
    assert [item["action"] for item in result["workspaces"]] == ["create", "remove"]


def test_a_container_that_became_unhealthy_is_restarted(host: Host) -> None:
    entry = host.entry("one")
    host.ok(entry)
    container = host.client.containers.get(f"codeopen-{host.name('one')}")
    container.exec_run(["sh", "-c", "mv /health /aside"])
    deadline = 100
    while deadline and (host.container("one") or {})["State"]["Health"]["Status"] != "unhealthy":
        container.exec_run("sleep 0.1")
        deadline -= 1
    assert only(host.ok(entry, check_mode=True))["action"] == "restart"
    failed = host.run(entry)
    assert failed["failed"]
    assert "unhealthy" in failed["msg"]


def test_info_tells_what_runs_and_what_became_of_it(host: Host) -> None:
    made = host.ok(host.entry("one", owner=host.prefix), host.entry("two", state="stopped"))
    one, two = host.info(host.name("one"), host.name("two"))
    assert (one["name"], one["state"], one["health"]) == (host.name("one"), "running", "healthy")
    assert (two["state"], two["health"], two["resources"]) == ("created", "none", {})
    assert one["urls"] == made["workspaces"][0]["urls"]
    assert one["password_file"] == made["workspaces"][0]["password_file"]
    assert (one["image"], one["recipe"], one["owner"], one["tier"]) == (host.image, "a" * 64, host.prefix, "starter")
    assert one["services"] == {"web": {"health": "healthy"}}
    assert 0 < one["resources"]["memory"] < one["resources"]["memory_limit"] == 64 * 1024 * 1024
    assert one["resources"]["pids"] >= 1
    assert one["drift"] == two["drift"] == {}
    assert [step["to"] for step in one["history"]] == ["running", "starting", "created"]
    assert {step["run"] for step in one["history"]} == {made["run"]}
    assert host.info("no-such-workspace") == []
    assert {one["name"], two["name"]} <= {entry["name"] for entry in host.info()}


def test_what_happened_between_two_runs_is_told_and_recorded(host: Host) -> None:
    names = ("one", "two", "three")
    entries = [host.entry(name) for name in names]
    host.ok(*entries)
    api, container = host.client.api, {name: f"codeopen-{host.name(name)}" for name in names}
    api.kill(container["one"])
    api.remove_container(container["two"], force=True)
    api.update_container(container["three"], restart_policy={"Name": "no"})
    told = {item["name"]: item for item in host.info(*[host.name(name) for name in names])}
    one, two, three = (told[host.name(name)] for name in names)
    assert (one["state"], one["failure"]["exit_code"], one["failure"]["oom"]) == ("failed", 137, False)
    assert "mode healthy" in one["failure"]["last_lines"]
    assert two["state"] == "lost"
    assert three["drift"] == {"restart_policy": {"asked": "unless-stopped", "found": "no"}}
    done = host.ok(*entries)
    assert [item["action"] for item in done["workspaces"]] == ["start", "create", "apply"]
    told = {item["name"]: item for item in host.info(*[host.name(name) for name in names])}
    first, second = (told[host.name(name)]["history"] for name in ("one", "two"))
    assert [step["to"] for step in first][:3] == ["running", "starting", "failed"]
    assert (first[2]["cause"], first[2]["exit_code"]) == ("it died with exit code 137", 137)
    assert [step["to"] for step in second][:4] == ["running", "starting", "created", "lost"]
    assert second[3]["cause"] == "the engine has no such container"
    assert told[host.name("three")]["drift"] == {}
    assert not host.ok(*entries)["changed"]


def test_owners_have_networks_of_their_own(host: Host) -> None:
    owners = {"one": f"{host.prefix}-ada", "two": f"{host.prefix}-ada", "three": f"{host.prefix}-bob"}
    host.ok(*[host.entry(name, owner=owner) for name, owner in owners.items()])
    container = host.client.containers.get(f"codeopen-{host.name('one')}")

    def reaches(name: str) -> bool:
        where = (host.container(name) or {})["NetworkSettings"]["Networks"][f"codeopen-owner-{owners[name]}"]
        return container.exec_run(f"nc -w 2 {where['IPAddress']} 4096 -e true").exit_code == 0

    network = host.client.api.inspect_network(f"codeopen-owner-{owners['one']}")
    # What the host's filter knows it by.
    bridge = bridge_name(str(host.state_dir), owners["one"])
    assert network["Options"] == {"com.docker.network.bridge.name": bridge}
    assert Path("/sys/class/net", bridge).exists()
    assert reaches("two")
    assert not reaches("three")
    assert container.exec_run(f"nslookup {host.name('two')} 127.0.0.11").exit_code == 0
    assert container.exec_run(f"nslookup {host.name('three')} 127.0.0.11").exit_code != 0
    moved = only(host.ok(host.entry("three", owner=owners["one"])))
    assert (moved["action"], moved["diff"]["after"]) == ("update", {"state": "started", "owner": owners["one"]})
    networks = {network["Name"] for network in host.client.api.networks()}
    assert f"codeopen-owner-{owners['one']}" in networks
    assert f"codeopen-owner-{host.prefix}-bob" not in networks


def test_a_network_of_another_state_directory_is_left_alone(host: Host) -> None:
    """Nothing uses it in this moment, but its own runs may be about to."""
    labels = {"codeopen.owner": f"{host.prefix}-bob", "codeopen.state-dir": "/another"}
    host.client.api.create_network(f"codeopen-owner-{host.prefix}-bob", labels=labels)
    host.ok(host.entry("one", owner=f"{host.prefix}-ada"))
    host.ok(host.entry("one", state="absent"))
    networks = {network["Name"] for network in host.client.api.networks()}
    assert f"codeopen-owner-{host.prefix}-bob" in networks
    assert f"codeopen-owner-{host.prefix}-ada" not in networks
