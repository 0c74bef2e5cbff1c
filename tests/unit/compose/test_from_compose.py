# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a Compose file becomes a workspace, and what is said of the rest. The fixture has the plan take each."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
import yaml
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_import import from_project, image_parts
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError

FILE = """
name: shop
services:
  web:
    image: codeopen-js-code-server:0.1.0
    command: npm start
    cpus: 1.5
    mem_limit: 5g
    memswap_limit: 6g
    pids_limit: 500
    shm_size: 64m
    ulimits: {nofile: 4096, nproc: 10}
    ports: ["8080:8080", "127.0.0.1::3000", "5353:5353/udp", 4096]
    environment: {NODE_ENV: development, DEBUG: true, TOKEN: null, HOST: "${HOST}", PRICE: 5$$}
    volumes:
      - data:/data:ro
      - /srv/shared:/shared
      - ./src:/src
      - home:/home/developer
    networks: [default]
    depends_on: [db]
    restart: unless-stopped
    logging: {driver: json-file, options: {max-size: 10m, max-file: "2", tag: x}}
    secrets: [token]
    labels: {traefik.enable: "true"}
    deploy:
      replicas: 1
      restart_policy: {condition: any}
      resources: {reservations: {memory: 1g, devices: [{capabilities: [gpu], count: 1}]}}
  db:
    image: postgres:17
volumes:
  data: {driver_opts: {type: nfs}}
  home: {}
secrets:
  token: {file: ./token.txt}
configs:
  some: {file: ./x}
"""
BRIDGE = "com.docker.network.bridge.name"
VOLUMES = {"volumes": {"codeopen-demo-home": {"name": "codeopen-demo-home"}}}


