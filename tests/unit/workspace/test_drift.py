# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a container somebody changed by hand: each thing that is compared, and nothing of what is as it was asked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import Settings, build
from ansible_collections.codeopen.workspaces.plugins.module_utils.drift import drift, found_configuration
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_PORTS, json_object

MIB = 1024**2
SETTINGS = Settings(host_cpus=4, image_id="sha256:1", secrets_dir="/s", key="k")
ENTRY: dict[str, Any] = {
    "name": "demo",
    "image": "codeopen-python:0.1.0",
    "tier": "builder",
    "owner": "ada",
    "cpus": 2.0,
    "memory": 512 * MIB,
    "limits": {"swap": 64 * MIB, "pids": 100, "shm": 32 * MIB},
    "ports": [{"name": "web", "container": 4096}, {"name": "gui", "container": 6080, "address": "0.0.0.0"}],
    "volumes": [{"name": "home", "path": "/home/developer"}, {"name": "workspace", "path": "/workspace"}],
    "mounts": [{"source": "cache", "target": "/cache"}, {"source": "/srv/data", "target": "/data"}],
    "disk": 20 * 1024 * MIB,
}
HOST_PORTS = {"web": 20001, "gui": 20002}
PORT = "4096/tcp"
Change = Callable[[dict[str, Any]], Any]


def made(**changes: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What was asked for, what the engine says of the container that came of it, and its ports."""
    spec = build({**ENTRY, **changes}, HOST_PORTS, SETTINGS)
    host_config = copy.deepcopy(spec.request["HostConfig"])
    mounts = [
        {
            "Type": mount["Type"],
            "Destination": mount["Target"],
            # Directories of the host have no name.
            **({"Name": mount["Source"]} if mount["Type"] == "volume" else {"Source": mount["Source"]}),
        }
        for mount in host_config["Mounts"]
    ]
    details = {
        "Image": SETTINGS.image_id,
        "HostConfig": host_config,
        "Mounts": mounts,
        "NetworkSettings": {"Networks": {spec.network: {"IPAddress": "172.18.0.2"}}},
    }
    return spec.configuration, details, json_object(spec.request["Labels"][LABEL_PORTS])


def differing(asked: dict[str, Any], details: dict[str, Any], ports: dict[str, Any]) -> dict[str, Any]:
    return drift(asked, found_configuration("demo", details, ports))


@pytest.mark.parametrize("changes", [{}, {"owner": ""}, {"ports": []}, {"volumes": [], "mounts": []}, {"limits": {}}])
def test_a_container_that_nobody_changed_has_no_drift(changes: dict[str, Any]) -> None:
    assert differing(*made(**changes)) == {}


def setting(key: str, value: Any) -> Change:
    """A change of what the engine was asked for."""
    return lambda details: details["HostConfig"].update({key: value})


def moved(details: dict[str, Any]) -> None:
    details["Mounts"][0]["Destination"] = "/root"


ASKED_PORTS = {"web": "127.0.0.1:20001->4096", "gui": "0.0.0.0:20002->6080"}
ASKED_VOLUMES = {"home": "/home/developer", "workspace": "/workspace"}
NETWORK = "codeopen-owner-ada"
GUI = {"gui": "0.0.0.0:20002->6080"}


@pytest.mark.parametrize(
    ("change", "key", "asked", "found"),
    [
        (lambda details: details.update(Image="sha256:2"), "image_id", "sha256:1", "sha256:2"),
        (setting("ShmSize", 64 * MIB), "shm", 32 * MIB, 64 * MIB),
        (setting("ShmSize", None), "shm", 32 * MIB, 0),
        (
            lambda details: details["HostConfig"]["PortBindings"][PORT][0].update(HostIp="0.0.0.0"),
            "ports", ASKED_PORTS, {"web": "0.0.0.0:20001->4096", **GUI},
        ),
        (
            lambda details: details["HostConfig"]["PortBindings"][PORT][0].update(HostPort="80"),
            "ports", ASKED_PORTS, {"web": "127.0.0.1:80->4096", **GUI},
        ),
        (lambda details: details["HostConfig"]["PortBindings"].pop(PORT), "ports", ASKED_PORTS, GUI),
        (lambda details: details["HostConfig"]["PortBindings"].update({PORT: None}), "ports", ASKED_PORTS, GUI),
        (setting("PortBindings", None), "ports", ASKED_PORTS, {}),
        (moved, "volumes", ASKED_VOLUMES, {**ASKED_VOLUMES, "home": "/root"}),
        (lambda details: details["Mounts"].pop(0), "volumes", ASKED_VOLUMES, {"workspace": "/workspace"}),
        (lambda details: details.update(Mounts=None), "volumes", ASKED_VOLUMES, {}),
        (
            lambda details: details["NetworkSettings"]["Networks"].update(bridge={}),
            "networks", [NETWORK], ["bridge", NETWORK],
        ),
        (lambda details: details["NetworkSettings"].update(Networks=None), "networks", [NETWORK], []),
        (setting("NanoCpus", 500_000_000), "cpus", 2.0, 0.5),
        (setting("MemorySwap", 612 * MIB), "swap", 64 * MIB, 100 * MIB),
        (setting("PidsLimit", 4096), "pids", 100, 4096),
        (setting("RestartPolicy", {"Name": "always", "MaximumRetryCount": 0}), "restart_policy", "unless-stopped", "always"),
        (setting("RestartPolicy", {"Name": ""}), "restart_policy", "unless-stopped", "no"),
    ],
)  # fmt: skip
def test_each_change_is_found_and_nothing_else(change: Change, key: str, asked: Any, found: Any) -> None:
    configuration, details, ports = made()
    change(details)
    assert differing(configuration, details, ports) == {key: {"asked": asked, "found": found}}


def test_memory_that_was_changed() -> None:
    configuration, details, ports = made()
    # The engine has swap as a part of both together.
    details["HostConfig"].update(Memory=256 * MIB, MemorySwap=320 * MIB)
    assert differing(configuration, details, ports) == {"memory": {"asked": 512 * MIB, "found": 256 * MIB}}


def test_volumes_of_others_and_of_the_user_are_not_the_workspaces() -> None:
    configuration, details, ports = made()
    details["Mounts"] += [
        {"Type": "volume", "Name": "codeopen-demos-home", "Destination": "/other"},
        {"Type": "tmpfs", "Name": None, "Destination": "/tmp"},
    ]
    assert differing(configuration, details, ports) == {}


def test_where_nothing_is_known_nothing_differs() -> None:
    _configuration, details, ports = made()
    assert differing({}, details, ports) == {}


def test_what_an_older_configuration_does_not_say_is_not_compared() -> None:
    configuration, details, ports = made()
    del configuration["image_id"]
    details["Image"] = "sha256:2"
    assert differing(configuration, details, ports) == {}
