#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a list of workspaces to their states in a Swarm."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_service
short_description: Bring a list of workspaces to their states in a Docker Swarm
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Does on a cluster what M(codeopen.workspaces.workspace) does on a host. Each workspace is a service of one
    container. Runs on a manager of the Swarm, and takes the whole list in one call and in parallel.
  - A workspace with local volumes gets its node when it is created, and never another one, for its files are there.
    While that node is away the workspace waits for it, and nothing with an empty home is started elsewhere.
  - An update that does not get healthy is rolled back by the Swarm, and reported as the failure that it is; also by a
    run that finds it under way. What runs on a paused node is not updated.
  - Secrets are secrets of the Swarm. A changed one is a new version, and the container is replaced for it.
  - Images have to be on the nodes under their names; no registry is asked by this module.
  - What a Swarm has no word for is refused; that is O(pools), C(mounts), devices and privileges of C(runtime),
    the state C(paused), and GPUs by name. C(checks) and C(idle_minutes) are left out, as the result says, and
    C(disk) and swap are not limited.
  - CPUs and memory are set aside for a workspace on its node. GPUs are those that nodes offer as the generic resource
    C(NVIDIA-GPU).
  - A Swarm publishes on all addresses of a node only. Ports with another address than V(0.0.0.0) or V(::) are not
    published, and the result says so.
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.fleet
  - codeopen.workspaces.network
  - codeopen.workspaces.progress
options:
  placement:
    description: Labels of nodes, with values, that a node has to have, for workspaces that O(placements) does not name.
    type: dict
    default: {}
  placements:
    description: The same by workspace, a dictionary of names with dictionaries of labels.
    type: dict
    default: {}
  volume_driver:
    description: What makes the volumes. Without it they are local, and a workspace stays on their node.
    type: dict
    suboptions:
      name:
        description: The driver.
        type: str
        default: local
      options:
        description: Its options, texts in which C({workspace}) and C({volume}) stand for the names.
        type: dict
        default: {}
      shared:
        description:
          - Whether every node sees the same files, as with NFS. Then the Swarm may run the workspace on any node, and
            starts it on another one when its node does not answer, even if it still runs there.
        type: bool
        default: false
  secrets:
    description:
      - Files of secrets, a dictionary of workspaces with dictionaries of file names with values, as in
        M(codeopen.workspaces.workspace). Where this option is given, files that it does not name are removed.
    type: dict
  state_dir:
    description: Directory on the manager for the workspaces' passwords.
    type: path
    default: /var/lib/codeopen
  monitor:
    description: Seconds that a new container has to stay healthy before an update counts as done.
    type: float
    default: 5
  port_range:
    description:
      - Where free ports are chosen, lowest and highest. Each workspace with local volumes takes one of them as UDP.
    type: str
    default: 20000-29999
  purge:
    description:
      - Remove the volumes and the secrets of workspaces with O(workspaces[].state=absent) too.
      - Volumes on other nodes than this manager need the addresses in O(engines).
    type: bool
    default: false
  engines:
    description:
      - Addresses of nodes' engines as this manager reaches them, by the node's name, in the forms of O(docker_host).
      - Only O(purge) asks them.
    type: dict
    default: {}
seealso:
  - module: codeopen.workspaces.workspace
"""

EXAMPLES = r"""
- name: Bring the planned workspaces to their states on the Swarm
  codeopen.workspaces.workspace_service:
    workspaces: "{{ (codeopen_workspaces | codeopen.workspaces.plan).workspaces }}"
    placement:
      disk: ssd
    placements:
      trainer:
        zone: gpu

- name: Let workspaces run on any node, with their files on NFS
  codeopen.workspaces.workspace_service:
    workspaces: "{{ codeopen_plan.workspaces }}"
    volume_driver:
      shared: true
      options:
        type: nfs
        o: addr=192.0.2.10,rw,nfsvers=4
        device: ":/exports/{workspace}/{volume}"

- name: Remove a workspace with all its files
  codeopen.workspaces.workspace_service:
    workspaces:
      - name: demo
        state: absent
    purge: true
    engines:
      worker-1: ssh://deploy@worker-1.example.org
