# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of a workspace: what it asks of the Swarm, what it refuses, and that it holds no secret."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_drift import drifted
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_limits import service_problems
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import (
    FENCE,
    SecretFile,
    ServiceSettings,
    VolumeDriver,
    build_service,
    is_pinned,
    secret_name,
)
from hypothesis import given
from hypothesis import strategies as st

HOME = [{"name": "home", "path": "/home/developer"}]
WEB = {"name": "web", "container": 4096, "host": None, "address": "0.0.0.0"}
BOUND = ServiceSettings(
    network_id="net1",
    key="k",
    node="n1",
    node_name="worker-1",
    secrets=[SecretFile("password", "codeopen-demo-0123456789ab", "s1")],
    ports={FENCE: 20000, "web": 20001},
)
FREE = ServiceSettings(network_id="net1", key="k", ports={"web": 20001})


def entry(**changes: Any) -> dict[str, Any]:
    """A workspace of the plan."""
    made: dict[str, Any] = {
        "name": "demo", "image": "codeopen-python:0.1.0", "recipe": "r" * 64, "tier": "builder", "cpus": 2.0,
        "memory": 4 * 1024**3, "ports": [], "volumes": HOME, "environment": {"A": "hush"}, "gpus": 0, "state": "started",
    }  # fmt: skip
    made.update(changes)
    return made


def task(made: dict[str, Any], settings: ServiceSettings = BOUND) -> dict[str, Any]:
    return dict(build_service(made, settings).request["TaskTemplate"])


def test_what_it_may_use_is_set_aside_for_it() -> None:
    resources = task(entry(gpus=2))["Resources"]
    assert resources["Limits"] == {"NanoCPUs": 2_000_000_000, "MemoryBytes": 4 * 1024**3, "Pids": 4096}
    assert resources["Reservations"] == {
        "NanoCPUs": 2_000_000_000,
        "MemoryBytes": 4 * 1024**3,
        "GenericResources": [{"DiscreteResourceSpec": {"Kind": "NVIDIA-GPU", "Value": 2}}],
    }


def test_one_with_local_volumes_is_bound_to_its_node_by_id_and_by_its_fence() -> None:
    request = build_service(entry(ports=[WEB]), BOUND).request
    assert request["TaskTemplate"]["Placement"]["Constraints"] == ["node.id==n1"]
    assert request["Labels"]["codeopen.node"] == "n1"
    ports = request["EndpointSpec"]["Ports"]
    assert [(port["Protocol"], port["PublishedPort"], port["PublishMode"]) for port in ports] == [
        ("tcp", 20001, "host"),
        ("udp", 20000, "host"),
    ]
    assert request["UpdateConfig"]["Order"] == request["RollbackConfig"]["Order"] == "stop-first"
    assert request["UpdateConfig"]["FailureAction"] == "rollback"


def test_one_without_files_may_be_anywhere_and_starts_before_its_predecessor_stops() -> None:
    settings = dataclasses.replace(FREE, constraints={"zone": "a", "disk": "ssd"})
    request = build_service(entry(volumes=[], ports=[WEB]), settings).request
    assert request["TaskTemplate"]["Placement"]["Constraints"] == ["node.labels.disk==ssd", "node.labels.zone==a"]
    assert request["UpdateConfig"]["Order"] == "start-first"
    assert [port["PublishMode"] for port in request["EndpointSpec"]["Ports"]] == ["ingress"]


def test_shared_volumes_bind_to_no_node_and_still_have_one_writer_at_a_time() -> None:
    options = {"type": "nfs", "device": ":/exports/{workspace}/{volume}"}
    driver = VolumeDriver(options=options, shared=True)
    assert not is_pinned(entry(), driver)
    assert is_pinned(entry(), VolumeDriver())
    request = build_service(entry(), dataclasses.replace(FREE, driver=driver)).request
    assert request["UpdateConfig"]["Order"] == "stop-first"
    (mount,) = request["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert mount["VolumeOptions"]["DriverConfig"]["Options"]["device"] == ":/exports/demo/home"


def test_ports_that_are_not_for_everybody_are_not_published_and_the_user_is_told() -> None:
    local = dict(WEB, address="127.0.0.1")
    spec = build_service(entry(volumes=[], ports=[local]), FREE)
    assert spec.request["EndpointSpec"]["Ports"] == []
    assert any("Not published: web" in note for note in spec.notes)


def test_secrets_are_files_of_the_workspaces_user_and_nothing_tells_their_values() -> None:
    name = secret_name("demo", "token", "hush-token", "key")
    assert name != secret_name("demo", "token", "hush-other", "key") != secret_name("demo", "token", "hush-token", "k2")
    settings = dataclasses.replace(BOUND, secrets=[SecretFile("token", name, "s2")])
    spec = build_service(entry(), settings)
    (secret,) = spec.request["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert secret == {
        "File": {"Name": "/run/codeopen/secrets/token", "UID": "1000", "GID": "1000", "Mode": 0o400},
        "SecretID": "s2",
        "SecretName": name,
    }
    assert "hush" not in json.dumps([spec.configuration, spec.request["Labels"]])


@given(st.text(min_size=1, max_size=40, alphabet="abcdefghij0123456789"), st.text(), st.text(min_size=1))
def test_a_secrets_name_is_one_that_the_engine_takes(workspace: str, value: str, key: str) -> None:
    assert len(secret_name(workspace, "f", value, key)) <= 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "paused"}, "a Swarm does not know"),
        ({"mounts": [{"source": "/srv/data", "target": "/data"}]}, "mounts are not for a Swarm"),
        ({"runtime": {"devices": ["/dev/fuse"]}}, "need devices"),
        ({"runtime": {"privileged": True}}, "need privileged"),
        ({"runtime": {"security_opt": ["systempaths=unconfined"]}}, "systempaths"),
        ({"gpus": [0, 1]}, "gpus names 0, 1"),
        ({"gpus": "GPU-01234567-89ab-cdef-0123-456789abcdef"}, "gpus names GPU-"),
        ({"gpus": "all"}, "gpus asks for all"),
        ({"gpus": "sometimes"}, "is no device"),
        ({"image": ""}, "image is missing"),
    ],
)
def test_what_a_swarm_cannot_do_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    (problem,) = service_problems([entry(**change)])
    assert problem.startswith("Workspace 'demo'")
    assert words in problem
    assert service_problems([dict(entry(**change), state="absent")]) == []