def test_a_file_that_somebody_wrote(compose: Any) -> None:
    workspaces, losses = compose.read(yaml.safe_load(FILE))
    assert workspaces == [
        {
            "name": "web",
            "flavor": "js",
            "tier": "builder",
            "addons": ["code-server"],
            "limits": {"swap": 1024**3, "pids": 500, "shm": 64 * 1024**2, "open_files": 4096, "log_size": 20_000_000},
            "ports": {
                "code-server": {"host": 8080, "address": "0.0.0.0"},
                "port-3000": {"container": 3000},
                "opencode": {"address": "0.0.0.0"},
            },
            "environment": {"NODE_ENV": "development", "DEBUG": "true", "PRICE": "5$"},
            "gpus": 1,
            "mounts": [
                {"source": "shop_data", "target": "/data", "read_only": True},
                {"source": "/srv/shared", "target": "/shared"},
            ],
        }
    ]
    assert {f"{loss['service']}:{loss['key']}" for loss in losses} == {
        ":volumes.data.driver_opts", ":configs", "web:cpus", "web:mem_limit", "web:ulimits.nproc", "web:ports[2]",
        "web:environment.TOKEN", "web:environment.HOST", "web:volumes[0]", "web:volumes[2]", "web:volumes[3]", "web:secrets[0]",
        "web:depends_on.db", "web:labels.traefik.enable", "web:logging.options.tag", "web:command",
        "web:deploy.restart_policy", "web:deploy.resources.reservations.memory", "db:image",
    }  # fmt: skip
    assert all(loss["why"] for loss in losses)


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ({}, {"tier": "builder"}),
        ({"mem_limit": "2g", "cpus": "0.5"}, {"tier": "starter"}),
        ({"cpu_quota": 400000}, {"tier": "creator"}),
        ({"cpu_quota": "100000", "cpu_period": "50000"}, {"tier": "builder"}),
        ({"cpu_quota": -1, "mem_limit": "2g"}, {"tier": "starter"}),
        ({"deploy": {"resources": {"limits": {"memory": "8G", "cpus": "4", "pids": 100}}}}, {"tier": "creator", "limits": {"pids": 100}}),
        ({"mem_limit": "900g"}, {"tier": "power"}),
        ({"labels": ["codeopen.tier=power"], "mem_limit": "16g", "cpus": 2}, {"tier": "power"}),
        ({"labels": {"codeopen.tier": "power"}, "mem_limit": "1g"}, {"tier": "starter"}),
        ({"ports": ["8000-8010:8000-8010", "[::1]:8443:4097"]}, {"ports": {"acp": {"host": 8443, "address": "::1"}}}),
        ({"ports": [{"target": 80, "published": 8080, "name": "web"}]}, {"ports": {"web": {"container": 80, "host": 8080, "address": "0.0.0.0"}}}),
        ({"ports": [{"target": 80, "name": "acp", "host_ip": "127.0.0.1"}]}, {"ports": {"port-80": {"container": 80}}}),
        ({"ports": ["127.0.0.1:1:4096", "127.0.0.1:2:4096"]}, {"ports": {"opencode": {"host": 1}}}),
        ({"environment": ["A=b=c", "D"]}, {"environment": {"A": "b=c"}}),
        ({"profiles": ["stopped"]}, {"state": "stopped"}),
        ({"profiles": ["debug"]}, {}),
        ({"scale": 0}, {"state": "stopped"}),
        ({"deploy": {"replicas": 3}}, {}),
        ({"gpus": "all"}, {"gpus": "all"}),
        ({"gpus": [{"driver": "nvidia", "device_ids": ["0"]}]}, {"gpus": ["0"]}),
        ({"gpus": [{"count": -1}]}, {"gpus": "all"}),
        ({"gpus": [{"driver": "amd", "count": 1}]}, {}),
        ({"volumes": [{"type": "tmpfs", "target": "/tmp"}, "/anonymous", "/etc:/host"]}, {}),
        (
            {"volumes": [{"type": "bind", "source": "/srv/a", "target": "/a", "bind": {"propagation": "shared"}}]},
            {"mounts": [{"source": "/srv/a", "target": "/a"}]},
        ),
        ({"volumes": ["cache:/cache"]}, {"mounts": [{"source": "p_cache", "target": "/cache"}]}),
        ({"ulimits": {"memlock": -1, "core": {"soft": 5, "hard": 5}}}, {"limits": {"locked_memory": -1, "core_size": 5}}),
        ({"ulimits": {"core": 0}}, {"limits": {"core_size": 1}}),
        ({"networks": {"default": {"aliases": ["web", "demo", "db", "a.b"]}}}, {"aliases": ["db", "web"]}),
        ({"networks": {"default": {"aliases": ["db"]}, "front": {"aliases": ["web"]}}}, {"aliases": ["db", "web"]}),
        ({"networks": {"default": {"aliases": ["demo"]}}}, {}),
    ],
)  # fmt: skip
def test_forms_of_values(compose: Any, service: dict[str, Any], found: dict[str, Any]) -> None:
    workspace = compose.one(**service)[0]
    assert workspace == {"name": "demo", "flavor": "js", "tier": "builder", **found}


