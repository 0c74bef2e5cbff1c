# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``workspace_logs_table``: the result of the module ``workspace_logs`` as text for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: workspace_logs_table
short_description: The logs of workspaces as a table for people
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers
description:
  - Takes RV(codeopen.workspaces.workspace_logs#module:workspaces) and gives text that reads well in a terminal.
  - The lines of all workspaces are in the order of their times, which are cut to milliseconds. What a workspace wrote
    to color a terminal or move about in it is left out.
positional: _input
options:
  _input:
    description: What the module M(codeopen.workspaces.workspace_logs) returns as C(workspaces).
    type: list
    elements: dict
    required: true
seealso:
  - module: codeopen.workspaces.workspace_logs
"""

EXAMPLES = r"""
- name: Show what workspaces wrote
  ansible.builtin.debug:
    msg: "{{ [demo, shop] | codeopen.workspaces.workspace_logs_table }}"
  vars:
    demo:
      name: demo
      lines:
        - {time: "2030-01-31T10:00:00.500000000Z", service: "", text: ready}
        - {time: "2030-01-31T10:00:02.000000001Z", service: opencode, text: listening on port 4096}
    shop: {name: shop, lines: [{time: "2030-01-31T10:00:01.250000000Z", service: "", text: ready}]}

# => TIME                      WORKSPACE  SERVICE   TEXT
#    2030-01-31T10:00:00.500Z  demo                 ready
#    2030-01-31T10:00:01.250Z  shop                 ready
#    2030-01-31T10:00:02.000Z  demo       opencode  listening on port 4096
"""

RETURN = r"""
_value:
  description: The table, lines separated by newlines, without one at the end.
  type: str
"""

import re
from typing import Any, Callable

from ansible_collections.codeopen.workspaces.plugins.plugin_utils.tables import entries_of, table

HEADER = ("TIME", "WORKSPACE", "SERVICE", "TEXT")
NAME = "workspace_logs_table"
_BEYOND_MILLISECONDS = re.compile(r"(\.\d{3})\d+Z$")


def workspace_logs_table(workspaces: Any) -> str:
    """Format the results of ``workspace_logs`` for a terminal.

    :raises AnsibleFilterError: where the input is not a list of them.
    """
    rows = [
        (line["time"], workspace["name"], line["service"], line["text"])
        for workspace in entries_of(workspaces, NAME, "workspaces with their lines", "lines")
        for line in workspace["lines"]
    ]
    # By the time alone, so that lines of the same moment stay as they were written.
    rows.sort(key=lambda row: str(row[0]))
    rows = [(_BEYOND_MILLISECONDS.sub(r"\1Z", str(time)), *others) for time, *others in rows]
    return table(HEADER, rows) if rows else "No lines."


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Names and functions, as Ansible asks for them."""
        return {"workspace_logs_table": workspace_logs_table}
