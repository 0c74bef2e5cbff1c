#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells which workspaces a host has."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_info
short_description: Tell which workspaces a host has
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Lists the workspaces of a host with their state, the health of each of their services, addresses, what they use,
    and what became of them until now.
  - Tells also of those that are lost, which the host has a record of and the engine no container, and where they are
    named also of those that were removed.
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.reads_only
options:
  names:
    description:
      - The workspaces to tell about, also those that were removed. Those that nothing is known of are left out.
      - All but those that were removed, where none is named.
    type: list
    elements: str
    default: []
  history:
    description: How many changes of each one's state are told, the latest first.
    type: int
    default: 10
  state_dir:
    description: Directory on the host where the workspaces' secrets and the record of their states are.
    type: path
    default: /var/lib/codeopen
seealso:
  - module: codeopen.workspaces.workspace
  - plugin: codeopen.workspaces.workspace_info_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: See all workspaces of the host
  codeopen.workspaces.workspace_info:
  register: found

- name: See whether one is healthy
  codeopen.workspaces.workspace_info:
    names:
      - demo
  register: demo
  failed_when: demo.workspaces | map(attribute='health') | list != ['healthy']

- name: See what became of one that was removed
  codeopen.workspaces.workspace_info:
    names:
      - shop
    history: 100

- name: See the state of all as a table
  ansible.builtin.debug:
    msg: "{{ found.workspaces | codeopen.workspaces.workspace_info_table }}"

- name: See those that were changed by hand
  ansible.builtin.debug:
    msg: "{{ found.workspaces | selectattr('drift', 'defined') | selectattr('drift') | items2dict('name', 'drift') }}"
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
        - One of V(created), V(starting), V(running), V(restarting), V(paused), V(unhealthy), V(stopping), V(stopped),
          V(failed), V(lost), V(removing), and for one that was named V(removed).
        - It is V(failed) when it ended by itself with another exit code than 0, and V(lost) when its container is gone
          and nobody removed it by M(codeopen.workspaces.workspace).
      returned: always
      type: str
      sample: running
    asleep:
      description: Whether M(codeopen.workspaces.workspace_idle) stopped it, and nobody started it since then.
      returned: unless it is lost or removed
      type: bool
    health:
      description:
        - What its health check says, V(healthy), V(unhealthy) or V(starting).
        - V(none) when it is stopped or has no health check.
      returned: unless it is lost or removed
      type: str
      sample: healthy
    services:
      description:
        - What the last health check said of each service, by name, with C(health) V(healthy), V(unhealthy) or V(note),
          C(reason), and C(last_lines) of the service's log where it is unhealthy.
        - Empty when it does not run, or its health check tells of no services.
      returned: unless it is lost or removed
      type: dict
      sample: {"opencode": {"health": "healthy"}}
    updating:
      description: Whether an update was interrupted. The next run of M(codeopen.workspaces.workspace) goes on with it.
      returned: unless it is lost or removed
      type: bool
    image:
      description: The image that it was made from.
      returned: unless it is lost or removed
      type: str
      sample: codeopen-python:0.1.0
    recipe:
      description: The recipe that its image was built from.
      returned: unless it is lost or removed
      type: str
    owner:
      description: Whose it is.
      returned: unless it is lost or removed
      type: str
    tier:
      description: The tier that its limits come from.
      returned: unless it is lost or removed
      type: str
      sample: builder
    pool:
      description: The pool that it is a member of.
      returned: for members of pools, unless it is lost or removed
      type: str
    claimant:
      description: Who claimed it from its pool. Empty while nobody did.
      returned: for members of pools, unless it is lost or removed
      type: str
    ports:
      description: Its ports on the host, by port name.
      returned: unless it is lost or removed
      type: dict
      sample: {"opencode": 24096}
    urls:
      description: Where its services answer, by port name.
      returned: unless it is lost or removed
      type: dict
      sample: {"opencode": "http://127.0.0.1:24096"}
    password_file:
      description: The file on the host with its password.
      returned: unless it is lost or removed
      type: str
      sample: /var/lib/codeopen/workspaces/demo/secrets/password
    container:
      description: Name of its container.
      returned: unless it is lost or removed
      type: str
      sample: codeopen-demo
    drift:
      description:
        - What is other than it was asked for, by key, with C(asked) and C(found). Limits are mended by the next run of
          M(codeopen.workspaces.workspace).
      returned: unless it is lost or removed
      type: dict
      sample: {"cpus": {"asked": 2.0, "found": 4.0}}
    resources:
      description:
        - What it uses now - C(memory) and C(memory_limit) in bytes, C(pids), and since its start C(cpu_seconds) and
          bytes C(received) and C(sent). Empty when it does not run.
      returned: unless it is lost or removed
      type: dict
      sample: {"memory": 104857600, "memory_limit": 4294967296, "pids": 31, "cpu_seconds": 12.5}
    failure:
      description: Its C(exit_code), whether it was killed for want of memory (C(oom)), and C(last_lines) of its log.
      returned: when its state is V(failed), or it dies again and again
      type: dict
    history:
      description:
        - The changes of its state, the latest first, with C(time) (UTC), C(from), C(to), C(cause), C(who) and C(run),
          and with C(exit_code), C(oom) and C(last_lines) of a failure.
      returned: always
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect, list_containers
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.inspection import Inspector
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed, by_workspace
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR
from ansible_collections.codeopen.workspaces.plugins.module_utils.states import REMOVED


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "history": {"type": "int", "default": 10},
            "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        client = connect(module.params["docker_host"])
        found = by_workspace(list_containers(client))
        inspector = Inspector(client, module.params["state_dir"], module.params["history"])
        known = {*found, *inspector.recorded}
        there = {*found, *(name for name, state in inspector.recorded.items() if state != REMOVED)}
        names = sorted(known & set(module.params["names"]) if module.params["names"] else there)
        workspaces = [inspector.facts(name, found.get(name, Observed())) for name in names]
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, workspaces=workspaces)


if __name__ == "__main__":
    main()