"""

RETURN = r"""
workspaces:
  description: One result for each workspace, in the order of the list. Also returned when some of them failed.
  returned: when the list has no mistakes and the engine manages a Swarm
  type: list
  elements: dict
  contains:
    name:
      description: Name of the workspace.
      returned: always
      type: str
      sample: demo
    changed:
      description: Whether anything was done, or tried, or would be done in check mode.
      returned: always
      type: bool
    state:
      description:
        - The state that it is in, V(failed) where it did not get there, V(waiting) where the node with its files is
          away, and V(pending) where no node has room for it now.
      returned: always
      type: str
      sample: started
    action:
      description: What was done, one of V(none), V(create), V(update), V(start), V(restart), V(stop) and V(remove).
      returned: always
      type: str
      sample: create
    notes:
      description: What is worth knowing, such as ports that are not published.
      returned: always
      type: list
      elements: str
    node:
      description: The node with its files; empty where it may run on any.
      returned: unless it is absent
      type: str
      sample: worker-1
    image:
      description: Its image.
      returned: unless it is absent
      type: str
      sample: codeopen-python:0.1.0
    ports:
      description: Its published ports, by name.
      returned: unless it is absent
      type: dict
      sample: {"opencode": 20001}
    urls:
      description: Where its services answer, by port name.
      returned: unless it is absent
      type: dict
      sample: {"opencode": "http://192.0.2.11:20001"}
    password_file:
      description: The file on this manager with its password.
      returned: where this manager has it
      type: str
      sample: /var/lib/codeopen/workspaces/demo/secrets/password
    diff:
      description: What changed, C(before) and C(after).
      returned: when anything changed
      type: dict
    error:
      description: Why it failed.
      returned: when it failed
      type: str
    rolled_back:
      description: Whether the update failed and the Swarm went back to what was before, which serves again.
      returned: when it failed
      type: bool
    reason:
      description: What was wrong with the new container, with the last lines of its log.
      returned: when it was rolled back
      type: str
log_path:
  description: The log on the host of what was shown while it happened.
  returned: when something was changed and O(progress) is on
  type: str
  sample: /var/lib/codeopen/logs/services-20300131T100000.000Z.log
plan:
  description: What was changed, or would be in check mode, as M(codeopen.workspaces.workspace) returns it.
  returned: when the list has no mistakes and the engine manages a Swarm
  type: dict
plan_text:
  description: The same for people, a line for each change. In check mode it is also the first part of the diff.
  returned: when the list has no mistakes and the engine manages a Swarm
  type: str
  sample: "1 new, 99 unchanged\\n+ demo: create\\n"
"""

import contextlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils import fleet_options, fleet_result
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import BuildLog, Redactor
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import (
    DetachedRun,
    run_detachable,
    until_stopped,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_fleet import ServiceFleet
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_run import SwarmSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import VolumeDriver


def argument_spec() -> dict[str, Any]:
    """Give the options, as DOCUMENTATION has them."""
    driver = {
        "name": {"type": "str", "default": "local"},
        "options": {"type": "dict", "default": {}},
        "shared": {"type": "bool", "default": False},
    }
    return {
        **fleet_options.ARGUMENT_SPEC,
        "placement": {"type": "dict", "default": {}},
        "placements": {"type": "dict", "default": {}},
        "volume_driver": {"type": "dict", "options": driver},
        "monitor": {"type": "float", "default": 5},
        "engines": {"type": "dict", "default": {}},
    }


def converge(module: AnsibleModule, run: DetachedRun) -> dict[str, Any]:
    """Bring the workspaces to their states, and give the module's result."""
    parameters = module.params
    driver = parameters["volume_driver"] or {}
    workspaces, pools = fleet_options.wished(parameters)
    settings = SwarmSettings(
        state_dir=parameters["state_dir"],
        health_timeout=parameters["health_timeout"],
        stop_timeout=parameters["stop_timeout"],
        monitor=parameters["monitor"],
        parallel=parameters["parallel"],
        purge=parameters["purge"],
        port_range=parameters["port_range"],
        network=fleet_options.network_text(parameters),
        secrets=fleet_options.secrets_of(parameters),
        placement=parameters["placement"],
        placements=parameters["placements"],
        driver=VolumeDriver(driver["name"], driver["options"], driver["shared"]) if driver else VolumeDriver(),
        engines=parameters["engines"],
        check_mode=module.check_mode,
    )
    client = connect(parameters["docker_host"])
    try:
        with contextlib.ExitStack() as stack:
            log = None
            tell: Any = module.debug
            if parameters["log_path"]:
                log = stack.enter_context(BuildLog(parameters["log_path"], Redactor([]), run.let_go))
                tell = log.remark
            fleet = ServiceFleet(client, settings, run.stop, tell)
            results = fleet.converge(workspaces, pools)
            return fleet_result.whole(
                results,
                check_mode=module.check_mode,
                log_path=log.path if log and log.begun else "",
                interrupted=run.stop.is_set(),
                unfinished=fleet.unfinished,
            )
    finally:
        client.close()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    work = until_stopped(lambda run: converge(module, run))
    result = run_detachable(work, module.params["detach"] and not module.check_mode, module.no_log_values)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
