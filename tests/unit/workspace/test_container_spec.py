# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's request: it changes when, and only when, the wish does, and it holds no secret."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import (
    Settings,
    build,
    difference,
    problems_of,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import GpuError, GpuHost

TWO_GPUS = GpuHost("26.1.5", ("GPU-a", "GPU-b"), hook=True)
SETTINGS = Settings(
    host_cpus=4, image_id="sha256:1", secrets_dir="/s", key="k", network="https_proxy=http://p\n", gpus=TWO_GPUS
)
PORTS = {"web": 20001}


def entry(**changes: Any) -> dict[str, Any]:
    """A workspace of the plan."""
    made: dict[str, Any] = {
        "name": "demo",
        "image": "codeopen-python:0.1.0",
        "tier": "builder",
        "cpus": 2.0,
        "memory": 4 * 1024**3,
        "ports": [{"name": "web", "container": 4096, "host": None, "address": "127.0.0.1"}],
        "volumes": [{"name": "home", "path": "/home/developer"}],
        "environment": {"A": "1", "B": "2"},
        "gpus": 0,
        "state": "started",
    }
    made.update(changes)
    return made


def digest(ports: Any = None, settings: Settings = SETTINGS, **changes: Any) -> str:
    """The SHA-256 of a changed wish."""
    return build(entry(**changes), ports or PORTS, settings).digest


@pytest.mark.parametrize(
    "change",
    [
        {"image": "codeopen-js:0.1.0"},
        {"owner": "ada"},
        {"aliases": ["db"]},
        {"limits": {"locked_memory": -1}},
        {"limits": {"core_size": 1024}},
        {"limits": {"shm": 2 * 1024**3}},
        {"limits": {"open_files": 1024}},
        {"limits": {"log_size": 3_000_000}},
        {"gpus": -1},
        {"runtime": {"devices": ["/dev/fuse"]}},
        {"runtime": {"privileged": True}},
        {"environment": {"A": "1"}},
        {"environment": {"A": "1", "B": "3"}},
        {"volumes": []},
        {"mounts": [{"source": "/srv/data", "target": "/data"}]},
        {"ports": [{"name": "web", "container": 4097}]},
        {"ports": [{"name": "web", "container": 4096, "address": "0.0.0.0"}]},
        {"ports": {"web": 20002}},
    ],
    ids=str,
)
def test_a_change_changes_the_digest(change: dict[str, Any]) -> None:
    if isinstance(change.get("ports"), dict):
        assert digest(change["ports"]) != digest()
    else:
        assert build(entry(**change), PORTS, SETTINGS).digest != digest()


@pytest.mark.parametrize("change", [{"image_id": "sha256:2"}, {"network": "https_proxy=http://q\n"}, {"network": ""}])
def test_a_change_of_the_host_changes_the_digest(change: dict[str, Any]) -> None:
    assert digest(settings=dataclasses.replace(SETTINGS, **change)) != digest()


@pytest.mark.parametrize(
    "change",
    [
        {"state": "stopped"},
        {"tier": "creator"},
        {"cpus": 1.5},
        {"memory": 2 * 1024**3},
        {"limits": {"pids": 99}},
        {"checks": [{"tcp": "web"}]},
        {"environment": {"B": "2", "A": "1"}},
        {"flavor": "x"},
        {"recipe": "y"},
        {"disk": 1},
        {"mounts": []},
        {"aliases": []},
        {"aliases": None},
        # Its name leads to it in any case.
        {"aliases": ["demo"]},
        {"limits": {"locked_memory": 0, "core_size": None}},
    ],
)
def test_what_does_not_matter_does_not(change: dict[str, Any]) -> None:
    assert digest(**change) == digest()


def test_an_upgrade_replaces_no_container() -> None:
    """These are the digests that containers have from before there were aliases and more limits of processes."""
    assert digest() == "707c429c7ea6d8f9dcc179f905f1fdc48f74704bb848b96caff936850b0f3de8"
    changed = digest(owner="ada", limits={"open_files": 1024, "swap": 5, "shm": 2 * 1024**3})
    assert changed == "452522671f81166b1f55e7f595326aca0ccccd6d14db1e6141016d68913242b1"


def test_aliases_are_names_in_the_owners_network_in_any_order() -> None:
    spec = build(entry(owner="ada", aliases=["web", "db", "web"]), PORTS, SETTINGS)
    endpoint = spec.request["NetworkingConfig"]["EndpointsConfig"]["codeopen-owner-ada"]
    assert endpoint["Aliases"] == spec.names == ["demo", "db", "web"]
    assert spec.configuration["aliases"] == ["db", "web"]
    assert "aliases" not in build(entry(), PORTS, SETTINGS).configuration
    assert digest(aliases=["web", "db"]) == digest(aliases=["db", "web"])


def test_labels_show_no_values_of_variables_nor_the_network() -> None:
    settings = dataclasses.replace(SETTINGS, network="https_proxy=http://u:hush@p\n")
    spec = build(entry(environment={"KEY": "hush"}), PORTS, settings)
    assert "hush" not in json.dumps([spec.configuration, spec.request["Labels"]])
    assert spec.request["Env"] == ["KEY=hush"]
    assert "hush" not in json.dumps(dict(spec.request, Env=[]))


def test_gpus_are_device_requests() -> None:
    (device,) = build(entry(gpus=2), PORTS, SETTINGS).request["HostConfig"]["DeviceRequests"]
    assert device == {"Driver": "nvidia", "Count": 2, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}


def test_gpus_that_the_host_does_not_have_are_refused() -> None:
    with pytest.raises(GpuError, match="asks for 3 GPUs, and the host has 2"):
        build(entry(gpus=3), PORTS, SETTINGS)
    with pytest.raises(GpuError, match="the host has no NVIDIA GPU"):
        build(entry(gpus=-1), PORTS, dataclasses.replace(SETTINGS, gpus=GpuHost("26.1.5")))


