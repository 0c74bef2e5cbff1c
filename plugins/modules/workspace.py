#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a list of workspaces to their states on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace
short_description: Bring a list of workspaces to their states
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Creates, updates, starts, stops and removes workspaces, the whole list in one call and in parallel.
  - A workspace is started when its container is healthy. Waiting ends at once when the container dies.
  - An update keeps the old container until the new one is healthy, and puts it back when it is not. The old one is
    stopped meanwhile, because both use the same ports and volumes.
  - Volumes stay across updates, and when a workspace is removed without O(purge).
  - Every workspace has its own result. One that fails does not stop the others, and the task fails in the end, naming
    those that failed.
  - After an interruption the next run goes on where it stopped.
  - Each workspace has a password, which is made on the host and kept there in a file. It is never part of a result.
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
        description: Its image, which has to be on the host. Needed unless O(workspaces[].state=absent).
        type: str
      recipe:
        description: The recipe that the image has to be built from. Any will do where this is not given.
        type: str
      cpus:
        description: How many CPUs it may use. On a host with fewer it may use all, and the result says so.
        type: float
      memory:
        description: How many bytes of memory it may use.
        type: int
      disk:
        description: How many bytes of disk its tier gives. Nothing enforces it.
        type: int
      ports:
        description: The ports of the container that the host publishes.
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
            description: Port of the host. A free one is chosen, and kept from then on, where this is not given.
            type: int
          address:
            description: Address of the host that the port is published on.
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
      environment:
        description: The user's own variables.
        type: dict
      runtime:
        description:
          - What its components need from the engine beyond what a container gets by default. It comes from them, by the
            plan.
        type: dict
        suboptions:
          devices:
            description: Devices of the host that it may read and write.
            type: list
            elements: str
            default: []
          security_opt:
            description: Confinement of the engine that it is started without.
            type: list
            elements: str
            choices: [apparmor=unconfined, label=disable, seccomp=unconfined, systempaths=unconfined]
            default: []
          privileged:
            description: Whether nothing of the host is kept from it.
            type: bool
            default: false
      gpus:
        description: How many GPUs it gets, V(-1) for all.
        type: int
        default: 0
      state:
        description:
          - With V(started) it is there, as described, running and healthy.
          - With V(stopped) it is there and does not run. What changed in its description is applied when it is started.
          - With V(absent) its container is gone.
        type: str
        choices: [started, stopped, absent]
        default: started
  secrets:
    description:
      - Files of secrets, by workspace and file name, such as C({demo: {github-token: ...}}). Take the values from Vault
        or from any lookup.
      - A workspace finds them in C(/run/codeopen/secrets), beside its password. Only root and its user can read them.
      - A changed value replaces its file in the running workspace, which is not restarted. Where this option is given,
        files that it does not name are removed, also those of workspaces that it does not name.
      - The values are in no result, diff or log, and not in what the engine tells about the container.
    type: dict
  state_dir:
    description: Directory on the host for secrets, ports and the lock.
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
  port_range:
    description: Where free ports of the host are chosen, lowest and highest.
    type: str
    default: 20000-29999
  purge:
    description: Remove the volumes and the secrets of workspaces with O(workspaces[].state=absent) too.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait while another run works on this host's workspaces.
    type: float
    default: 600
  network_settings:
    description: What O(network) says, as text. The action plugin sets it.
    type: str
  environments:
    description: What O(workspaces[].environment) says, as JSON by workspace. The action plugin sets it.
    type: str
  secret_values:
    description: What O(secrets) says, as JSON. The action plugin sets it.
    type: str
seealso:
  - module: codeopen.workspaces.image_build
  - module: codeopen.workspaces.workspace_info
"""

EXAMPLES = r"""
- name: Bring the planned workspaces to their states
  codeopen.workspaces.workspace:
    workspaces: "{{ (codeopen_workspaces | codeopen.workspaces.plan).workspaces }}"

- name: Run one workspace behind a company's proxy
  codeopen.workspaces.workspace:
    workspaces:
      - name: demo
        image: codeopen-python:0.1.0
        cpus: 2
        memory: 4294967296
        ports:
          - name: opencode
            container: 4096
        volumes:
          - name: home
            path: /home/developer
    network:
      https_proxy: http://proxy.example.org:3128
      ca_bundle: /etc/ssl/certs/company.pem

- name: Give a workspace a token, whose value Vault keeps
  codeopen.workspaces.workspace:
    workspaces: "{{ (codeopen_workspaces | codeopen.workspaces.plan).workspaces }}"
    secrets:
      demo:
        github-token: "{{ vault_github_token }}"

- name: Remove a workspace with all its files
  codeopen.workspaces.workspace:
    workspaces:
      - name: demo
        state: absent
    purge: true
