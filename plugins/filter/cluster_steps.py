# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(cluster_steps)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: cluster_steps
  version_added: 0.1.0
  short_description: What has to be done for hosts to be one Swarm
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Compares what an inventory says of its hosts with what their engines say of the Swarm. The role C(cluster) does
      what comes out.
    - Fails with everything that stands against it, such as a lost quorum, or hosts of another Swarm.
  options:
    _input:
      description:
        - The hosts, each with C(name), C(role), C(availability), C(labels), C(resources), C(live_restore) and C(swarm),
          what its engine tells about the Swarm.
      type: list
      elements: dict
      required: true
    nodes:
      description: The Swarm's nodes, as its manager tells. Without them only the manager to ask is chosen.
      type: list
      elements: dict
    force_new:
      description: Whether a manager that lost the quorum may begin anew with what it knows.
      type: bool
      default: false
"""

EXAMPLES = r"""
- name: Say which host speaks for the Swarm
  ansible.builtin.debug:
    msg: "{{ hosts | codeopen.workspaces.cluster_steps }}"
  vars:
    hosts:
      - {name: a, role: manager, availability: active, labels: {}, swarm: {LocalNodeState: inactive}}
    # => {'primary': 'a', 'init': True, 'force': False}
"""

RETURN = r"""
  _value:
    description:
      - Without O(nodes) the manager to ask as C(primary), and whether it is to C(init) the Swarm, and to C(force) it.
      - With them C(leave) and C(join), lists of hosts; C(addresses), where they join; and C(settings), for each node
        C(name), C(id), C(role), C(availability), C(labels) and C(stale), entries that are left of it.
    type: dict
"""

from collections.abc import Callable
from typing import Any, Optional

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_members import (
    ClusterError,
    choose_primary,
    find_strangers,
    manager_addresses,
    node_settings,
)


def cluster_steps(members: Any, nodes: Optional[Any] = None, force_new: bool = False) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        if nodes is None:
            return choose_primary(members, force_new)
        return {
            **find_strangers(members, nodes),
            "addresses": manager_addresses(nodes),
            "settings": node_settings(members, nodes),
        }
    except ClusterError as error:
        raise AnsibleFilterError(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"cluster_steps expects hosts and nodes as described: {error!r}") from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cluster_steps": cluster_steps}