def test_what_components_need_is_granted_and_nothing_else() -> None:
    runtime = {"devices": ["/dev/fuse"], "security_opt": ["seccomp=unconfined", "systempaths=unconfined"]}
    plain, granting = build(entry(), PORTS, SETTINGS), build(entry(runtime=runtime), PORTS, SETTINGS)
    granted = {
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rw"}],
        "SecurityOpt": ["seccomp=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
    }
    assert granting.request["HostConfig"] == {**plain.request["HostConfig"], **granted}
    assert difference(plain.configuration, granting.configuration) == ({}, {"granted": granted})
    privileged = build(entry(runtime={"privileged": True}), PORTS, SETTINGS)
    assert privileged.request["HostConfig"] == {**plain.request["HostConfig"], "Privileged": True}


def test_an_empty_wish_for_grants_is_as_none() -> None:
    assert digest(runtime={"devices": [], "security_opt": [], "privileged": False}) == digest()


def test_difference_shows_only_what_differs() -> None:
    assert difference({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == ({"b": 2, "c": 3}, {"b": 4, "d": 5})


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "a;b", "$(a)", "-a", "a-", "a--b", "A", "", "a" * 41, "a\n"])
def test_bad_names_are_refused(name: str) -> None:
    (problem,) = problems_of([entry(name=name)])
    assert "not a workspace's name" in problem


@pytest.mark.parametrize("name", ["a", "demo", "a-1", "0", "a" * 40])
def test_good_names_are_not(name: str) -> None:
    assert problems_of([entry(name=name)]) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"state": "asleep"},
            "state is 'asleep': expected one of present, started, stopped, restarted, paused, absent",
        ),
        ({"owner": "../x"}, "owner '../x'"),
        ({"aliases": ["a b"]}, "alias 'a b': expected a DNS label: lower-case letters, digits and hyphens"),
        ({"aliases": ["Db"]}, "alias 'Db'"),
        ({"aliases": ["a.b"]}, "alias 'a.b'"),
        ({"aliases": ["a-"]}, "alias 'a-'"),
        ({"aliases": ["a" * 64]}, "alias 'aaaa"),
        ({"limits": {"pids": 1}}, "limits.pids is 1: expected at least 32"),
        ({"limits": {"locked_memory": -2}}, "limits.locked_memory is -2: expected at least -1"),
        ({"checks": [{}]}, "check 1: expected one of http, tcp, command, got none"),
        ({"checks": [{"http": "web", "tcp": "web"}]}, "got http, tcp"),
        ({"checks": [{"http": "wbe"}]}, "names the port 'wbe', which it has not; it has: web"),
        ({"checks": [{"http": "web", "path": "x"}]}, "path 'x' does not begin with '/'"),
        ({"image": ""}, "image is missing"),
        ({"cpus": 0}, "cpus is 0: expected a number above 0"),
        ({"memory": 1}, "memory is 1 bytes: expected at least"),
        ({"gpus": -2}, "gpus is -2"),
        ({"gpus": ["GPU-1"]}, "gpus: 'GPU-1' is no device"),
        ({"ports": [{"name": "web", "container": 0}]}, "container is 0, out of range"),
        ({"ports": [{"name": "web", "container": 1, "host": 65536}]}, "host is 65536, out of range"),
        ({"ports": [{"name": "a", "container": 1}, {"name": "b", "container": 1}]}, "ports a and b are both 1"),
        ({"ports": [{"name": "a", "container": 1}, {"name": "a", "container": 2}]}, "port a is there twice"),
        ({"volumes": [{"name": "../x", "path": "/x"}]}, "volume name '../x'"),
        ({"volumes": [{"name": "x", "path": "x"}]}, "path 'x' is not absolute"),
        ({"environment": {"A B": "1"}}, "environment variable 'A B'"),
        ({"runtime": {"devices": ["/etc/shadow"]}}, "runtime device '/etc/shadow'"),
        ({"runtime": {"security_opt": ["seccomp=x"]}}, "runtime security option 'seccomp=x'"),
    ],
)
def test_every_mistake_is_named(changes: dict[str, Any], text: str) -> None:
    (problem,) = problems_of([entry(**changes)])
    assert problem.startswith("Workspace 'demo': ")
    assert text in problem


def test_the_same_name_twice_is_refused() -> None:
    assert problems_of([entry(), entry()]) == ["Workspace 'demo' is in the list more than once."]


ADAS = entry(name="a", owner="ada", aliases=["db", "cache"])


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"name": "db"}, "Workspace 'a': aliases: 'db' is what workspace 'db' of the same owner is called."),
        (
            {"name": "b", "aliases": ["codeopen-a"]},
            "Workspace 'b': aliases: 'codeopen-a' is what workspace 'a' of the same owner is called.",
        ),
        (
            {"name": "b", "aliases": ["x", "cache"]},
            "Workspace 'b': aliases: 'cache' is an alias of workspace 'a' of the same owner, too.",
        ),
        ({"name": "db", "owner": "bob"}, ""),
        ({"name": "db", "owner": ""}, ""),
        ({"name": "db", "state": "absent"}, ""),
        ({"name": "b", "aliases": ["x"]}, ""),
        # Of a pool, whose members are alike until they are claimed.
        ({"name": "b", "aliases": ["db"], "pool": "p"}, ""),
    ],
    ids=str,
)
def test_an_alias_leads_to_one_workspace(other: dict[str, Any], text: str) -> None:
    assert problems_of([ADAS, entry(**{"owner": "ada", **other})]) == ([text] if text else [])