@pytest.mark.parametrize(
    ("service", "key", "why"),
    [
        ({"image": "codeopen-js:0.0.1"}, "image", "is codeopen-js:0.0.1, and this catalogue builds codeopen-js:0.1.0"),
        ({"container_name": "web"}, "container_name", "it is called codeopen-demo"),
        ({"hostname": "web"}, "hostname", "is web, and that of every workspace is demo"),
        ({"restart": "always"}, "restart", "is always, and that of every workspace is unless-stopped"),
        ({"init": True}, "init", "is True, and that of every workspace is false"),
        ({"privileged": True}, "privileged", "is not among what its components declare as 'runtime'"),
        ({"devices": ["/dev/kvm:/dev/kvm"]}, "devices[0]", "/dev/kvm is not among what its components"),
        ({"security_opt": ["no-new-privileges:true"]}, "security_opt[0]", "is not among what"),
        ({"memswap_limit": -1}, "memswap_limit", "the swap of a workspace has a limit"),
        ({"memswap_limit": "2g"}, "memswap_limit", "needs a mem_limit"),
        ({"pids_limit": -1}, "pids_limit", "has a limit: give it as limits.pids"),
        ({"pids_limit": 3}, "pids_limit", "is 3: workspaces have 32 to 4194304"),
        ({"ulimits": {"nofile": {"soft": 1, "hard": 2}}}, "ulimits.nofile", "soft is 1 and hard is 2"),
        ({"logging": {"driver": "syslog"}}, "logging.driver", "is syslog, and workspaces log to json-file"),
        ({"mem_limit": "much"}, "mem_limit", "expected a size such as 512m or 2g, got 'much'"),
        ({"mem_limit": "${MEMORY}"}, "mem_limit", "the value of ${MEMORY} is not in the file"),
        ({"ports": ["99999:80"]}, "ports[0]", "99999 is no port"),
        ({"networks": ["front"]}, "networks", "workspaces of one owner share a network"),
        ({"networks": ["front", "back"]}, "networks", "give 'owner'"),
        ({"networks": {"default": {"ipv4_address": "10.0.0.9"}}}, "networks.default.ipv4_address", "by its name"),
        ({"volumes": ["./x:/x"]}, "volumes[0]", "is relative to the Compose file"),
        ({"volumes": ["/anonymous"]}, "volumes[0]", "a volume without a name is lost"),
        ({"volumes": ["/etc:/host"]}, "volumes[0]", "no workspace gets /etc of its host"),
        ({"volumes": ["cache:/cache"]}, "volumes[0]", "make the volume p_cache with workspace_volume"),
        ({"volumes": ["/srv/a:/a:z"]}, "volumes[0].z", "mounts are read-only or not"),
        ({"environment": {"A": "b\nc"}}, "environment.A", "has several lines"),
        ({"gpus": [{"capabilities": ["tpu"]}]}, "gpus", "is tpu of nvidia"),
        ({"gpus": [{"device_ids": ["x"]}]}, "gpus", "'x' is no device"),
        ({"secrets": ["token"]}, "secrets[0]", "give its value as codeopen_secrets.demo.token"),
        ({"extends": {"service": "x"}}, "extends", "docker compose config"),
        ({"x-codeopen-checks": 3}, "x-codeopen-checks", "expected a list, got 3"),
        ({"volumes": ["codeopen-demo-home:/home/developer:ro"]}, "volumes[0].read_only", "writes to its volume codeopen-demo-home"),
        ({"volumes": ["/var/lib/codeopen/workspaces/demo/secrets:/run/codeopen/secrets"]}, "volumes[0].read_only", "reads its secrets"),
        ({"cpu_quota": 50000}, "cpu_quota", "tier starter gives 1 instead of 0.5"),
        ({"cpu_period": 50000}, "cpu_period", "limited by cpus and memory of a tier"),
        ({"mem_swappiness": 0}, "mem_swappiness", "limited by cpus and memory of a tier"),
        ({"oom_score_adj": 0}, "oom_score_adj", "the engine's confinement"),
        ({"ulimits": {"nproc": 0}}, "ulimits.nproc", "the number of a workspace's processes is limited by limits.pids"),
        ({"ulimits": {"rtprio": 0}}, "ulimits.rtprio", "a workspace's definition has no word for it"),
        ({"ulimits": {"core": 0}}, "ulimits.core", "limits.core_size is 1 byte instead"),
        ({"ulimits": {"memlock": -5}}, "ulimits.memlock", "is -5: workspaces have at least -1"),
        ({"ulimits": {"memlock": {"soft": 1, "hard": 2}}}, "ulimits.memlock", "soft is 1 and hard is 2, and limits.locked_memory"),
        ({"networks": {"default": {"priority": 0}}}, "networks.default.priority", "by its name"),
        ({"networks": {"default": {"aliases": ["a_b", "db"]}}}, "networks.default.aliases", "'a_b' is no alias: expected a DNS label"),
    ],
)  # fmt: skip
def test_every_loss_has_its_reason(compose: Any, service: dict[str, Any], key: str, why: str) -> None:
    # The workspace's own volume under its own name; all other keys are called after the project.
    losses = compose.read({"name": "p", "services": {"demo": {"image": "codeopen-js:0.1.0", **service}}, **VOLUMES})[1]
    assert [loss["key"] for loss in losses] == [key]
    assert why in losses[0]["why"]