"""

RETURN = r"""
workspaces:
  description: One result for each workspace, in the order of the list. Also returned when some of them failed.
  returned: when the list has no mistakes and the engine answers
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
      description: The state that it is in, V(failed) where it did not get there.
      returned: always
      type: str
      sample: started
    action:
      description:
        - What was done, one of V(none), V(create), V(update), V(start), V(restart), V(stop), V(remove), V(apply)
          for what reached it without a restart, and V(recover) for the end of an interrupted update.
      returned: always
      type: str
      sample: create
    notes:
      description: What is worth knowing, such as a limit that is higher than the host can give.
      returned: always
      type: list
      elements: str
    urls:
      description: Where its services answer, by port name.
      returned: unless it is absent
      type: dict
      sample: {"opencode": "http://127.0.0.1:24096"}
    ports:
      description: Its ports on the host, by port name.
      returned: unless it is absent
      type: dict
      sample: {"opencode": 24096}
    image:
      description: Its image.
      returned: unless it is absent
      type: str
      sample: codeopen-python:0.1.0
    password_file:
      description: The file on the host with its password.
      returned: unless it is absent
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
"""

import json
import signal
import threading
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils import network_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet import Fleet, FleetSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout import RolloutSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.runtime import SECURITY_OPTIONS


def argument_spec() -> dict[str, Any]:
    """Give the options, as DOCUMENTATION has them."""
    port = {
        "name": {"type": "str", "required": True},
        "container": {"type": "int", "required": True},
        "host": {"type": "int"},
        "address": {"type": "str", "default": "127.0.0.1"},
    }
    volume = {"name": {"type": "str", "required": True}, "path": {"type": "str", "required": True}}
    granted = {
        "devices": {"type": "list", "elements": "str", "default": []},
        "security_opt": {"type": "list", "elements": "str", "choices": list(SECURITY_OPTIONS), "default": []},
        "privileged": {"type": "bool", "default": False},
    }
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
        "environment": {"type": "dict"},
        "runtime": {"type": "dict", "options": granted},
        "gpus": {"type": "int", "default": 0},
        "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
    }
    return {
        "workspaces": {"type": "list", "elements": "dict", "required": True, "options": workspace},
        "network": network_file.ARGUMENT_SPEC,
        "state_dir": {"type": "path", "default": "/var/lib/codeopen"},
        "docker_host": {"type": "str"},
        "parallel": {"type": "int", "default": 8},
        "health_timeout": {"type": "float", "default": 180},
        "stop_timeout": {"type": "int", "default": 10},
        "port_range": {"type": "str", "default": "20000-29999"},
        "purge": {"type": "bool", "default": False},
        "lock_timeout": {"type": "float", "default": 600},
        "network_settings": {"type": "str", "no_log": True},
        "environments": {"type": "str", "no_log": True},
        "secrets": {"type": "dict", "no_log": True},
        "secret_values": {"type": "str", "no_log": True},
    }


def wished(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the workspaces with their environments, which come apart from them."""
    environments = json.loads(parameters["environments"] or "{}")
    return [
        dict(entry, environment=environments.get(entry["name"], entry.get("environment") or {}))
        for entry in parameters["workspaces"]
    ]


def run(module: AnsibleModule, stop: threading.Event) -> list[dict[str, Any]]:
    """Bring the workspaces to their states and give their results."""
    parameters = module.params
    settings = FleetSettings(
        state_dir=parameters["state_dir"],
        network=parameters["network_settings"] or network_file.settings_text(parameters["network"]),
        parallel=parameters["parallel"],
        purge=parameters["purge"],
        port_range=parameters["port_range"],
        rollout=RolloutSettings(parameters["health_timeout"], parameters["stop_timeout"]),
        check_mode=module.check_mode,
        secrets=json.loads(parameters["secret_values"]) if parameters["secret_values"] else parameters["secrets"],
    )
    workspaces = wished(parameters)
    client = connect(parameters["docker_host"], timeout=max(60, parameters["stop_timeout"] + 30))
    try:
        fleet = Fleet(client, settings, stop)
        if module.check_mode:
            return fleet.converge(workspaces)
        lock = f"{settings.state_dir}/locks/workspaces.lock"
        with host_lock(lock, "a run over workspaces", parameters["lock_timeout"], module.warn):
            return fleet.converge(workspaces)
    finally:
        client.close()


def failure(results: list[dict[str, Any]], interrupted: bool) -> str:
    """Give the message that names those that failed, empty where none did."""
    failed = [result for result in results if "error" in result]
    if not failed:
        return ""
    names = ", ".join(result["name"] for result in failed)
    count = f"{len(failed)} of {len(results)} workspaces"
    head = f"Interrupted; {count} not done: {names}." if interrupted else f"{count} failed: {names}."
    return "\n".join([head, *(f"Workspace '{result['name']}': {result['error']}" for result in failed)])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signum, frame: stop.set())
    try:
        results = run(module, stop)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    outcome: dict[str, Any] = {
        "changed": any(result["changed"] for result in results),
        "workspaces": results,
        "diff": [
            {"before_header": result["name"], "after_header": result["name"], **result["diff"]}
            for result in results
            if "diff" in result
        ],
    }
    message = failure(results, stop.is_set())
    if message:
        module.fail_json(msg=message, **outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
