# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(resolve)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: resolve
  version_added: 0.1.0
  short_description: Everything that follows from a flavor, add-ons and a tier
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Resolves a wish to its image name, chain of components, total CPUs, memory and disk, ports, volumes,
      environment and compatibility.
  positional: catalogue_paths
  extends_documentation_fragment: codeopen.workspaces.catalogue
  options:
    _input:
      description: The wish - a mapping with C(flavor), C(addons), C(tier) and C(leave_out), or the name of a flavor.
      type: raw
      required: true
"""

EXAMPLES = r"""
- name: Say what code-server adds to a builder
  ansible.builtin.debug:
    msg: "{{ ({'flavor': 'python', 'addons': ['code-server'], 'tier': 'builder'} | codeopen.workspaces.resolve).cpus }}"
    # => 3.0

- name: Say which components an image is made of
  ansible.builtin.debug:
    msg: "{{ ({'flavor': 'js', 'addons': ['code-server']} | codeopen.workspaces.resolve).components }}"
    # => ['base', 'js', 'code-server']
"""

RETURN = r"""
  _value:
    description: >-
      C(image), C(flavor), C(addons), C(tier), C(components), C(cpus), C(memory) and C(disk) in bytes,
      C(ports), C(volumes), C(environment), C(runtime), C(requires_gpus), C(leave_out), C(compatible), and
      C(problems), which says why it is not.
    type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import resolve_wish


def resolve(wish: Any, catalogue_paths: Sequence[str] = ()) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return resolve_wish(wish, catalogue_paths).as_dict()
    except WorkspacesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"resolve": resolve}
