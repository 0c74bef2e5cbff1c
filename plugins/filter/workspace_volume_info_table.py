# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``workspace_volume_info_table``: volumes from the module ``workspace_volume_info`` as text for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: workspace_volume_info_table
short_description: The volumes of a host as a table for people
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers
description:
  - Takes RV(codeopen.workspaces.workspace_volume_info#module:volumes) and gives text that reads well in a terminal.
  - A volume without a budget of its own has no C(SIZE), and one that nobody measured no C(USED).
positional: _input
options:
  _input:
    description: What the module M(codeopen.workspaces.workspace_volume_info) returns as C(volumes).
    type: list
    elements: dict
    required: true
seealso:
  - module: codeopen.workspaces.workspace_volume_info
"""

EXAMPLES = r"""
- name: Show the volumes
  ansible.builtin.debug:
    msg: "{{ [home, old] | codeopen.workspaces.workspace_volume_info_table }}"
  vars:
    home:
      name: codeopen-demo-home
      owner: ada
      workspace: demo
      size: 2000000000
      used: 2500000000
      over: true
      orphan: false
      used_by: [{container: codeopen-demo, state: running, writes: true}]
    old: {name: codeopen-old-home, owner: "", workspace: old, size: 0, used: 1500, orphan: true, used_by: []}

# => VOLUME              OWNER  WORKSPACE  SIZE  USED          ORPHAN  USED BY
#    codeopen-demo-home  ada    demo       2 GB  2.5 GB, over          codeopen-demo (running)
#    codeopen-old-home          old              1.5 kB        yes
"""

RETURN = r"""
_value:
  description: The table, lines separated by newlines, without one at the end.
  type: str
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import format_size
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.tables import entries_of, table

HEADER = ("VOLUME", "OWNER", "WORKSPACE", "SIZE", "USED", "ORPHAN", "USED BY")
NAME = "workspace_volume_info_table"


def workspace_volume_info_table(volumes: Any) -> str:
    """Format the volumes of ``workspace_volume_info`` for a terminal.

    :raises AnsibleFilterError: where the input is not a list of them.
    """
    rows = [_row(volume) for volume in entries_of(volumes, NAME, "volumes", "name")]
    return table(HEADER, rows) if rows else "No volumes."


def _row(volume: Mapping[str, Any]) -> tuple[object, ...]:
    used = format_size(volume["used"]) if "used" in volume else ""
    return (
        volume["name"],
        volume.get("owner", ""),
        volume.get("workspace", ""),
        format_size(volume["size"]) if volume.get("size") else "",
        f"{used}, over" if volume.get("over") else used,
        "yes" if volume.get("orphan") else "",
        ", ".join(f"{use['container']} ({use['state']})" for use in volume.get("used_by") or []),
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Names and functions, as Ansible asks for them."""
        return {"workspace_volume_info_table": workspace_volume_info_table}
