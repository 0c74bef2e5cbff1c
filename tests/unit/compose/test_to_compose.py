# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a workspace gets into a Compose file. The fixture checks every one against the schema."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import jsonschema
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import networks
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_export import ExportSettings, to_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_metadata import INTERFACES
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import bridge_name

DEMO = {"name": "demo", "flavor": "js"}


def bridge(text: str) -> str:
    return f"br-co-{hashlib.sha256(text.encode()).hexdigest()[:9]}"


def bridges(project: dict[str, Any]) -> list[str]:
    """The bridges of a project's networks."""
    return [network["driver_opts"][networks.BRIDGE_OPTION] for network in project["networks"].values()]


def test_the_whole_service_of_a_workspace(compose: Any) -> None:
    project = compose.project(
        {
            **DEMO,
            "tier": "creator",
            "owner": "ada",
            "ports": {"opencode": "0.0.0.0:14096"},
            "environment": {"PRICE": "5$ of ${HOME}"},
            "limits": {"swap": "1GiB", "open_files": 5000},
            "mounts": [
                {"source": "/srv/data", "target": "/data", "read_only": True, "uid": 0},
                {"source": "cache", "target": "/cache"},
            ],
            "checks": [{"http": "opencode", "status": 401}],
        }
    )
    assert project["name"] == "codeopen"
    assert project["services"]["demo"] == {
        "image": "codeopen-js:0.1.0",
        "pull_policy": "never",
        "container_name": "codeopen-demo",
        "hostname": "demo",
        "init": False,
        "restart": "unless-stopped",
        "cpu_period": 100000,
        "cpu_quota": 400000,
        "mem_limit": "8g",
        "memswap_limit": "9g",
        "pids_limit": 8192,
        "shm_size": "512m",
        "logging": {"driver": "json-file", "options": {"max-size": "20000000", "max-file": "3"}},
        "labels": {
            "codeopen.workspace": "demo",
            "codeopen.image": "codeopen-js:0.1.0",
            "codeopen.tier": "creator",
            "codeopen.ports": '{"opencode":{"address":"0.0.0.0","container":4096,"host":14096}}',
        },
        "networks": ["owner-ada"],
        "depends_on": {"codeopen_passwords": {"condition": "service_completed_successfully"}},
        "environment": {"PRICE": "5$$ of $${HOME}"},
        "ports": [
            {"name": "acp", "target": 4097, "host_ip": "127.0.0.1", "protocol": "tcp"},
            {"name": "opencode", "target": 4096, "host_ip": "0.0.0.0", "protocol": "tcp", "published": "14096"},
        ],
        "volumes": [
            {"type": "volume", "source": "codeopen-demo-home", "target": "/home/developer"},
            {"type": "volume", "source": "codeopen-demo-workspace", "target": "/workspace"},
            {
                "type": "bind", "source": "/srv/data", "target": "/data", "read_only": True,
                "bind": {"create_host_path": False}, "x-codeopen-uid": 0,
            },
            {"type": "volume", "source": "cache", "target": "/cache"},
            {
                "type": "bind", "source": "/var/lib/codeopen/workspaces/demo/secrets", "target": "/run/codeopen/secrets",
                "read_only": True, "bind": {"create_host_path": True},
            },
            {
                "type": "bind", "source": "/run/codeopen-9ad1d4f33940/demo", "target": "/run/codeopen/secrets-in-memory",
                "read_only": True, "bind": {"create_host_path": True},
            },
        ],
        "ulimits": {"nofile": {"soft": 5000, "hard": 5000}},
        "x-codeopen-checks": [{"http": "opencode", "status": 401}],
    }  # fmt: skip
    assert project["networks"] == {
        "owner-ada": {
            "driver": "bridge",
            "driver_opts": {"com.docker.network.bridge.name": bridge("/var/lib/codeopen codeopen_owner-ada")},
            "labels": {"codeopen.owner": "ada"},
        }
    }
    assert project["volumes"]["codeopen-demo-home"] == {
        "name": "codeopen-demo-home",
        "labels": {"codeopen.workspace": "demo", "codeopen.volume": "home"},
    }
    assert project["volumes"]["cache"] == {"name": "cache", "external": True}


