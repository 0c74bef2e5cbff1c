# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a workspace of the plan to the engine's request that creates its container. Pure.

The request's SHA-256 goes with the container as a label, so that one listing tells whether anything has changed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import aliases, limits, mounts
from ansible_collections.codeopen.workspaces.plugins.module_utils.decision import STATES
from ansible_collections.codeopen.workspaces.plugins.module_utils.gate_checks import problems_of_checks
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import (
    NO_GPUS,
    GpuError,
    GpuHost,
    device_requests,
    parse,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import network_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_CONFIGURATION,
    LABEL_IMAGE,
    LABEL_PORTS,
    LABEL_SPEC,
    LABEL_TIER,
    LABEL_WORKSPACE,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.runtime import host_config_of, runtime_problems
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import MEMORY_PATH

LABEL_VOLUME = "codeopen.volume"
SECRETS_PATH = "/run/codeopen/secrets"
# The network of workspaces that no owner is named for.

# The plan's rule for names; a hyphen is never doubled, so no workspace is called like another's "--previous".
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_PART = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SMALLEST_MEMORY = 6 * 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What the host and the run add to a workspace of the plan.

    :ivar host_cpus: the engine refuses a container that may use more.
    :ivar secrets_dir: the workspace's secrets on the host.
    :ivar memory_dir: those of them that are in memory; empty where none are to be.
    :ivar key: the workspace's own secret, which makes fingerprints that nobody can guess values from.
    :ivar network: what the user said about proxies, mirrors and CA, as text; only its fingerprint is used.
    :ivar gpus: what the host has of them.
    """

    host_cpus: int
    image_id: str
    secrets_dir: str
    key: str
    network: str = ""
    gpus: GpuHost = NO_GPUS
    memory_dir: str = ""


@dataclass(frozen=True)
class ContainerSpec:
    """What is wished: the engine's request, its SHA-256, the same for people, and notes.

    :ivar digest: of what needs a new container. What the engine can change while it runs is in ``live``.
    :ivar network: the engine's network that the container is in.
    """

    request: dict[str, Any]
    live: dict[str, Any]
    network: str
    digest: str
    configuration: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """What it is called in its network."""
        return list(self.request["NetworkingConfig"]["EndpointsConfig"][self.network]["Aliases"])


def problems_of(workspaces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every mistake in the list, in words; the plan's filter finds most earlier, but this is the host's last gate."""
    problems: list[str] = []
    seen: set[str] = set()
    for index, entry in enumerate(workspaces):
        name = str(entry.get("name") or "")
        if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
            problems.append(
                f"Workspace {name!r} (item {index + 1}): not a workspace's name; expected lower-case letters, digits "
                f"and single hyphens between them, at most {_LONGEST_NAME} characters."
            )
            continue
        if name in seen:
            problems.append(f"Workspace '{name}' is in the list more than once.")
        seen.add(name)
        problems.extend(f"Workspace '{name}': {text}" for text in _entry_problems(entry))
    problems.extend(
        f"Workspace '{name}': aliases: '{alias}' {why}." for name, alias, why in aliases.clashes(workspaces)
    )
    return problems


def _entry_problems(entry: Mapping[str, Any]) -> Iterable[str]:
    state = entry.get("state") or "started"
    if state not in STATES:
        yield f"state is '{state}': expected one of {', '.join(STATES)}."
    if state == "absent":
        return
    if not entry.get("image"):
        yield "image is missing."
    if float(entry.get("cpus") or 0) <= 0:
        yield f"cpus is {entry.get('cpus')}: expected a number above 0."
    if int(entry.get("memory") or 0) < _SMALLEST_MEMORY:
        yield f"memory is {entry.get('memory')} bytes: expected at least {_SMALLEST_MEMORY}."
    try:
        parse(entry.get("gpus"))
    except GpuError as error:
        yield from (f"{text}." for text in error.problems)
    yield from limits.problems(entry)
    if entry.get("idle_minutes") is not None and int(entry["idle_minutes"]) < 1:
        yield f"idle_minutes is {entry['idle_minutes']}: expected at least 1, or nothing for never."
    yield from problems_of_checks(entry)
    owner = str(entry.get("owner") or "")
    if owner and not (_NAME.fullmatch(owner) and len(owner) <= _LONGEST_NAME):
        yield f"owner {owner!r}: expected lower-case letters, digits and single hyphens between them."
    for alias in entry.get("aliases") or []:
        if not aliases.is_label(alias):
            yield f"alias {alias!r}: expected {aliases.EXPECTED}."
    yield from _port_problems(entry.get("ports") or [])
    for volume in entry.get("volumes") or []:
        if not _PART.fullmatch(str(volume.get("name") or "")):
            yield f"volume name {volume.get('name')!r}: expected letters, digits, '_', '.' and '-'."
        if not str(volume.get("path") or "").startswith("/"):
            yield f"volume {volume.get('name')}: path {volume.get('path')!r} is not absolute."
    yield from mounts.problems_of_mounts(entry)
    yield from runtime_problems(entry.get("runtime") or {})
    for variable in entry.get("environment") or {}:
        if not _VARIABLE.fullmatch(str(variable)):
            yield f"environment variable {variable!r}: expected letters, digits and '_', no digit first."


def _port_problems(ports: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    names: set[str] = set()
    inside: dict[int, str] = {}
    for port in ports:
        name = str(port.get("name") or "")
        if not _PART.fullmatch(name):
            yield f"port name {name!r}: expected letters, digits, '_', '.' and '-'."
        if name in names:
            yield f"port {name} is there twice."
        names.add(name)
        container = port.get("container")
        for key in ("container", "host"):
            value = port.get(key)
            if value is None and key == "host":
                continue
            if not isinstance(value, int) or not 1 <= value <= 65535:
                yield f"port {name}: {key} is {value}, out of range: expected 1 to 65535."
        if isinstance(container, int):
            if container in inside:
                yield f"ports {inside[container]} and {name} are both {container} in the container."
            inside[container] = name


def volume_name(workspace: str, volume: str) -> str:
    """The engine's name of a workspace's volume."""
    return f"codeopen-{workspace}-{volume}"


def secrets_in(host_config: Mapping[str, Any]) -> str:
    """Where a container has its secrets from: ``memory`` or ``disk``.

    :param host_config: of the engine's request, or of what it says of a container.
    """
    places = {str(bind).split(":")[1] for bind in host_config.get("Binds") or []}
    return "memory" if MEMORY_PATH in places else "disk"


def fingerprint(key: str, text: str) -> str:
    """Eight hex digits that change with the text and say nothing about it to those without the key."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:8]


def build(entry: Mapping[str, Any], host_ports: Mapping[str, int], settings: Settings) -> ContainerSpec:
    """What a workspace of the plan means on this host.

    :param entry: a workspace of the plan, without mistakes.
    :param host_ports: its host ports by port name.
    :raises GpuError: it asks for GPUs that the host does not have.
    """
    name = str(entry["name"])
    notes = []
    cpus = float(entry["cpus"])
    if cpus > settings.host_cpus:
        notes.append(f"It may use {settings.host_cpus} CPUs instead of {cpus:g}: this host has no more.")
        cpus = float(settings.host_cpus)
    ports = {
        str(port["name"]): {
            "container": int(port["container"]),
            "host": int(host_ports[str(port["name"])]),
            "address": str(port.get("address") or "127.0.0.1"),
        }
        for port in entry.get("ports") or []
    }
    volumes = {str(volume["name"]): str(volume["path"]) for volume in entry.get("volumes") or []}
    environment = {str(key): str(value) for key, value in (entry.get("environment") or {}).items()}
    gpus = device_requests(parse(entry.get("gpus")), settings.gpus)
    owner = str(entry.get("owner") or "")
    network = network_name(owner)
    names = aliases.names_of(name, entry.get("aliases"))
    live = limits.live(entry, cpus)
    granted = host_config_of(entry.get("runtime") or {})
    request: dict[str, Any] = {
        "Hostname": name,
        "Image": str(entry["image"]),
        "Env": [f"{key}={environment[key]}" for key in sorted(environment)],
        "ExposedPorts": {f"{port['container']}/tcp": {} for port in ports.values()},
        "HostConfig": {
            **limits.fixed(entry),
            "Init": False,
            "NetworkMode": network,
            "PortBindings": {
                f"{port['container']}/tcp": [{"HostIp": port["address"], "HostPort": str(port["host"])}]
                for port in ports.values()
            },
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": volume_name(name, volume),
                    "Target": volumes[volume],
                    "VolumeOptions": {"Labels": {LABEL_WORKSPACE: name, LABEL_VOLUME: volume}},
                }
                for volume in sorted(volumes)
            ]
            + mounts.engine_mounts(entry)
            + [{"Type": "bind", "Source": settings.secrets_dir, "Target": SECRETS_PATH, "ReadOnly": True}],
            # Of this kind, since the engine makes a missing directory: after the host's start memory is empty.
            **({"Binds": [f"{settings.memory_dir}:{MEMORY_PATH}:ro"]} if settings.memory_dir else {}),
            "DeviceRequests": gpus,
            **granted,
        },
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": names}}},
    }
    configuration = {
        "image": str(entry["image"]),
        "image_id": settings.image_id,
        "owner": owner,
        **({"aliases": names[1:]} if names[1:] else {}),
        "gpus": entry.get("gpus") or 0,
        **{key: value for key, value in limits.told(entry).items() if key not in ("swap", "pids")},
        "ports": {key: f"{port['address']}:{port['host']}->{port['container']}" for key, port in ports.items()},
        "volumes": volumes,
        **({"mounts": mounts.words(entry)} if entry.get("mounts") else {}),
        **({"granted": granted} if granted else {}),
        # The values may be secrets, and diffs end in logs.
        "environment": {key: f"(value {fingerprint(settings.key, value)})" for key, value in environment.items()},
        "network": f"(settings {fingerprint(settings.key, settings.network)})" if settings.network else "",
    }
    digest = hashlib.sha256(_canonical([request, configuration]).encode()).hexdigest()
    configuration.update(limits.words(live), tier=str(entry.get("tier") or ""))
    configuration.update({key: int(entry[key]) for key in ("disk", "idle_minutes") if entry.get(key)})
    request["HostConfig"].update(live)
    request["Labels"] = {
        LABEL_WORKSPACE: name,
        LABEL_SPEC: digest,
        LABEL_IMAGE: str(entry["image"]),
        LABEL_TIER: str(entry.get("tier") or ""),
        LABEL_PORTS: _canonical(ports),
        LABEL_CONFIGURATION: _canonical(configuration),
    }
    return ContainerSpec(request, live, network, digest, configuration, tuple(notes))


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys that differ, with their values before and after."""
    keys = sorted(key for key in set(before) | set(after) if before.get(key) != after.get(key))
    return {key: before[key] for key in keys if key in before}, {key: after[key] for key in keys if key in after}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
