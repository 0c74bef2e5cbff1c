# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(from_compose)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: from_compose
  version_added: 0.1.0
  short_description: A Compose file as definitions of workspaces
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Turns the services of a Compose file whose images are the catalogue's into definitions of workspaces, as
      P(codeopen.workspaces.plan#filter) takes them. A service gets the smallest tier that holds its limits.
    - Every key that cannot be carried over, or only as something like it, is listed with a reason. So are services
      with other images.
    - Files with variables, C(extends), C(include) or relative paths are for Compose to resolve - import what
      C(docker compose config) prints.
  positional: catalogue_paths
  extends_documentation_fragment: codeopen.workspaces.catalogue
  options:
    _input:
      description: The Compose file as a mapping.
      type: dict
      required: true
"""

EXAMPLES = r"""
- name: Say which workspaces a Compose file describes
  ansible.builtin.debug:
    msg: "{{ (file | from_yaml | codeopen.workspaces.from_compose).workspaces }}"
  vars:
    file: |
      services:
        shop:
          image: codeopen-js:0.1.0
          mem_limit: 6g
          ports: ["127.0.0.1:4096:4096"]
    # => [{'name': 'shop', 'flavor': 'js', 'tier': 'creator', 'ports': {'opencode': {'host': 4096}}}]

- name: Say what of a Compose file is not carried over
  ansible.builtin.debug:
    msg: "{{ (file | from_yaml | codeopen.workspaces.from_compose).not_carried_over | to_nice_yaml }}"
  vars:
    file: |
      services:
        shop:
          image: codeopen-js:0.1.0
          mem_limit: 3g
          cap_add: [NET_ADMIN]
    # => -   key: mem_limit
    #        service: shop
    #        why: tier builder gives 4g instead of 3g
    #    -   key: cap_add
    #        service: shop
    #        why: workspaces get what their components declare as 'runtime', and nothing else
    #            of the engine's confinement
"""

RETURN = r"""
  _value:
    description: >-
      C(workspaces), for P(codeopen.workspaces.plan#filter), and C(not_carried_over), a list with C(service) (empty for
      what stands beside the services), C(key) and C(why).
    type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_import import from_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue


def from_compose(document: Any, catalogue_paths: Sequence[str] = ()) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return from_project(find_catalogue(catalogue_paths), document)
    except WorkspacesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"from_compose": from_compose}