@pytest.mark.parametrize(
    ("wish", "device"),
    [
        ("all", {"driver": "nvidia", "count": "all"}),
        (2, {"driver": "nvidia", "count": 2}),
        ([0, "0:1"], {"driver": "nvidia", "device_ids": ["0", "0:1"]}),
        (["nvidia.com/gpu=0"], {"driver": "cdi", "device_ids": ["nvidia.com/gpu=0"]}),
    ],
)
def test_gpus_are_reserved(compose: Any, wish: Any, device: dict[str, Any]) -> None:
    deploy = compose.project({**DEMO, "gpus": wish})["services"]["demo"]["deploy"]
    assert deploy == {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"], **device}]}}}
    assert "deploy" not in compose.project(DEMO)["services"]["demo"]


def test_what_components_need_of_the_engine_is_granted(compose: Any) -> None:
    service = compose.project({"name": "demo", "flavor": "polyglot", "addons": ["docker"]})["services"]["demo"]
    runtime = compose.plan({"name": "demo", "flavor": "polyglot", "addons": ["docker"]})[0]["runtime"]
    assert service.get("devices", []) == [f"{device}:{device}:rw" for device in runtime["devices"]]
    assert service.get("security_opt", []) == runtime["security_opt"]
    assert service.get("privileged", False) == runtime["privileged"]
    assert runtime["devices"]


def test_states_decide_what_up_starts(compose: Any) -> None:
    states = {"a": "started", "b": "restarted", "c": "stopped", "d": "paused", "e": "absent"}
    services = compose.project(*({"name": name, "flavor": "js", "state": state} for name, state in states.items()))[
        "services"
    ]
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "codeopen_passwords": None, "a": None, "b": None, "c": ["stopped"], "d": ["paused"],
    }  # fmt: skip


def test_where_none_is_started_no_password_is_waited_for(compose: Any) -> None:
    services = compose.project({**DEMO, "state": "stopped"})["services"]
    assert services["codeopen_passwords"]["profiles"] == ["stopped"]


def test_of_nothing_there_is_nothing(compose: Any) -> None:
    assert compose.project({"name": "gone", "state": "absent"}) == {"name": "codeopen", "services": {}}


def test_volumes_that_are_there_are_used_and_not_made(compose: Any) -> None:
    project = compose.project(DEMO, external_volumes=True)
    assert project["volumes"]["codeopen-demo-home"] == {"name": "codeopen-demo-home", "external": True}


def test_settings_of_the_host(compose: Any) -> None:
    project = compose.project({**DEMO, "tier": "power"}, project="two", state_dir="./state/", host_cpus=2)
    assert project["name"] == "two"
    assert project["services"]["demo"]["cpu_quota"] == 200000
    assert project["services"]["demo"]["volumes"][-1]["source"] == "./state/workspaces/demo/secrets"
    assert project["services"]["codeopen_passwords"]["volumes"][0]["source"] == "./state/workspaces/demo/secrets"


def test_networks_have_bridges_that_the_hosts_filter_knows(compose: Any) -> None:
    found = bridges(compose.project(DEMO, {"name": "two", "flavor": "js", "owner": "ada"}))
    assert all(name.startswith(INTERFACES[0].rstrip("+")) and len(name) <= 15 for name in found)


def test_no_two_networks_have_one_bridge(compose: Any) -> None:
    owners = ("", "ada", "bob", "workspaces")
    definitions = [
        {**DEMO, "name": "nobodys"},
        *({"name": owner, "flavor": "js", "owner": owner} for owner in owners[1:]),
    ]
    states, projects = ("/var/lib/codeopen", "/srv/state"), ("codeopen", "codeopen-owner-ada", "a", "a_workspaces")
    exports = [
        compose.project(*definitions, project=name, state_dir=at) for name, at in itertools.product(projects, states)
    ]
    found = [name for project in exports for name in bridges(project)]
    found += [bridge_name(state, owner) for state in states for owner in owners]
    assert len(found) == len(set(found)) == (4 * 2 + 2) * 4
    # It is the same one in each export.
    assert bridges(compose.project(*definitions, state_dir="/srv/state/")) == bridges(exports[1])


def test_secrets_that_are_on_disk(compose: Any) -> None:
    volumes = compose.project(DEMO, memory="")["services"]["demo"]["volumes"]
    assert volumes[-1]["target"] == "/run/codeopen/secrets"


def test_mistakes_are_refused(compose: Any) -> None:
    workspace = compose.plan(DEMO)[0]
    with pytest.raises(PlanError, match="more than once"):
        to_project([workspace, workspace], ExportSettings())
    with pytest.raises(PlanError, match="project 'My project': expected lower-case letters"):
        to_project([workspace], ExportSettings(project="My project"))


def test_aliases_are_those_of_the_owners_network(compose: Any) -> None:
    services = compose.project({**DEMO, "aliases": ["web", "db"]}, {"name": "plain", "flavor": "js"})["services"]
    assert services["demo"]["networks"] == {"workspaces": {"aliases": ["db", "web"]}}
    assert services["plain"]["networks"] == ["workspaces"]


def test_limits_of_processes(compose: Any) -> None:
    limits = {"locked_memory": "unlimited", "core_size": "1MiB"}
    service = compose.project({**DEMO, "limits": limits})["services"]["demo"]
    assert service["ulimits"] == {"memlock": {"soft": -1, "hard": -1}, "core": {"soft": 1048576, "hard": 1048576}}


def test_the_schema_finds_mistakes(compose: Any) -> None:
    project = compose.project(DEMO)
    project["services"]["demo"]["memory"] = 1
    with pytest.raises(jsonschema.ValidationError, match="memory"):
        compose.validate(project)
