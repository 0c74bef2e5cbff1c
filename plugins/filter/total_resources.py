# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(total_resources)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: total_resources
  version_added: 0.1.0
  short_description: What a tier and add-ons, or a list of workspaces, come to
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Adds up CPUs, memory and disk - of one wish, or of all workspaces of a plan that are not absent.
  positional: catalogue_paths
  extends_documentation_fragment: codeopen.workspaces.catalogue
  options:
    _input:
      description: A wish (C(flavor), C(addons), C(tier)), or a plan.
      type: raw
      required: true
"""

EXAMPLES = r"""
- name: Say what a workspace gets
  ansible.builtin.debug:
    msg: "{{ {'flavor': 'python', 'addons': ['code-server']} | codeopen.workspaces.total_resources }}"
    # => {'cpus': 3.0, 'memory': 6442450944, 'disk': 30000000000}

- name: Say what a whole list needs
  ansible.builtin.debug:
    msg: "{{ (list | codeopen.workspaces.plan | codeopen.workspaces.total_resources).cpus }}"
  vars:
    list: [{name: a, flavor: js}, {name: b, flavor: js}]
    # => 4.0
"""

RETURN = r"""
  _value:
    description: C(cpus), and C(memory) and C(disk) in bytes.
    type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import sum_workspaces
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import resolve_wish


def total_resources(value: Any, catalogue_paths: Sequence[str] = ()) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        if isinstance(value, dict) and "workspaces" in value:
            total = sum_workspaces(value["workspaces"])
        else:
            total = resolve_wish(value, catalogue_paths).resources
    except WorkspacesError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"cpus": total.cpus, "memory": total.memory, "disk": total.disk}


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"total_resources": total_resources}
