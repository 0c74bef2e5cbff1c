# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the workspaces of a plan to a Compose project with the same containers. Pure.

The Compose Specification says what the keys mean. What it has no words for is in keys that begin with ``x-codeopen-``,
which Compose ignores and ``compose_import`` reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import aliases, container_spec, gpus, limits
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_networks import network_key, networks_of
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_values import escape, format_bytes
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_files import TEMPORARY
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import PLACES, folder_at
from ansible_collections.codeopen.workspaces.plugins.module_utils.mounts import is_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_IMAGE,
    LABEL_PORTS,
    LABEL_TIER,
    LABEL_WORKSPACE,
    container_name,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import (
    MEMORY_PATH,
    PASSWORD_BYTES,
    WORKSPACE_UID,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR

# No workspace can be called so.
PASSWORDS_SERVICE = "codeopen_passwords"
CHECKS = "x-codeopen-checks"
IDLE_MINUTES = "x-codeopen-idle-minutes"
LEAVE_OUT = "x-codeopen-leave-out"
UID = "x-codeopen-uid"
# States in which `docker compose up` leaves a workspace alone: each is a profile of this name.
AWAY = ("stopped", "paused")
# The kernel's own, in microseconds.
CPU_PERIOD = 100_000
_PROJECT = r"[a-z0-9][a-z0-9_-]*"

# What the module `workspace` does before it makes a container.
_MAKE_PASSWORDS = f"""umask 077
for folder in /secrets/*; do
  if [ ! -s "$folder/password" ]; then
    head -c {PASSWORD_BYTES} /dev/urandom | base64 | tr '+/' '-_' >"$folder/password{TEMPORARY}"
    chown {WORKSPACE_UID}:{WORKSPACE_UID} "$folder/password{TEMPORARY}"
    chmod 0400 "$folder/password{TEMPORARY}"
    test -s "$folder/password{TEMPORARY}"
    mv "$folder/password{TEMPORARY}" "$folder/password"
  fi
  chown {WORKSPACE_UID}:{WORKSPACE_UID} "$folder"
  chmod 0500 "$folder"
done
"""


@dataclass(frozen=True)
class ExportSettings:
    """What the host adds to a plan.

    :ivar state_dir: where the host keeps the workspaces' secrets.
    :ivar external_volumes: whether the volumes are there already, and Compose is neither to make nor to remove them.
    :ivar host_cpus: how many CPUs a workspace may use at most, 0 for those of its tier.
    :ivar memory: where the host has files in memory, and in them the users' secrets; empty where these are on disk.
    """

    project: str = "codeopen"
    state_dir: str = DEFAULT_STATE_DIR
    external_volumes: bool = False
    host_cpus: int = 0
    memory: str = PLACES[0]

    def secrets_dir(self, workspace: str) -> str:
        """The directory of a workspace's secrets on the host."""
        return f"{self.state_dir.rstrip('/')}/workspaces/{workspace}/secrets"

    def memory_dir(self, workspace: str) -> str:
        """The directory of those of them that are in memory; empty where there are none."""
        # It is called after the whole path, which is not known of one beside the Compose file.
        known = self.memory and self.state_dir.startswith("/")
        return f"{folder_at(self.memory, self.state_dir)}/{workspace}" if known else ""


def to_project(workspaces: Sequence[Mapping[str, Any]], settings: ExportSettings) -> dict[str, Any]:
    """The Compose project of these workspaces; those that are to be absent are not in it.

    :raises PlanError: with every mistake in the list.
    """
    problems = container_spec.problems_of(workspaces)
    if not re.fullmatch(_PROJECT, settings.project):
        problems.append(
            f"project {settings.project!r}: expected lower-case letters, digits, '_' and '-', a letter or digit first."
        )
    if problems:
        raise PlanError(problems)
    present = [entry for entry in workspaces if (entry.get("state") or "started") != "absent"]
    project: dict[str, Any] = {"name": settings.project, "services": {}}
    if present:
        project["services"] = {
            PASSWORDS_SERVICE: _passwords_service(present, settings),
            **{str(entry["name"]): _service(entry, settings) for entry in present},
        }
        owners = (str(entry.get("owner") or "") for entry in present)
        project["networks"] = networks_of(owners, settings.project, settings.state_dir)
        project["volumes"] = _volumes(present, settings)
    escaped: dict[str, Any] = escape(project)
    return escaped


def _passwords_service(present: Sequence[Mapping[str, Any]], settings: ExportSettings) -> dict[str, Any]:
    """What runs first and ends: it makes the passwords that are missing. Any image with a shell would do."""
    service: dict[str, Any] = {
        "image": str(present[0]["image"]),
        "pull_policy": "never",
        "entrypoint": ["/bin/sh", "-euc", _MAKE_PASSWORDS],
        "user": "0:0",
        "network_mode": "none",
        "read_only": True,
        "restart": "no",
        "healthcheck": {"disable": True},
        "volumes": [
            {
                "type": "bind",
                "source": settings.secrets_dir(str(entry["name"])),
                "target": f"/secrets/{entry['name']}",
                "bind": {"create_host_path": True},
            }
            for entry in present
        ],
    }
    if all(entry.get("state") in AWAY for entry in present):
        service["profiles"] = sorted({str(entry["state"]) for entry in present})
    return service


def _service(entry: Mapping[str, Any], settings: ExportSettings) -> dict[str, Any]:
    name = str(entry["name"])
    cpus = float(entry["cpus"])
    live = limits.live(entry, min(cpus, settings.host_cpus) if settings.host_cpus else cpus)
    fixed = limits.fixed(entry)
    optional = {
        "environment": {str(key): str(value) for key, value in sorted((entry.get("environment") or {}).items())},
        "ports": [_port(port) for port in entry.get("ports") or []],
        "volumes": _service_volumes(entry, settings),
        "ulimits": {limit["Name"]: {"soft": limit["Soft"], "hard": limit["Hard"]} for limit in fixed["Ulimits"]},
        **_grants(entry.get("runtime") or {}),
        "deploy": _deploy(entry),
        "profiles": [entry["state"]] if entry.get("state") in AWAY else [],
        CHECKS: list(entry.get("checks") or []),
        IDLE_MINUTES: entry.get("idle_minutes"),
        LEAVE_OUT: list(entry.get("leave_out") or []),
    }
    return {
        "image": str(entry["image"]),
        # A registry's image of the same name would be a stranger's.
        "pull_policy": "never",
        "container_name": container_name(name),
        "hostname": name,
        "init": False,
        "restart": live["RestartPolicy"]["Name"],
        # What the engine makes of 'cpus' itself, but with that it refuses more of them than the host has.
        "cpu_period": CPU_PERIOD,
        "cpu_quota": live["NanoCpus"] * CPU_PERIOD // 1_000_000_000,
        "mem_limit": format_bytes(live["Memory"]),
        "memswap_limit": format_bytes(live["MemorySwap"]),
        "pids_limit": live["PidsLimit"],
        "shm_size": format_bytes(fixed["ShmSize"]),
        "logging": {"driver": fixed["LogConfig"]["Type"], "options": fixed["LogConfig"]["Config"]},
        "labels": _labels(entry),
        "networks": _networks(entry),
        "depends_on": {PASSWORDS_SERVICE: {"condition": "service_completed_successfully"}},
        **{key: value for key, value in optional.items() if value},
    }


def _networks(entry: Mapping[str, Any]) -> list[str] | dict[str, Any]:
    """Its owner's network. There it is called as its service is, and by its aliases."""
    key, further = network_key(str(entry.get("owner") or "")), aliases.further(str(entry["name"]), entry.get("aliases"))
    return {key: {"aliases": further}} if further else [key]


def _labels(entry: Mapping[str, Any]) -> dict[str, str]:
    ports = {
        str(port["name"]): {
            "container": port["container"],
            "host": port["host"],
            "address": port.get("address") or "127.0.0.1",
        }
        for port in entry.get("ports") or []
        if port.get("host")
    }
    return {
        LABEL_WORKSPACE: str(entry["name"]),
        LABEL_IMAGE: str(entry["image"]),
        LABEL_TIER: str(entry.get("tier") or ""),
        LABEL_PORTS: json.dumps(ports, sort_keys=True, separators=(",", ":")),
    }


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    published = {"published": str(port["host"])} if port.get("host") else {}
    address = str(port.get("address") or "127.0.0.1")
    return {"name": str(port["name"]), "target": int(port["container"]), "host_ip": address, "protocol": "tcp"} | (
        published
    )


def _service_volumes(entry: Mapping[str, Any], settings: ExportSettings) -> list[dict[str, Any]]:
    own = [
        {
            "type": "volume",
            "source": container_spec.volume_name(str(entry["name"]), str(volume["name"])),
            "target": str(volume["path"]),
        }
        for volume in entry.get("volumes") or []
    ]
    # Not as Compose's secrets, which are single files: those have to be there when the container is made, before the
    # passwords are, and stay as they were when it was started.
    places = (
        (settings.secrets_dir(str(entry["name"])), container_spec.SECRETS_PATH),
        (settings.memory_dir(str(entry["name"])), MEMORY_PATH),
    )
    secrets = [
        {"type": "bind", "source": source, "target": target, "read_only": True, "bind": {"create_host_path": True}}
        for source, target in places
        if source
    ]
    return [*own, *(_mount(mount) for mount in entry.get("mounts") or []), *secrets]


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    bind = is_path(mount["source"])
    result: dict[str, Any] = {
        "type": "bind" if bind else "volume",
        "source": str(mount["source"]),
        "target": str(mount["target"]),
    }
    if mount.get("read_only"):
        result["read_only"] = True
    if bind:
        result["bind"] = {"create_host_path": False}
    if mount.get("uid") is not None:
        result[UID] = int(mount["uid"])
    return result


def _grants(runtime: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "devices": [f"{device}:{device}:rw" for device in sorted(runtime.get("devices") or [])],
        "security_opt": sorted(runtime.get("security_opt") or []),
        "privileged": bool(runtime.get("privileged")),
    }


def _deploy(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The reservation of GPUs; empty where there are none."""
    wish = gpus.parse(entry.get("gpus"))
    if not wish.wanted:
        return {}
    device: dict[str, Any] = {"driver": "cdi" if wish.cdi else "nvidia", "capabilities": ["gpu"]}
    if wish.cdi or wish.devices:
        device["device_ids"] = list(wish.cdi or wish.devices)
    else:
        device["count"] = "all" if wish.count == -1 else wish.count
    return {"resources": {"reservations": {"devices": [device]}}}


def _volumes(present: Sequence[Mapping[str, Any]], settings: ExportSettings) -> dict[str, Any]:
    """Every volume under the name that the engine has for it, so that a home that is there is used."""
    found: dict[str, Any] = {
        str(mount["source"]): {"name": str(mount["source"]), "external": True}
        for entry in present
        for mount in entry.get("mounts") or []
        if not is_path(mount["source"])
    }
    for entry in present:
        workspace = str(entry["name"])
        for volume in entry.get("volumes") or []:
            name = container_spec.volume_name(workspace, str(volume["name"]))
            labels = {LABEL_WORKSPACE: workspace, container_spec.LABEL_VOLUME: str(volume["name"])}
            found[name] = {"name": name, **({"external": True} if settings.external_volumes else {"labels": labels})}
    return found
