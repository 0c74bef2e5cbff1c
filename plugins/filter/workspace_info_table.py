# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``workspace_info_table``: the result of the module ``workspace_info`` as text for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: workspace_info_table
short_description: What the workspaces of a host are doing, as a table for people
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers
description:
  - Takes RV(codeopen.workspaces.workspace_info#module:workspaces) and gives text that reads well in a terminal.
  - Of services it names those that are not healthy, and counts the others. Under C(DRIFT) it names what is other than
    it was asked for, and under C(MEMORY) is how much is used, and how much may be.
positional: _input
options:
  _input:
    description: What the module M(codeopen.workspaces.workspace_info) returns as C(workspaces).
    type: list
    elements: dict
    required: true
seealso:
  - module: codeopen.workspaces.workspace_info
"""

EXAMPLES = r"""
- name: Show what the workspaces are doing
  ansible.builtin.debug:
    msg: "{{ [demo, shop] | codeopen.workspaces.workspace_info_table }}"
  vars:
    demo:
      name: demo
      state: unhealthy
      asleep: false
      health: unhealthy
      services: {gui: {health: unhealthy, reason: no answer}, opencode: {health: healthy}, web: {health: healthy}}
      drift: {cpus: {asked: 2.0, found: 4.0}}
      resources: {memory: 104857600, memory_limit: 4294967296, pids: 31}
      owner: ada
      tier: builder
    shop: {name: shop, state: stopped, asleep: true, health: none, owner: bob, tier: starter}

# => WORKSPACE  STATE            HEALTH     SERVICES                  DRIFT  MEMORY           PIDS  OWNER  TIER
#    demo       unhealthy        unhealthy  gui unhealthy, 2 healthy  cpus   100 MiB / 4 GiB  31    ada    builder
#    shop       stopped, asleep  none                                                               bob    starter
"""

RETURN = r"""
_value:
  description: The table, lines separated by newlines, without one at the end.
  type: str
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import format_memory
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.tables import entries_of, table

HEADER = ("WORKSPACE", "STATE", "HEALTH", "SERVICES", "DRIFT", "MEMORY", "PIDS", "OWNER", "TIER")
NAME = "workspace_info_table"


def workspace_info_table(workspaces: Any) -> str:
    """Format the results of ``workspace_info`` for a terminal.

    :raises AnsibleFilterError: where the input is not a list of them.
    """
    rows = [_row(workspace) for workspace in entries_of(workspaces, NAME, "workspaces", "name")]
    return table(HEADER, rows) if rows else "No workspaces."


def _row(workspace: Mapping[str, Any]) -> tuple[object, ...]:
    state = [str(workspace.get("state", ""))]
    state += ["asleep"] if workspace.get("asleep") else []
    state += ["updating"] if workspace.get("updating") else []
    resources = workspace.get("resources") or {}
    memory = f"{format_memory(resources['memory'])} / {format_memory(resources['memory_limit'])}" if resources else ""
    return (
        workspace["name"],
        ", ".join(state),
        workspace.get("health", ""),
        _services(workspace.get("services") or {}),
        ", ".join(sorted(workspace.get("drift") or {})),
        memory,
        resources.get("pids", ""),
        workspace.get("owner", ""),
        workspace.get("tier", ""),
    )


def _services(services: Mapping[str, Mapping[str, Any]]) -> str:
    others = [f"{name} {said['health']}" for name, said in sorted(services.items()) if said["health"] != "healthy"]
    healthy = len(services) - len(others)
    return ", ".join([*others, *([f"{healthy} healthy"] if healthy else [])])


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Names and functions, as Ansible asks for them."""
        return {"workspace_info_table": workspace_info_table}