def test_pools_are_refused_with_the_other_mistakes() -> None:
    problems = service_problems([entry(state="paused")], [{"name": "python", "size": 1}])
    assert len(problems) == 2
    assert "Pool 'python': pools are not for a Swarm: leave it out, or deploy it on a host." in problems


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"image": "codeopen-js:0.1.0"}, "TaskTemplate.ContainerSpec.Image"),
        ({"recipe": "s" * 64}, "TaskTemplate.ContainerSpec.Labels.codeopen.planned-recipe"),
        ({"environment": {"A": "other"}}, "TaskTemplate.ContainerSpec.Env[0]"),
        ({"environment": {}}, "TaskTemplate.ContainerSpec.Env"),
        ({"memory": 1024**3}, "TaskTemplate.Resources.Limits.MemoryBytes"),
        ({"cpus": 1.0}, "TaskTemplate.Resources.Reservations.NanoCPUs"),
        ({"gpus": 1}, "TaskTemplate.Resources.Reservations.GenericResources"),
        ({"limits": {"pids": 100}}, "TaskTemplate.Resources.Limits.Pids"),
        ({"limits": {"open_files": 1024}}, "TaskTemplate.ContainerSpec.Ulimits"),
        ({"limits": {"locked_memory": -1}}, "TaskTemplate.ContainerSpec.Ulimits"),
        ({"limits": {"core_size": 4096}}, "TaskTemplate.ContainerSpec.Ulimits"),
        ({"aliases": ["db"]}, "TaskTemplate.Networks[0].Aliases"),
        ({"limits": {"shm": 1024**3}}, "TaskTemplate.ContainerSpec.Mounts"),
        ({"limits": {"log_size": 3_000_000}}, "TaskTemplate.LogDriver.Options.max-size"),
        ({"volumes": [*HOME, {"name": "w", "path": "/workspace"}]}, "TaskTemplate.ContainerSpec.Mounts"),
        ({"ports": [WEB]}, "EndpointSpec.Ports"),
        ({"runtime": {"security_opt": ["seccomp=unconfined"]}}, "TaskTemplate.ContainerSpec.Privileges.Seccomp.Mode"),
        ({"state": "stopped"}, "Mode.Replicated.Replicas"),
        ({"tier": "power"}, "Labels.codeopen.tier"),
        ({"owner": "ada"}, "Labels.codeopen.owner"),
    ],
)
def test_each_change_is_a_difference_and_none_is_none(change: dict[str, Any], where: str) -> None:
    found = build_service(entry(), BOUND).request
    assert where in drifted(found, build_service(entry(**change), BOUND).request)
    assert drifted(found, build_service(entry(), BOUND).request) == []


def test_an_upgrade_replaces_no_container() -> None:
    """What there was before there were aliases and more limits of processes."""
    text = json.dumps(build_service(entry(), BOUND).request, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "2d3688cdbc3ebd58a12754bba873e78a4be74865c5edb074a837c4d1d30dc8a2"


def test_aliases_are_names_in_the_owners_network() -> None:
    spec = build_service(entry(aliases=["web", "db"]), BOUND)
    assert spec.request["TaskTemplate"]["Networks"] == [{"Target": "net1", "Aliases": ["demo", "db", "web"]}]
    assert spec.configuration["aliases"] == ["db", "web"]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=2), PLAIN, max_size=4))
def test_what_the_engine_adds_or_leaves_out_for_being_empty_is_no_difference(wished: dict[str, Any]) -> None:
    found = {key: value for key, value in copy.deepcopy(wished).items() if value}
    found["added by the engine"] = {"Default": 1}
    assert drifted(found, wished) == []
