# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real ``docker compose`` runs what is exported, and the module runs what is imported."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from ansible_collections.codeopen.workspaces.plugins.module_utils import limits
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_import import from_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import BRIDGES, network_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.networks import BRIDGE_OPTION
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import make_plan
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import (
    component_files,
    find_catalogue,
)
from compose_project import Compose

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


@pytest.fixture
def compose(host: Host, tmp_path: Path) -> Iterator[Compose]:
    made = Compose(tmp_path, host.prefix, host.state_dir)
    yield made
    if made.file.exists():
        made.run("--profile", "*", "down", "--timeout", "1")


def inside(host: Host, name: str, command: str) -> str:
    """What a command says that the workspace's user runs in it."""
    full = ["docker", "exec", "--user", "1000", f"codeopen-{host.name(name)}", "sh", "-c", command]
    return subprocess.run(full, capture_output=True, text=True, check=True).stdout.strip()


def password(host: Host, name: str) -> Path:
    return host.state_dir / "workspaces" / host.name(name) / "secrets" / "password"


def test_up_runs_what_the_module_would(host: Host, compose: Compose, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "data").write_text("shared\n")
    entry = host.entry(
        "a",
        owner=f"{host.prefix}-ada",
        aliases=["db", "cache"],
        limits={
            "swap": 32 * 1024**2, "pids": 200, "shm": 8 * 1024**2, "open_files": 2000, "log_size": 900_000,
            "locked_memory": 1024**2, "core_size": -1,
        },
        environment={"PRICE": "5$ of ${HOME}"},
        mounts=[{"source": str(shared), "target": "/shared", "read_only": True}],
    )  # fmt: skip
    gone = {"name": host.name("gone"), "state": "absent"}
    # No host has so many CPUs.
    large = host.entry("b", owner=f"{host.prefix}-bob", cpus=4096.0)
    compose.write(entry, large, host.entry("c", state="stopped"), gone)
    compose.ok("config", "--quiet")
    compose.ok("up", "--detach", "--wait")
    a, b = host.name("a"), host.name("b")
    assert compose.health() == {a: "healthy", b: "healthy", "codeopen_passwords": ""}

    found = host.container("a")
    assert found is not None
    live = limits.live(entry, 0.5)
    assert found["HostConfig"]["CpuQuota"] / found["HostConfig"]["CpuPeriod"] == live.pop("NanoCpus") / 1_000_000_000
    assert limits.changes(found["HostConfig"], live) == {}
    # Compose has them in any order.
    found["HostConfig"]["Ulimits"].sort(key=lambda limit: list(limits.ULIMITS.values()).index(limit["Name"]))
    assert {key: found["HostConfig"][key] for key in limits.fixed(entry)} == limits.fixed(entry)
    (endpoint,) = found["NetworkSettings"]["Networks"].values()
    assert {"cache", "db"} <= set(endpoint["Aliases"])
    assert found["Config"]["Hostname"] == a
    assert inside(host, "a", 'echo "$PRICE"') == "5$ of ${HOME}"
    assert inside(host, "a", "cat /shared/data; touch /shared/new 2>&1 || true").startswith("shared\ntouch:")
    assert found["NetworkSettings"]["Ports"]["4096/tcp"][0]["HostIp"] == "127.0.0.1"
    other = host.container("b")
    assert other is not None
    names = [list(one["NetworkSettings"]["Networks"]) for one in (found, other)]
    assert names == [[f"{host.prefix}_owner-{host.prefix}-{owner}"] for owner in ("ada", "bob")]
    # The module's network of an owner is beside it.
    host.ok(host.entry("d", owner=f"{host.prefix}-ada"))
    names.append([network_name(f"{host.prefix}-ada")])
    bridges = {host.client.api.inspect_network(name)["Options"][BRIDGE_OPTION] for (name,) in names}
    assert len(bridges) == 3
    assert all(bridge.startswith(BRIDGES) for bridge in bridges)

    text = password(host, "a").read_text().strip()
    assert len(text) == 32
    assert text != password(host, "b").read_text().strip()
    assert inside(host, "a", "cat /run/codeopen/secrets/password") == text
    assert text not in json.dumps(found)
    assert (password(host, "a").stat().st_mode & 0o777, password(host, "a").stat().st_uid) == (0o400, 1000)
    # What comes later is there at once, as with the module.
    (password(host, "a").parent / "token").write_text("later")
    assert inside(host, "a", "cat /run/codeopen/secrets/token") == "later"

    before = host.started("a")
    compose.ok("up", "--detach", "--wait")
    assert host.started("a") == before
    assert password(host, "a").read_text().strip() == text


def test_a_workspace_that_is_not_healthy_fails_up(host: Host, compose: Compose) -> None:
    compose.write(host.entry("a", mode="never"))
    ended = compose.run("up", "--detach", "--wait")
    assert ended.returncode != 0
    assert "unhealthy" in ended.stderr


def test_stopped_workspaces_start_on_request(host: Host, compose: Compose) -> None:
    compose.write(host.entry("a"), host.entry("b", state="stopped"))
    compose.ok("up", "--detach", "--wait")
    assert host.name("b") not in compose.health()
    compose.ok("up", "--detach", "--wait", host.name("b"))
    assert compose.health()[host.name("b")] == "healthy"


