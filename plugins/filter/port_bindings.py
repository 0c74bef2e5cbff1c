# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(port_bindings)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: port_bindings
  version_added: 0.1.0
  short_description: The ports of a workspace as bindings
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Gives the ports of one workspace of a plan in the form address:host:container that C(published_ports) of
      M(community.docker.docker_container) takes. A host port that is still to be chosen is left out of its
      binding.
  options:
    _input:
      description: One workspace of a plan.
      type: dict
      required: true
"""

EXAMPLES = r"""
- name: Say how the ports of a workspace are published
  ansible.builtin.debug:
    msg: "{{ (list | codeopen.workspaces.plan).workspaces[0] | codeopen.workspaces.port_bindings }}"
  vars:
    list: [{name: demo, flavor: js, ports: {opencode: 14096}}]
    # => ['127.0.0.1::4097', '127.0.0.1:14096:4096']
"""

RETURN = r"""
  _value:
    description: One text for each port.
    type: list
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError


def port_bindings(workspace: Any) -> list[str]:
    """See DOCUMENTATION."""
    try:
        return [f"{port['address']}:{port['host'] or ''}:{port['container']}" for port in workspace["ports"]]
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError("expected one workspace of a plan, with ports") from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"port_bindings": port_bindings}