@pytest.mark.parametrize(
    ("service", "key", "why"),
    [
        ({"ports": "80"}, "ports", "expected a list, got '80'"),
        ({"ports": 0}, "ports", "expected a list, got 0"),
        ({"unheard_of": 1}, "unheard_of", "a workspace's definition has no word for it"),
        ({"unheard_of": 0}, "unheard_of", "a workspace's definition has no word for it"),
    ],
)
def test_what_compose_would_refuse_is_a_loss(compose: Any, service: dict[str, Any], key: str, why: str) -> None:
    losses = compose.one(valid=False, **service)[1]
    assert list(losses) == [key]
    assert why in losses[key]


@pytest.mark.parametrize("value", [False, "", None, [], {}])
def test_a_key_that_says_nothing_is_no_loss(compose: Any, value: Any) -> None:
    document = {"services": {"demo": {"image": "codeopen-js:0.1.0", "unheard_of": value}}, "further": value}
    assert compose.read(document, valid=False)[1] == []


def test_beside_the_services_zero_is_something_too(compose: Any) -> None:
    document = {"services": {}, "volumes": {"data": {"size": 0}}, "further": 0}
    losses = compose.read(document, valid=False)[1]
    assert [loss["key"] for loss in losses] == ["volumes.data.size", "further"]


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ({}, "is not given"),
        ({"build": "."}, "is not given"),
        ({"image": "postgres:17"}, "which are called codeopen-<flavor>[-<add-on>…]"),
        ({"image": "codeopen-pyton:0.1.0"}, "did you mean 'codeopen-python'?"),
        ({"image": "ghcr.io/x/codeopen-js:0.1.0"}, "is no image of the catalogue"),
        ({"image": "codeopen-js-ssh-code-server:0.1.0"}, "is no image of the catalogue"),
        ({"image": "codeopen-js:${VERSION}"}, "the value of ${VERSION} is not in the file"),
        ({"image": "codeopen-js:0.1.0", "x-codeopen-checks": [{"ftp": 1}]}, "ftp: unknown key"),
    ],
)
def test_services_that_become_no_workspace(compose: Any, service: dict[str, Any], why: str) -> None:
    workspaces, losses = compose.read({"services": {"demo": service}})
    assert workspaces == []
    assert [loss["service"] for loss in losses] == ["demo"]
    assert why in losses[0]["why"]


def test_an_image_that_may_be_two(compose: Any) -> None:
    flavors = {**compose.catalogue.flavors, "js-ssh": compose.catalogue.flavors["js"]}
    catalogue = dataclasses.replace(compose.catalogue, flavors=flavors)
    assert image_parts(catalogue, "codeopen-js-toolbox:1") == ("js", ("toolbox",))
    with pytest.raises(ValueError, match="codeopen-js-ssh:1 may be js with ssh or js-ssh"):
        image_parts(catalogue, "codeopen-js-ssh:1")


def test_a_tier_that_a_component_needs(compose: Any) -> None:
    workspace = compose.one(image="codeopen-python-gpu:0.1.0", mem_limit="1g")[0]
    assert workspace["tier"] == compose.catalogue.addons["gpu"].requires_tier == "creator"


def test_add_ons_that_do_not_go_together(compose: Any) -> None:
    addons = {**compose.catalogue.addons}
    addons["ssh"] = dataclasses.replace(addons["ssh"], requires_flavors=("python",))
    catalogue = dataclasses.replace(compose.catalogue, addons=addons)
    result = from_project(catalogue, {"services": {"demo": {"image": "codeopen-js-ssh:0.1.0"}}})
    assert result["workspaces"] == []
    assert "ssh needs flavor python, not js" in result["not_carried_over"][0]["why"]


