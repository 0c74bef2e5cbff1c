# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports, variables, GPUs and mounts of a Compose service in the words of a workspace's definition. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import compose_values as values
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_fields import Fields
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_project import ComposeProject
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import SECRETS_PATH, volume_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import GpuError, parse
from ansible_collections.codeopen.workspaces.plugins.module_utils.mounts import problems_of_mounts
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import Resolution
from ansible_collections.codeopen.workspaces.plugins.module_utils.schema import NAME
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import MEMORY_PATH

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
# The directories of a workspace's own secrets, by where they are mounted.
_SECRETS = {SECRETS_PATH: r".*/workspaces/{}/secrets", MEMORY_PATH: r"/.*/codeopen-[0-9a-f]+/{}"}


def ports_of(fields: Fields, resolution: Resolution) -> dict[str, Any]:
    """What differs from what a workspace's ports are without being told: any free one on 127.0.0.1."""
    known = {container: name for name, container in resolution.ports.items()}
    ports: dict[str, Any] = {}
    taken: set[int] = set()
    for place, port in fields.take_list("ports", values.as_port):
        name = known.get(port.container) or port.name
        if not re.fullmatch(NAME, name) or (port.container not in known and name in resolution.ports) or name in ports:
            name = known.get(port.container) or f"port-{port.container}"
        if port.container in taken:
            fields.lose(place, f"port {port.container} of a workspace is published once")
            continue
        taken.add(port.container)
        wish: dict[str, Any] = {} if port.container in known else {"container": port.container}
        if port.host is not None:
            wish["host"] = port.host
        if port.address != "127.0.0.1":
            wish["address"] = port.address
        if wish:
            ports[name] = wish
    return ports


def environment_of(fields: Fields) -> dict[str, str]:
    """The variables that have a value in the file."""
    variables: dict[str, str] = {}
    for name, raw in fields.take_entries("environment"):
        key = f"environment.{name}"
        try:
            value = values.unescape(raw)
        except ValueError as error:
            fields.lose(key, str(error))
            continue
        if value is None:
            fields.lose(key, "its value comes from the shell of whoever runs Compose: give it here")
        elif not re.fullmatch(_VARIABLE, name):
            fields.lose(key, "expected letters, digits and underscores, no digit first")
        elif "\n" in value or "\0" in value:
            fields.lose(key, "has several lines: give it as a file, in codeopen_secrets or by a mount")
        else:
            variables[name] = value
    return variables


def gpus_of(fields: Fields) -> Any:
    """The wish for GPUs; None where there is none."""
    found: list[Any] = []
    for key in ("deploy.resources.reservations.devices", "gpus"):
        for device in fields.take(key, _devices) or []:
            wish = _gpu_wish(fields, key, device)
            if wish is not None and found:
                fields.lose(key, "a workspace has one wish for GPUs, the first one")
            elif wish is not None:
                found.append(wish)
    return found[0] if found else None


def _devices(value: Any) -> list[dict[str, Any]]:
    return [{}] if value == "all" else [values.as_mapping(device) for device in values.as_list(value)]


def _gpu_wish(fields: Fields, key: str, device: dict[str, Any]) -> Any:
    driver, capabilities = device.get("driver") or "nvidia", device.get("capabilities") or ["gpu"]
    if driver not in ("nvidia", "cdi") or "gpu" not in capabilities:
        fields.lose(
            key, f"is {', '.join(map(str, capabilities))} of {driver}: workspaces reserve GPUs of nvidia or cdi"
        )
        return None
    if capabilities != ["gpu"] or device.get("options"):
        fields.lose(key, "workspaces reserve GPUs with the capability gpu alone, without options")
    count = device.get("count", "all")
    try:
        ids = values.as_list(device.get("device_ids") or [])
        wish = ids or ("all" if count in ("all", -1, "-1") else values.as_whole(count))
        parse(wish)
    except (ValueError, GpuError) as error:
        fields.lose(key, str(error))
        return None
    return wish


def mounts_of(fields: Fields, project: ComposeProject, name: str, resolution: Resolution) -> list[dict[str, Any]]:
    """What is mounted beside the workspace's own volumes, which come by themselves."""
    own = {path: volume for volume, path in resolution.volumes.items()}
    mounts: list[dict[str, Any]] = []
    for place, found in fields.take_list("volumes", values.as_mount):
        for option in found.further:
            fields.lose(f"{place}.{option}", "mounts are read-only or not, and nothing else is said of them")
        try:
            source = project.volume(found.source) if found.kind == "volume" and found.source else found.source
        except ValueError as error:
            fields.lose(place, str(error))
            continue
        secrets = _SECRETS.get(found.target)
        if secrets and re.fullmatch(secrets.format(re.escape(name)), source):
            if not found.read_only:
                fields.lose(f"{place}.read_only", "a workspace reads its secrets, and does not write them")
            continue
        if found.target in own:
            wanted = volume_name(name, own[found.target])
            if source != wanted:
                fields.lose(place, f"a workspace keeps {found.target} in its volume {wanted}: copy the files there")
            if found.read_only:
                fields.lose(f"{place}.read_only", f"a workspace writes to its volume {wanted}")
            continue
        why = _mount_problem(found, source)
        mount: dict[str, Any] = {"source": source, "target": found.target}
        mount.update({"read_only": True} if found.read_only else {})
        mount.update({"uid": found.uid} if found.uid is not None else {})
        entry = {
            "volumes": [{"name": volume, "path": path} for path, volume in own.items()],
            "mounts": [*mounts, mount],
        }
        why = why or "; ".join(problems_of_mounts(entry))
        if why:
            fields.lose(place, why)
            continue
        mounts.append(mount)
        if found.kind == "volume" and not project.is_external(found.source):
            fields.lose(place, f"is mounted, but not made: make the volume {source} with workspace_volume")
    return mounts


def _mount_problem(mount: values.Mount, source: str) -> str:
    if mount.kind not in ("bind", "volume"):
        return f"is of type {mount.kind}: workspaces mount directories of the host and volumes"
    if not source:
        return "a volume without a name is lost with its container: name it"
    if mount.kind == "bind" and not source.startswith("/"):
        return "is relative to the Compose file: give it from '/', or import what 'docker compose config' prints"
    return ""
