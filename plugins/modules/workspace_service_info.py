#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells which workspaces a Docker Swarm has."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_service_info
short_description: Tell which workspaces a Docker Swarm has
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Lists the workspaces of a Swarm with their state, the node that they run on and the one that has their files, their
    addresses and what became of their last containers.
  - Tells also of those that have no service any more, and whose files the Swarm still knows the node of.
  - Run it on a manager.
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.reads_only
options:
  names:
    description: The workspaces to tell about. All, where none is named. Those that are not there are left out.
    type: list
    elements: str
    default: []
  history:
    description: How many of each one's tasks are told, the latest first. By default the Swarm keeps five.
    type: int
    default: 5
seealso:
  - module: codeopen.workspaces.workspace_service
  - module: codeopen.workspaces.workspace_info
"""

EXAMPLES = r"""
- name: See all workspaces of the Swarm
  codeopen.workspaces.workspace_service_info:
  register: found

- name: See those that wait for their node
  ansible.builtin.debug:
    msg: "{{ found.workspaces | selectattr('state', '==', 'waiting') | items2dict('name', 'detail') }}"
"""

RETURN = r"""
workspaces:
  description: The workspaces, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the workspace.
      returned: always
      type: str
      sample: demo
    state:
      description:
        - V(running) when its container is healthy, V(starting), V(waiting) for its node, V(pending) while no node has
          room for it, V(failed), V(stopped), and V(absent) when only its files are left.
      returned: always
      type: str
      sample: running
    detail:
      description: The Swarm's words about the state.
      returned: when it has a service
      type: str
      sample: it runs on node-2
    node:
      description: Host name of the node that it runs on; empty when it does not run.
      returned: when it has a service
      type: str
      sample: node-2
    files:
      description:
        - C(node), where its volumes are, or its id when it is gone from the Swarm, and whether they are there for sure
          (C(settled)). Empty when they belong to no single node.
      returned: always
      type: dict
      sample: {"node": "node-2", "settled": true}
    image:
      description: Its image.
      returned: when it has a service
      type: str
      sample: codeopen-python:0.1.0
    recipe:
      description: The recipe that its image was planned with; empty where it was planned with none.
      returned: when it has a service
      type: str
    owner:
      description: Its owner; empty where it has none.
      returned: when it has a service
      type: str
      sample: ada
    tier:
      description: Its tier.
      returned: when it has a service
      type: str
      sample: builder
    configuration:
      description: What was asked for, as the diff of M(codeopen.workspaces.workspace_service) shows it.
      returned: when it has a service
      type: dict
    ports:
      description: The numbers that it publishes, by port name.
      returned: when it has a service
      type: dict
      sample: {"opencode": 20001}
    urls:
      description: Where its services answer, by port name.
      returned: when it has a service
      type: dict
      sample: {"opencode": "http://192.0.2.12:20001"}
    secrets:
      description: Names of its secret files.
      returned: when it has a service
      type: list
      elements: str
      sample: [github-token, password]
    update:
      description: The C(state) of its last update in the Swarm's word, and its C(message); empty where there was none.
      returned: when it has a service
      type: dict
      sample: {"state": "completed", "message": "update completed"}
    tasks:
      description:
        - Its last containers, the latest first, with C(time) (UTC) of their making, C(state), the state that is
          C(wished), C(node), C(error), and C(exit_code) of those that ended.
      returned: when it has a service
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_facts import facts, known_workspaces
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Swarm


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "history": {"type": "int", "default": 5},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wanted = module.params["names"]
    try:
        state = Swarm(connect(module.params["docker_host"])).look()
        names = [name for name in known_workspaces(state) if not wanted or name in wanted]
        workspaces = [facts(name, state, module.params["history"]) for name in names]
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, workspaces=workspaces)


if __name__ == "__main__":
    main()
