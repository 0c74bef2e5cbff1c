# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``workspace_events_table``: the result of the module ``workspace_events`` as text for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: workspace_events_table
short_description: What the engine saw of workspaces, as a table for people
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers
description:
  - Takes RV(codeopen.workspaces.workspace_events#module:events) and gives text that reads well in a terminal.
positional: _input
options:
  _input:
    description: What the module M(codeopen.workspaces.workspace_events) returns as C(events).
    type: list
    elements: dict
    required: true
seealso:
  - module: codeopen.workspaces.workspace_events
"""

EXAMPLES = r"""
- name: Show what the engine saw
  ansible.builtin.debug:
    msg: "{{ events | codeopen.workspaces.workspace_events_table }}"
  vars:
    events:
      - {time: "2030-01-31T10:00:00Z", workspace: demo, event: health_status, health: healthy}
      - {time: "2030-01-31T10:00:01Z", workspace: demo, event: kill, signal: 9}
      - {time: "2030-01-31T10:00:01Z", workspace: demo, event: die, exit_code: 137}

# => TIME                  WORKSPACE  EVENT          DETAIL
#    2030-01-31T10:00:00Z  demo       health_status  healthy
#    2030-01-31T10:00:01Z  demo       kill           signal 9
#    2030-01-31T10:00:01Z  demo       die            exit code 137
"""

RETURN = r"""
_value:
  description: The table, lines separated by newlines, without one at the end.
  type: str
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.codeopen.workspaces.plugins.plugin_utils.tables import entries_of, table

HEADER = ("TIME", "WORKSPACE", "EVENT", "DETAIL")
NAME = "workspace_events_table"


def workspace_events_table(events: Any) -> str:
    """Format the results of ``workspace_events`` for a terminal.

    :raises AnsibleFilterError: where the input is not a list of them.
    """
    rows = [
        (event.get("time", ""), event.get("workspace", ""), event["event"], _detail(event))
        for event in entries_of(events, NAME, "events", "event")
    ]
    return table(HEADER, rows) if rows else "No events."


def _detail(event: Mapping[str, Any]) -> str:
    if "exit_code" in event:
        return f"exit code {event['exit_code']}"
    if "signal" in event:
        return f"signal {event['signal']}"
    return str(event.get("health", ""))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Names and functions, as Ansible asks for them."""
        return {"workspace_events_table": workspace_events_table}
