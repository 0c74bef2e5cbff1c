# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``workspace_table``: the result of the module ``workspace`` as text for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: workspace_table
short_description: The workspaces of a host as a table for people
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers
description:
  - Takes RV(codeopen.workspaces.workspace#module:workspaces) and gives text that reads well in a terminal,
    with the addresses of each workspace, where its password lies and how to remove it.
  - Workspaces that were removed are left out.
positional: _input
options:
  _input:
    description: What the module M(codeopen.workspaces.workspace) returns as C(workspaces).
    type: list
    elements: dict
    required: true
  remove:
    description:
      - The command that removes a workspace. C({name}) in it stands for the workspace's name.
      - Empty, it is C(ansible-playbook playbooks/remove.yml -e codeopen_remove={name}).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the workspaces
  ansible.builtin.debug:
    msg: "{{ [workspace] | codeopen.workspaces.workspace_table(remove='make down NAME={name}') }}"
  vars:
    workspace:
      name: demo
      state: started
      urls: {code-server: "http://127.0.0.1:8080", opencode: "http://127.0.0.1:4096"}
      password_file: /var/lib/codeopen/workspaces/demo/secrets/password

# => WORKSPACE  STATE    SERVICE      ADDRESS
#    demo       started  code-server  http://127.0.0.1:8080
#                        opencode     http://127.0.0.1:4096
#
#    Password of demo: /var/lib/codeopen/workspaces/demo/secrets/password (user opencode)
#    Remove demo: make down NAME=demo
"""

RETURN = r"""
_value:
  description: The table, lines separated by newlines, without one at the end.
  type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible_collections.codeopen.workspaces.plugins.plugin_utils.tables import entries_of, table

HEADER = ("WORKSPACE", "STATE", "SERVICE", "ADDRESS")
REMOVE = "ansible-playbook playbooks/remove.yml -e codeopen_remove={name}"


def workspace_table(workspaces: Sequence[Mapping[str, Any]], remove: str = "") -> str:
    """Format the results of ``workspace`` for a terminal.

    :param workspaces: entries with ``name``, ``state``, ``urls`` and ``password_file``.
    :param remove: command with ``{name}`` in the place of the workspace's name.
    :raises AnsibleFilterError: where the input is not such a list.
    """
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for workspace in entries_of(workspaces, "workspace_table", "workspaces", "name"):
        name = str(workspace["name"])
        if workspace.get("state") == "absent":
            continue
        # An empty address keeps the row of a stopped workspace.
        urls = sorted((workspace.get("urls") or {}).items()) or [("", "")]
        for position, (service, address) in enumerate(urls):
            head = (name, str(workspace.get("state", ""))) if position == 0 else ("", "")
            rows.append((*head, str(service), str(address)))
        if workspace.get("password_file"):
            notes.append(f"Password of {name}: {workspace['password_file']} (user opencode)")
        notes.append(f"Remove {name}: {(remove or REMOVE).replace('{name}', name)}")
    if not rows:
        return "No workspaces."
    return "\n".join([table(HEADER, rows), "", *notes])


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Names and functions, as Ansible asks for them."""
        return {"workspace_table": workspace_table}
