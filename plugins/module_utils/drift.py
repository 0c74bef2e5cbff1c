# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a container is other than it was asked for, because somebody changed it by hand, say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import limits
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import volume_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import network_name


def found_configuration(
    workspace: str,
    details: Mapping[str, Any],
    ports: Mapping[str, Mapping[str, Any]],
    left_out: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The parts of a container that can be compared, in the words of the configuration that was asked for.

    :param details: what the engine says about the container.
    :param ports: what it was made with, by port name: ``{container, host, address}``.
    :param left_out: limits that this host cannot set, see :func:`limits.impossible`.
    """
    host_config = details["HostConfig"]
    found = limits.words(host_config, left_out)
    found["image_id"] = str(details["Image"])
    found["shm"] = int(host_config.get("ShmSize") or 0)
    bindings = host_config.get("PortBindings") or {}
    found["ports"] = {
        name: f"{binding['HostIp']}:{binding['HostPort']}->{port['container']}"
        for name, port in ports.items()
        for binding in bindings.get(f"{port['container']}/tcp") or []
    }
    prefix = volume_name(workspace, "")
    found["volumes"] = {
        str(mount["Name"])[len(prefix) :]: str(mount["Destination"])
        for mount in details.get("Mounts") or []
        if str(mount.get("Name") or "").startswith(prefix)
    }
    found["networks"] = sorted((details["NetworkSettings"].get("Networks") or {}).keys())
    return found


def drift(asked: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What differs, by key: ``asked`` and ``found``.

    :param asked: the configuration that was asked for; where it is empty nothing is known, and nothing differs.
    """
    if not asked:
        return {}
    wished = dict(asked, networks=[network_name(str(asked.get("owner") or ""))])
    return {
        key: {"asked": wished[key], "found": value}
        for key, value in found.items()
        if key in wished and wished[key] != value
    }
