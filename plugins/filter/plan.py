# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(plan)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: plan
  version_added: 0.1.0
  short_description: The plan for a list of workspaces
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Turns a list of workspaces into the one structure that the roles and modules work on - which images,
      made of which layers with which recipes, and which workspaces run on them. Every mistake in the list, or
      in the catalogue, is reported in one message.
  positional: catalogue_paths, leave_out, pools
  extends_documentation_fragment: codeopen.workspaces.catalogue
  options:
    _input:
      description: >-
        The workspaces - mappings with C(name), C(flavor) or C(preset), C(addons), C(tier), C(ports),
        C(address), C(environment), C(gpus), C(owner), C(aliases), C(limits), C(checks), C(mounts),
        C(idle_minutes), C(leave_out) (tools that its image is made without, beside those of the option), C(state).
      type: list
      required: true
    leave_out:
      description: >-
        Tools that all images are made without, because their source cannot be reached, say. The label
        C(codeopen.left-out) of an image names those that it would have otherwise.
      type: list
      elements: str
      default: []
    pools:
      description: >-
        Pools of workspaces that wait for somebody to claim them with M(codeopen.workspaces.workspace_claim) -
        mappings with C(name), C(size) (how many wait), and what a workspace has, C(owner), C(state) and ports of the
        host left out.
      type: list
      elements: dict
      default: []
"""

EXAMPLES = r"""
- name: Say which images a list of workspaces needs
  ansible.builtin.debug:
    msg: "{{ ([{'name': 'demo', 'flavor': 'python'}] | codeopen.workspaces.plan).layers | map(attribute='image') }}"
    # => ['codeopen-base:0.1.0', 'codeopen-python:0.1.0']
"""

RETURN = r"""
  _value:
    description: The plan, with C(version), C(base_image), C(layers) (parents first), C(workspaces) and C(pools).
    type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import plan_from_files


def plan(
    workspaces: Any, catalogue_paths: Sequence[str] = (), leave_out: Sequence[str] = (), pools: Any = ()
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return plan_from_files(workspaces, catalogue_paths, leave_out, pools)
    except WorkspacesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan": plan}
