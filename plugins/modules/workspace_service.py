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
  - An update that does not get healthy is rolled back by the Swarm, and reported as the failure that it is.
  - Secrets are secrets of the Swarm. A changed one is a new version, and the container is replaced for it.
  - Images have to be on the nodes under their names; no registry is asked by this module.
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.network
attributes:
  check_mode:
    description: Can run in check mode and tell what it would change, without changing it.
    support: full
  diff_mode:
    description: Tells which parts of which workspace's configuration change. Values of variables are not shown.
    support: full
  idempotent:
    description: Changes nothing when it is run a second time.
    support: full
options:
  workspaces:
    description:
      - The workspaces, as RV(codeopen.workspaces.plan#filter:_value) has them under C(workspaces).
      - What a Swarm has no word for is refused; that is C(mounts), devices and privileges of C(runtime), the state
        C(paused), and GPUs by name.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the workspace. Lower-case letters, digits and single hyphens between them.
        type: str
        required: true
      flavor:
        description: The flavor that its image was planned from. Only for people to read.
        type: str
      addons:
        description: The add-ons that its image was planned from. Only for people to read.
        type: list
        elements: str
      tier:
        description: The tier that its limits come from.
        type: str
      image:
        description: Its image, which has to be on its node. Needed unless O(workspaces[].state=absent).
        type: str
      recipe:
        description: The recipe that the image has to be built from. Another one means another container.
        type: str
      cpus:
        description: How many CPUs it may use. They are set aside for it on its node.
        type: float
      memory:
        description: How many bytes of memory it may use. They are set aside for it on its node.
        type: int
      disk:
        description: How many bytes of disk its tier gives to its volumes. A Swarm does not enforce it.
        type: int
      ports:
        description:
          - Its ports. A Swarm publishes on all addresses of a node only, so those with another address than V(0.0.0.0)
            or V(::) are not published, and the result says so.
        type: list
        elements: dict
        suboptions:
          name:
            description: What the port is called.
            type: str
            required: true
          container:
            description: Port in the container.
            type: int
            required: true
          host:
            description: Port of the node. A free one is chosen, and kept from then on, where this is not given.
            type: int
          address:
            description: Address that the port is to be published on.
            type: str
            default: 127.0.0.1
      volumes:
        description: What is kept when the container is replaced, in volumes named C(codeopen-<workspace>-<name>).
        type: list
        elements: dict
        suboptions:
          name:
            description: What the volume is called.
            type: str
            required: true
          path:
            description: Where it is in the container.
            type: str
            required: true
      mounts:
        description: Refused, for the manager cannot look at other nodes' directories and volumes.
        type: list
        elements: dict
      environment:
        description: The user's own variables.
        type: dict
      runtime:
        description: What its components need from the engine beyond what a container gets by default.
        type: dict
      gpus:
        description: How many GPUs it gets for itself, of those that nodes offer as the generic resource C(NVIDIA-GPU).
        type: raw
        default: 0
      limits:
        description: Further limits, as in M(codeopen.workspaces.workspace). C(swap) is not for a Swarm.
        type: dict
      owner:
        description:
          - Whose it is. Workspaces of an owner share a network; those of different owners do not reach each other.
        type: str
        default: ''
      checks:
        description: Not carried out in a Swarm, as the result says.
        type: list
        elements: dict
      idle_minutes:
        description: Not watched in a Swarm, as the result says.
        type: int
      state:
        description:
          - With V(started) it is there, as described, running and healthy.
          - With V(restarted) it is the same in a new container.
          - With V(stopped) it is there and has no container.
          - With V(absent) its service is gone. Its volumes, secrets and its place stay without O(purge).
          - V(paused) is refused, for a Swarm does not know it.
        type: str
        choices: [started, stopped, restarted, paused, absent]
        default: started
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
  parallel:
    description: How many workspaces are worked on at once.
    type: int
    default: 8
  health_timeout:
    description: Seconds that a container may take to become healthy.
    type: float
    default: 180
  stop_timeout:
    description: Seconds that a container may take to stop before it is killed.
    type: int
    default: 10
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
    description: Addresses of nodes' engines as this manager reaches them, by the node's name. Only O(purge) asks them.
    type: dict
    default: {}
  network_settings:
    description: What O(network) says, as text. The action plugin sets it.
    type: str
  environments:
    description: What O(workspaces[].environment) says, as JSON by workspace. The action plugin sets it.
    type: str
  secret_values:
    description: What O(secrets) says, as JSON. The action plugin sets it.
    type: str
  progress:
    description: Show in the terminal what happens to which workspace, while it happens.
    type: bool
    default: true
  only_unchanged:
    description: Leave off, with nothing done, where there is something to change. The action plugin sets it.
    type: bool
    default: false
  log_path:
    description: The log's path on the host. The action plugin sets it.
    type: path
  heartbeat:
    description: File on the host that shows that the controller is still there. The action plugin sets it.
    type: path
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
import json
import signal
import threading
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils import network_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import BuildLog, Redactor
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import STATES
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_plan import make_plan, plan_text
from ansible_collections.codeopen.workspaces.plugins.module_utils.heartbeat import stop_when_abandoned
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_fleet import ServiceFleet
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_run import SwarmSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import VolumeDriver
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR


def argument_spec() -> dict[str, Any]:
    """Give the options, as DOCUMENTATION has them."""
    port = {
        "name": {"type": "str", "required": True},
        "container": {"type": "int", "required": True},
        "host": {"type": "int"},
        "address": {"type": "str", "default": "127.0.0.1"},
    }
    volume = {"name": {"type": "str", "required": True}, "path": {"type": "str", "required": True}}
    workspace = {
        "name": {"type": "str", "required": True},
        "flavor": {"type": "str"},
        "addons": {"type": "list", "elements": "str"},
        "tier": {"type": "str"},
        "image": {"type": "str"},
        "recipe": {"type": "str"},
        "cpus": {"type": "float"},
        "memory": {"type": "int"},
        "disk": {"type": "int"},
        "ports": {"type": "list", "elements": "dict", "options": port},
        "volumes": {"type": "list", "elements": "dict", "options": volume},
        "mounts": {"type": "list", "elements": "dict"},
        "environment": {"type": "dict"},
        "runtime": {"type": "dict"},
        "gpus": {"type": "raw", "default": 0},
        "limits": {"type": "dict"},
        "owner": {"type": "str", "default": ""},
        "checks": {"type": "list", "elements": "dict"},
        "idle_minutes": {"type": "int"},
        "state": {"type": "str", "choices": list(STATES), "default": "started"},
    }
    driver = {
        "name": {"type": "str", "default": "local"},
        "options": {"type": "dict", "default": {}},
        "shared": {"type": "bool", "default": False},
    }
    return {
        "workspaces": {"type": "list", "elements": "dict", "required": True, "options": workspace},
        "network": network_file.ARGUMENT_SPEC,
        "placement": {"type": "dict", "default": {}},
        "placements": {"type": "dict", "default": {}},
        "volume_driver": {"type": "dict", "options": driver},
        "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
        "docker_host": {"type": "str"},
        "parallel": {"type": "int", "default": 8},
        "health_timeout": {"type": "float", "default": 180},
        "stop_timeout": {"type": "int", "default": 10},
        "monitor": {"type": "float", "default": 5},
        "port_range": {"type": "str", "default": "20000-29999"},
        "purge": {"type": "bool", "default": False},
        "engines": {"type": "dict", "default": {}},
        "network_settings": {"type": "str", "no_log": True},
        "environments": {"type": "str", "no_log": True},
        "secrets": {"type": "dict", "no_log": True},
        "secret_values": {"type": "str", "no_log": True},
        "progress": {"type": "bool", "default": True},
        "only_unchanged": {"type": "bool", "default": False},
        "log_path": {"type": "path"},
        "heartbeat": {"type": "path"},
    }


def run(module: AnsibleModule, stop: threading.Event) -> tuple[list[dict[str, Any]], str]:
    """Bring the workspaces to their states and give their results, and why it did not tidy up."""
    parameters = module.params
    driver = parameters["volume_driver"] or {}
    environments = json.loads(parameters["environments"] or "{}")
    workspaces = [
        dict(entry, environment=environments.get(entry["name"], entry.get("environment") or {}))
        for entry in parameters["workspaces"]
    ]
    settings = SwarmSettings(
        state_dir=parameters["state_dir"],
        health_timeout=parameters["health_timeout"],
        stop_timeout=parameters["stop_timeout"],
        monitor=parameters["monitor"],
        parallel=parameters["parallel"],
        purge=parameters["purge"],
        port_range=parameters["port_range"],
        network=parameters["network_settings"] or network_file.settings_text(parameters["network"]),
        secrets=json.loads(parameters["secret_values"]) if parameters["secret_values"] else parameters["secrets"],
        placement=parameters["placement"],
        placements=parameters["placements"],
        driver=VolumeDriver(driver["name"], driver["options"], driver["shared"]) if driver else VolumeDriver(),
        engines=parameters["engines"],
        check_mode=module.check_mode,
        only_unchanged=parameters["only_unchanged"],
    )
    client = connect(parameters["docker_host"])
    try:
        with contextlib.ExitStack() as stack:
            tell: Any = module.debug
            if parameters["log_path"]:
                tell = stack.enter_context(BuildLog(parameters["log_path"], Redactor([]))).progress
            if parameters["heartbeat"]:
                stop_when_abandoned(parameters["heartbeat"], stop)
            fleet = ServiceFleet(client, settings, stop, tell)
            results = fleet.converge(workspaces)
            if fleet.pending:
                module.exit_json(changed=False, pending=True)
            return results, fleet.unfinished
    finally:
        client.close()


def failure(results: list[dict[str, Any]], interrupted: bool, unfinished: str) -> str:
    """Give the message that names those that failed; empty where nothing did."""
    failed = [result for result in results if "error" in result]
    names = ", ".join(result["name"] for result in failed)
    lines = []
    if failed:
        head = "Interrupted; " if interrupted else ""
        lines.append(f"{head}{len(failed)} of {len(results)} workspaces failed: {names}.")
    lines.extend(f"Workspace '{result['name']}': {result['error']}" for result in failed)
    if unfinished:
        lines.append(f"What is tidied up in the end was left to the next run that changes something: {unfinished}")
    return "\n".join(lines)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signum, frame: stop.set())
    try:
        results, unfinished = run(module, stop)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    plan = make_plan(results)
    text = plan_text(plan)
    outcome: dict[str, Any] = {
        "changed": any(result["changed"] for result in results),
        "workspaces": results,
        "plan": plan,
        "plan_text": text,
        # In check mode the plan for all of them comes first.
        "diff": [{"prepared": text} for result in results[:1] if module.check_mode]
        + [
            {"before_header": result["name"], "after_header": result["name"], **result["diff"]}
            for result in results
            if "diff" in result
        ],
    }
    if module.params["log_path"]:
        outcome["log_path"] = module.params["log_path"]
    message = failure(results, stop.is_set(), unfinished)
    if message:
        module.fail_json(msg=message, **outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