def test_names(compose: Any) -> None:
    image = {"image": "codeopen-js:0.1.0"}
    services = {"My_App": image, "b": {**image, "container_name": "codeopen-shop"}, "shop": image}
    workspaces, losses = compose.read({"services": services})
    assert [workspace["name"] for workspace in workspaces] == ["my-app", "shop"]
    assert [(loss["service"], loss["key"]) for loss in losses] == [
        ("My_App", "container_name"), ("shop", "container_name"),
    ]  # fmt: skip


def test_aliases_that_lead_to_two(compose: Any) -> None:
    def service(*aliases: str) -> dict[str, Any]:
        return {"image": "codeopen-js:0.1.0", "networks": {"default": {"aliases": list(aliases)}}}

    workspaces, losses = compose.read(
        {"services": {"a": service("db", "b"), "b": service("db", "web"), "c": service("web")}}
    )
    assert [workspace.get("aliases") for workspace in workspaces] == [["db"], ["web"], None]
    assert [(loss["service"], loss["key"]) for loss in losses] == [
        ("a", "networks"),
        ("b", "networks"),
        ("c", "networks"),
    ]
    assert losses[0]["why"] == "alias 'b' is what workspace 'b' of the same owner is called"


def test_a_service_that_is_empty(compose: Any) -> None:
    workspaces, losses = compose.read({"services": {"nothing": None}}, valid=False)
    assert workspaces == []
    assert [(loss["service"], loss["key"]) for loss in losses] == [("nothing", "")]


@pytest.mark.parametrize(
    ("volume", "source"),
    [
        ({"name": "real"}, "real"),
        ({"external": True}, "cache"),
        ({"external": {"name": "old"}}, "old"),
        (None, "is called after the folder that the file lies in"),
    ],
)
def test_what_a_volume_is_really_called(compose: Any, volume: Any, source: str) -> None:
    service = {"image": "codeopen-js:0.1.0", "volumes": ["cache:/cache"]}
    workspaces, losses = compose.read({"services": {"demo": service}, "volumes": {"cache": volume}})
    mounts = workspaces[0].get("mounts", [])
    assert source in (mounts[0]["source"] if mounts else losses[0]["why"])


@pytest.mark.parametrize(
    ("network", "owner"),
    [
        ({"name": "codeopen-owner-ada"}, "ada"),
        ({"name": "codeopen-workspaces", "external": True}, ""),
        ({"labels": {"codeopen.owner": "ada"}}, "ada"),
        ({"labels": ["codeopen.owner="]}, ""),
    ],
)
def test_networks_that_are_an_owners(compose: Any, network: dict[str, Any], owner: str) -> None:
    service = {"image": "codeopen-js:0.1.0", "networks": ["net"]}
    workspaces, losses = compose.read({"services": {"demo": service}, "networks": {"net": network}})
    assert workspaces[0].get("owner", "") == owner
    assert losses == []


@pytest.mark.parametrize("wrong", ["services: {}", None, [], {"services": []}, {"a": 1}])
def test_something_else_is_refused(compose: Any, wrong: Any) -> None:
    with pytest.raises(PlanError, match=re.escape("expected a Compose file as a mapping with services")):
        compose.read(wrong, valid=False)


@pytest.mark.parametrize(
    ("options", "lost"),
    [
        ({BRIDGE: "br-co-012345678"}, False),
        ({BRIDGE: "br-mine"}, True),
        ({BRIDGE: "br-co-012345678", "com.docker.network.driver.mtu": 1400}, True),
    ],
)
def test_the_bridge_of_a_network_is_no_loss_where_it_is_ours(compose: Any, options: dict[str, Any], lost: bool) -> None:
    service = {"image": "codeopen-js:0.1.0", "networks": ["net"]}
    network = {"labels": {"codeopen.owner": "ada"}, "driver_opts": options}
    losses = compose.read({"services": {"demo": service}, "networks": {"net": network}})[1]
    assert [loss["key"] for loss in losses] == (["networks.net.driver_opts"] if lost else [])