def test_homes_go_from_the_module_to_compose_and_back(host: Host, compose: Compose) -> None:
    entry = host.entry("a")
    host.ok(entry, secrets={host.name("a"): {"token": "hush"}})
    text = password(host, "a").read_text()
    subprocess.run(
        ["docker", "exec", f"codeopen-{host.name('a')}", "sh", "-c", "echo mine > /home/developer/file"], check=True
    )
    host.ok({"name": host.name("a"), "state": "absent"})

    compose.write(entry, external_volumes=True)
    compose.ok("up", "--detach", "--wait")
    assert inside(host, "a", "cat /home/developer/file") == "mine"
    assert password(host, "a").read_text() == text
    assert inside(host, "a", "cat /run/codeopen/secrets/token") == "hush"
    compose.ok("down", "--volumes")
    assert host.container("a") is None

    # Volumes that Compose made itself stay, too, unless it is told otherwise.
    second = host.entry("b")
    compose.write(second)
    compose.ok("up", "--detach", "--wait")
    subprocess.run(
        ["docker", "exec", f"codeopen-{host.name('b')}", "sh", "-c", "echo ours > /home/developer/file"], check=True
    )
    compose.ok("down")
    for name, content in (("a", "mine"), ("b", "ours")):
        host.ok(host.entry(name))
        assert inside(host, name, "cat /home/developer/file") == content


def test_the_module_takes_over_what_compose_runs(host: Host, compose: Compose) -> None:
    compose.write(host.entry("a"))
    compose.ok("up", "--detach", "--wait")
    text = password(host, "a").read_text()
    assert host.info(host.name("a"))[0]["state"] == "running"
    result = host.ok(host.entry("a"))["workspaces"][0]
    assert result["action"] == "update"
    found = host.container("a")
    assert found is not None
    assert "com.docker.compose.project" not in found["Config"]["Labels"]
    assert password(host, "a").read_text() == text
    assert not host.ok(host.entry("a"))["changed"]


def test_what_compose_makes_of_a_file_is_imported_without_a_loss(host: Host, compose: Compose) -> None:
    catalogue = find_catalogue()
    definitions = [
        {
            "name": "shop", "flavor": "js", "addons": ["code-server"], "tier": "creator", "owner": "ada", "gpus": "all",
            "ports": {"opencode": "0.0.0.0:14096", "web": {"container": 3000}}, "environment": {"PRICE": "5$"},
            "limits": {"swap": "1GiB", "open_files": 5000, "locked_memory": "unlimited", "core_size": "1MiB"},
            "aliases": ["web", "db"], "checks": [{"http": "web"}],
            "mounts": [{"source": "/srv/data", "target": "/data", "uid": 0}, {"source": "cache", "target": "/cache"}],
        },
        {"name": "inner", "flavor": "polyglot", "addons": ["docker"], "state": "stopped"},
    ]  # fmt: skip
    planned = make_plan(catalogue, definitions, component_files)["workspaces"]
    compose.write(*planned)
    canonical = yaml.safe_load(compose.ok("--profile", "*", "config"))
    result = from_project(catalogue, canonical)
    assert result["not_carried_over"] == []
    again = make_plan(catalogue, result["workspaces"], component_files)["workspaces"]
    assert {entry["name"]: entry for entry in again} == {entry["name"]: entry for entry in planned}


def test_the_module_runs_what_is_imported(host: Host, compose: Compose) -> None:
    catalogue = dataclasses.replace(find_catalogue(), namespace=host.prefix)
    image, web = f"{host.prefix}-js:{catalogue.version}", host.name("web")
    compose.file.write_text(f"""
name: {host.prefix}
services:
  {web}:
    image: {image}
    mem_limit: 1g
    cpus: 0.5
    pids_limit: 300
    ports: ["127.0.0.1::4096"]
    environment: {{TEXT: "$GREETING"}}
    volumes: ["cache:/cache"]
    command: [serve]
  database:
    image: postgres:17
volumes:
  cache: {{name: codeopen-{host.prefix}-cache}}
""")
    host.client.api.tag(host.image, *image.split(":"))
    try:
        assert compose.run("config", "--quiet").returncode == 0
        result = from_project(catalogue, yaml.safe_load(compose.file.read_text()))
        assert [(loss["service"], loss["key"]) for loss in result["not_carried_over"]] == [
            (web, "cpus"), (web, "mem_limit"), (web, "environment.TEXT"), (web, "volumes[0]"), (web, "command"),
            ("database", "image"),
        ]  # fmt: skip
        # The variable is known to Compose, and so are the names of volumes.
        compose.environment["GREETING"] = "hello"
        result = from_project(catalogue, yaml.safe_load(compose.ok("config")))
        planned = make_plan(catalogue, result["workspaces"], component_files)["workspaces"]
        # The image is made from no recipe of the catalogue's.
        entries = [dict(entry, recipe="") for entry in planned]
        volume = {"name": f"codeopen-{host.prefix}-cache"}
        assert host.call("workspace_volume", volumes=[volume], state_dir=str(host.state_dir))["changed"]
        assert host.ok(*entries)["workspaces"][0]["state"] == "started"
        assert inside(host, "web", "cat /srv/index.html") == "healthy hello"
        found = host.container("web")
        assert found is not None
        assert (found["HostConfig"]["Memory"], found["HostConfig"]["PidsLimit"]) == (2 * 1024**3, 300)
        assert f"codeopen-{host.prefix}-cache" in [mount.get("Name") for mount in found["Mounts"]]
    finally:
        host.clean()
        host.client.api.remove_image(image)
