# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a workspace of the plan to the Swarm's request for the service that runs it. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import aliases, gpus, limits
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import (
    LABEL_VOLUME,
    SECRETS_PATH,
    fingerprint,
    volume_name,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_CONFIGURATION,
    LABEL_IMAGE,
    LABEL_OWNER,
    LABEL_TIER,
    LABEL_WORKSPACE,
    container_name,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import WORKSPACE_UID
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_limits import (
    notes_of,
    published,
)

# The node that a service is bound to, since its volumes are there.
LABEL_NODE = "codeopen.node"
# The file that a secret is in the workspace.
LABEL_SECRET = "codeopen.secret"
# What the image has to have been built from: another one means another container.
LABEL_PLANNED_RECIPE = "codeopen.planned-recipe"
GPU_KIND = "NVIDIA-GPU"
SHARED_NETWORK = "codeopen-swarm"
# The name under which a workspace's number for its fence is kept among its ports; no port is called so.
FENCE = ""
# Nothing listens there (RFC 863 is of another age): a port is published for its number alone.
_FENCE_TARGET = 9
_SECOND = 1_000_000_000
_RESTART_DELAY = 2
_DEFAULT_SHM = limits.DEFAULTS["shm"]


@dataclass(frozen=True)
class VolumeDriver:
    """What makes the volumes.

    :ivar options: texts in which ``{workspace}`` and ``{volume}`` stand for their names.
    :ivar shared: whether every node sees the same files.
    """

    name: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    shared: bool = False


def is_pinned(entry: Mapping[str, Any], driver: VolumeDriver) -> bool:
    """Whether its files lie on one node, so that it must never start on another one."""
    return bool(entry.get("volumes")) and not driver.shared


@dataclass(frozen=True)
class SecretFile:
    """A secret of the Swarm that a workspace gets as a file."""

    file: str
    name: str
    id: str


@dataclass(frozen=True)
class ServiceSettings:
    """What the Swarm and the run add to a workspace of the plan.

    :ivar node: id of the node that it is bound to; empty where it may run anywhere.
    :ivar constraints: labels that its node has to have.
    :ivar ports: numbers that it publishes, by port name; under FENCE that of its fence.
    :ivar key: makes fingerprints that nobody can guess values from.
    :ivar stop_timeout: seconds that it may take to stop.
    :ivar monitor: seconds that a new container has to stay healthy.
    :ivar restarts: how often somebody asked for a restart.
    """

    network_id: str
    key: str
    node: str = ""
    node_name: str = ""
    constraints: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[SecretFile] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    driver: VolumeDriver = VolumeDriver()
    stop_timeout: int = 10
    monitor: float = 5
    restarts: int = 0


@dataclass(frozen=True)
class ServiceSpec:
    """What is wished: the Swarm's request, the same for people, and notes."""

    request: dict[str, Any]
    configuration: dict[str, Any]
    notes: tuple[str, ...] = ()


def swarm_network(owner: str) -> str:
    """The network across nodes of an owner's workspaces."""
    return f"{SHARED_NETWORK}-owner-{owner}" if owner else SHARED_NETWORK


def secret_name(workspace: str, file: str, value: str, key: str) -> str:
    """The Swarm's name of a secret, another one for each value: a secret cannot be changed, nor be read again."""
    text = f"{file}\0{value}"
    return f"{container_name(workspace)}-{hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:12]}"


def build_service(entry: Mapping[str, Any], settings: ServiceSettings) -> ServiceSpec:
    """What a workspace of the plan means in a Swarm.

    :param entry: a workspace of the plan, without mistakes.
    """
    name, owner = str(entry["name"]), str(entry.get("owner") or "")
    environment = {str(key): str(value) for key, value in (entry.get("environment") or {}).items()}
    names = aliases.names_of(name, entry.get("aliases"))
    configuration = {
        "image": str(entry["image"]),
        "recipe": str(entry.get("recipe") or "")[:12],
        "owner": owner,
        **({"aliases": names[1:]} if names[1:] else {}),
        "tier": str(entry.get("tier") or ""),
        "cpus": float(entry["cpus"]),
        "memory": int(entry["memory"]),
        "gpus": entry.get("gpus") or 0,
        **{key: value for key, value in limits.told(entry).items() if key != "swap"},
        "ports": {
            str(port["name"]): f"{settings.ports[str(port['name'])]}->{port['container']}" for port in published(entry)
        },
        "volumes": {str(volume["name"]): str(volume["path"]) for volume in entry.get("volumes") or []},
        "node": settings.node_name,
        "placement": dict(settings.constraints),
        "environment": {key: f"(value {fingerprint(settings.key, value)})" for key, value in environment.items()},
        "secrets": {secret.file: f"(version {secret.name.rpartition('-')[2]})" for secret in settings.secrets},
    }
    request: dict[str, Any] = {
        "Name": container_name(name),
        "Labels": {
            LABEL_WORKSPACE: name,
            LABEL_OWNER: owner,
            LABEL_IMAGE: str(entry["image"]),
            LABEL_TIER: str(entry.get("tier") or ""),
            LABEL_NODE: settings.node,
            LABEL_CONFIGURATION: json.dumps(configuration, sort_keys=True, separators=(",", ":")),
        },
        "TaskTemplate": {
            "ContainerSpec": _container(entry, environment, settings),
            "Resources": _resources(entry),
            "RestartPolicy": {"Condition": "any", "Delay": _RESTART_DELAY * _SECOND, "MaxAttempts": 0},
            "Placement": {"Constraints": _constraints(settings)},
            "Networks": [{"Target": settings.network_id, "Aliases": names}],
            "LogDriver": _log_driver(entry),
            "ForceUpdate": settings.restarts,
        },
        "Mode": {"Replicated": {"Replicas": 0 if entry.get("state") == "stopped" else 1}},
        "UpdateConfig": {
            "Parallelism": 1,
            "FailureAction": "rollback",
            "Monitor": int(settings.monitor * _SECOND),
            # Two containers must never write to one home, wherever it is.
            "Order": "stop-first" if entry.get("volumes") else "start-first",
        },
        "RollbackConfig": {
            "Parallelism": 1,
            "FailureAction": "pause",
            "Monitor": int(settings.monitor * _SECOND),
            "Order": "stop-first" if entry.get("volumes") else "start-first",
        },
        "EndpointSpec": _endpoint(entry, settings),
    }
    return ServiceSpec(request, configuration, tuple(notes_of(entry)))


def _container(entry: Mapping[str, Any], environment: Mapping[str, str], settings: ServiceSettings) -> dict[str, Any]:
    container: dict[str, Any] = {
        "Image": str(entry["image"]),
        "Hostname": str(entry["name"]),
        "Labels": {LABEL_PLANNED_RECIPE: str(entry.get("recipe") or "")},
        "Env": [f"{key}={environment[key]}" for key in sorted(environment)],
        "Init": False,
        "Mounts": _mounts(entry, settings.driver),
        "StopGracePeriod": settings.stop_timeout * _SECOND,
        "Secrets": [
            {
                "File": {
                    "Name": f"{SECRETS_PATH}/{secret.file}",
                    "UID": str(WORKSPACE_UID),
                    "GID": str(WORKSPACE_UID),
                    "Mode": 0o400,
                },
                "SecretID": secret.id,
                "SecretName": secret.name,
            }
            for secret in sorted(settings.secrets, key=lambda secret: secret.file)
        ],
        "Ulimits": limits.fixed(entry)["Ulimits"],
    }
    options = (entry.get("runtime") or {}).get("security_opt") or []
    privileges: dict[str, Any] = {}
    if "seccomp=unconfined" in options:
        privileges["Seccomp"] = {"Mode": "unconfined"}
    if "apparmor=unconfined" in options:
        privileges["AppArmor"] = {"Mode": "disabled"}
    if "label=disable" in options:
        privileges["SELinuxContext"] = {"Disable": True}
    if privileges:
        container["Privileges"] = privileges
    return container


def _mounts(entry: Mapping[str, Any], driver: VolumeDriver) -> list[dict[str, Any]]:
    workspace = str(entry["name"])
    mounts: list[dict[str, Any]] = []
    for volume in sorted(entry.get("volumes") or [], key=lambda volume: str(volume["name"])):
        name = str(volume["name"])
        options: dict[str, Any] = {"Labels": {LABEL_WORKSPACE: workspace, LABEL_VOLUME: name}}
        if driver.name != "local" or driver.options:
            filled = {
                key: str(text).replace("{workspace}", workspace).replace("{volume}", name)
                for key, text in driver.options.items()
            }
            options["DriverConfig"] = {"Name": driver.name, "Options": filled}
        mounts.append(
            {
                "Type": "volume",
                "Source": volume_name(workspace, name),
                "Target": str(volume["path"]),
                "VolumeOptions": options,
            }
        )
    shm = limits.of_entry(entry)["shm"]
    if shm != _DEFAULT_SHM:
        # A service has no word for its size.
        mounts.append({"Type": "tmpfs", "Target": "/dev/shm", "TmpfsOptions": {"SizeBytes": shm, "Mode": 0o1777}})
    return mounts


def reservation(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of its node is set aside for a workspace, in the Swarm's words."""
    wanted = gpus.parse(entry.get("gpus")).count
    reserved: dict[str, Any] = {"NanoCPUs": int(float(entry["cpus"]) * _SECOND), "MemoryBytes": int(entry["memory"])}
    if wanted:
        reserved["GenericResources"] = [{"DiscreteResourceSpec": {"Kind": GPU_KIND, "Value": wanted}}]
    return reserved


def _resources(entry: Mapping[str, Any]) -> dict[str, Any]:
    reserved = reservation(entry)
    limited = {key: reserved[key] for key in ("NanoCPUs", "MemoryBytes")}
    return {"Limits": {**limited, "Pids": limits.of_entry(entry)["pids"]}, "Reservations": reserved}


def _constraints(settings: ServiceSettings) -> list[str]:
    wanted = [f"node.labels.{key}=={value}" for key, value in sorted(settings.constraints.items())]
    return [f"node.id=={settings.node}", *wanted] if settings.node else wanted


def _log_driver(entry: Mapping[str, Any]) -> dict[str, Any]:
    config = limits.fixed(entry)["LogConfig"]
    return {"Name": config["Type"], "Options": config["Config"]}


def _endpoint(entry: Mapping[str, Any], settings: ServiceSettings) -> dict[str, Any]:
    bound = bool(settings.node)
    ports: list[dict[str, Any]] = [
        {
            "Name": str(port["name"]),
            "Protocol": "tcp",
            "TargetPort": int(port["container"]),
            "PublishedPort": settings.ports[str(port["name"])],
            "PublishMode": "host" if bound else "ingress",
        }
        for port in sorted(published(entry), key=lambda port: str(port["name"]))
    ]
    if bound:
        # A node that comes back has the old container still when the manager has planned a new one already. The Swarm
        # starts nothing on a node where a task has the port, so that no two of them write to one home.
        ports.append(
            {
                "Name": "fence",
                "Protocol": "udp",
                "TargetPort": _FENCE_TARGET,
                "PublishedPort": settings.ports[FENCE],
                "PublishMode": "host",
            }
        )
    # One container has one address; the routing mesh, which needs another one, is for what may run anywhere.
    return {"Mode": "vip" if ports and not bound else "dnsrr", "Ports": ports}
