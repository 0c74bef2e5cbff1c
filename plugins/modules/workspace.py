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
  - Each workspace is locked while a run works on it, and the host only while a run plans.
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
    suboptions: &workspace
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
        description:
          - How many bytes of disk its tier gives to its volumes together, those with a budget of their own left out.
          - It is enforced where the engine keeps volumes on XFS that is mounted with C(prjquota). Elsewhere it is only
            watched by M(codeopen.workspaces.workspace_volume_info), and the result says so.
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
      mounts:
        description:
          - Directories of the host, and volumes of M(codeopen.workspaces.workspace_volume), that it gets besides its
            own volumes.
          - A directory has to be there, must be no place of the system and have none in it, no symbolic link, and has
            to belong to the workspace's user. A volume has to be its owner's, or nobody's.
        type: list
        elements: dict
        suboptions:
          source:
            description: Absolute path of the directory, or name of the volume.
            type: str
            required: true
          target:
            description: Where it is in the container.
            type: str
            required: true
          read_only:
            description: Whether the workspace may only read it.
            type: bool
            default: false
          uid:
            description: Whose the directory is. Without this V(1000), the workspace's user.
            type: int
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
        description:
          - The GPUs it gets; a number of them, V(-1) for all, or a list of indexes, UUIDs of GPUs or MIG instances,
            MIG indexes such as V(0:1), or CDI names.
          - What the host does not have is refused.
        type: raw
        default: 0
      limits:
        description: Further limits, which come from its tier. C(swap) and C(pids) are changed without a restart.
        type: dict
        suboptions:
          swap:
            description: Bytes of swap it may use beside its memory. Without this none.
            type: int
          pids:
            description: How many processes and threads it may have. Without this 4096.
            type: int
          shm:
            description: Bytes of C(/dev/shm), which count as memory. Without this 64 MiB.
            type: int
          open_files:
            description: How many files a process of it may open. Without this what the engine gives by itself.
            type: int
          log_size:
            description: Bytes of its output that the engine keeps. Without this 30 MB.
            type: int
      owner:
        description:
          - Whose it is. Workspaces of an owner share a network, where they find each other by name; those of
            different owners do not reach each other.
          - Workspaces without an owner share a network, too.
        type: str
        default: ''
      checks:
        description:
          - What has to work besides its health before it counts as started. When one does not, an update is rolled
            back.
          - Each names one of C(http), C(tcp) and C(command).
        type: list
        elements: dict
        suboptions:
          http:
            description: Name of a port that has to answer a GET request.
            type: str
          path:
            description: What is asked for.
            type: str
            default: /
          status:
            description: The HTTP status that has to come.
            type: int
            default: 200
          tcp:
            description: Name of a port that has to accept a connection.
            type: str
          command:
            description: A command that has to succeed in the container.
            type: list
            elements: str
          timeout:
            description: Seconds during which it is tried again.
            type: float
            default: 30
      idle_minutes:
        description:
          - After how many idle minutes M(codeopen.workspaces.workspace_idle) stops it. Never, where this is not given.
          - One that was stopped so stays asleep, with the state V(asleep), until it is named in O(wake). What changed
            in its description is applied then.
        type: int
      state:
        description:
          - With V(started) it is there, as described, running and healthy.
          - With V(restarted) it is the same, and has been started anew by this task, which therefore always changes
            something.
          - With V(stopped) it is there and does not run. What changed in its description is applied when it is started.
          - With V(paused) it is there and its processes are frozen; they keep their memory and use no CPU.
            What changed in its description is applied when it is started.
          - With V(absent) its container is gone.
        type: str
        choices: [started, stopped, restarted, paused, absent]
        default: started
  pools:
    description:
      - Pools of workspaces that wait for somebody to claim them with M(codeopen.workspaces.workspace_claim), as
        RV(codeopen.workspaces.plan#filter:_value) has them under C(pools).
      - As many unclaimed members as O(pools[].size) says are kept running, named after the pool with a number.
        Those that are too many are removed with their volumes. Those that somebody claimed stay as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the pool.
        type: str
        required: true
      size:
        description: How many unclaimed members wait.
        type: int
        required: true
      workspace:
        description: What each member is, as an entry of O(workspaces). Its name and state are the pool's to give.
        type: dict
        required: true
        suboptions: *workspace
  secrets:
    description:
      - Files of secrets, a dictionary of workspaces with dictionaries of file names with values. Take the values from
        Vault or from any lookup.
      - A workspace finds them in C(/run/codeopen/secrets), beside its password. Only root and its user can read them.
      - A changed value replaces its file in the running workspace, which is not restarted. Where this option is given,
        files that it does not name are removed, also those of workspaces that it does not name.
      - The values are in no result, diff or log, and not in what the engine tells about the container.
    type: dict
  secrets_in:
    description:
      - Where the host keeps the files of O(secrets). In V(memory) they are on no disk, and gone when the host is
        started anew, until the next run gives them again. On V(disk) they outlive that, and only root and the
        workspace's user can read them.
      - The workspace's password is always on disk. A change of this option makes new containers.
    type: str
    choices: [memory, disk]
    default: memory
  state_dir:
    description: Directory on the host for secrets, ports and the lock.
    type: path
    default: /var/lib/codeopen
  parallel:
    description: How many workspaces are worked on at once.
    type: int
    default: 8
  canary:
    description:
      - How many of the workspaces that change go first. When one of them fails, the others stay as they are.
      - How many go at once is O(parallel); across hosts it is the play's C(serial).
    type: int
    default: 0
  max_failures:
    description: After how many failures no further workspace is changed. V(0) goes on to the end of the list.
    type: int
    default: 0
  wake:
    description:
      - Names of workspaces of the list that are started although they were asleep, because somebody wants to use them.
    type: list
    elements: str
    default: []
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
    description:
      - Seconds to wait for another run that works on one of these workspaces. Runs over different workspaces of a host
        go on side by side.
      - A run that is stuck, and gives no sign of life for a minute, is ended by the next one that waits for it.
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
      description:
        - The state that it is in, V(failed) where it did not get there, and V(asleep) where
          M(codeopen.workspaces.workspace_idle) stopped it and nobody asked for it since then.
      returned: always
      type: str
      sample: started
    action:
      description:
        - What was done, one of V(none), V(create), V(update), V(start), V(restart), V(stop), V(pause), V(remove),
          V(apply) for limits and secrets that reached it without a restart, and V(recover) for the end of an
          interrupted update.
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
    pool:
      description: The pool that it is an unclaimed member of.
      returned: for members of pools
      type: str
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
    disk:
      description:
        - The C(limit) of its volumes in bytes, whether the file system has it C(enforced), and where it has not
          C(watched_because), the reason.
      returned: when it has a limit, unless it is absent
      type: dict
      sample: {"limit": 20000000000, "enforced": true, "watched_because": ""}
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
    rolled_back:
      description: Whether the update failed and the previous container serves again, or stands still as before.
      returned: when it failed
      type: bool
    reason:
      description: What the new container died of, or what was wrong with it.
      returned: when it was rolled back
      type: str
    held_back:
      description: Whether nothing was done to it, because too many others had failed.
      returned: when it was
      type: bool
log_path:
  description: The log on the host of what was shown while it happened.
  returned: when something was changed and O(progress) is on
  type: str
  sample: /var/lib/codeopen/logs/workspaces-20300131T100000.000Z.log
plan:
  description:
    - What was changed, or would be in check mode, in the whole list - the lists C(new), C(changed), C(removed),
      C(unchanged) and C(failed) of dictionaries with C(name) and C(action).
    - What changes has C(before), C(after), and C(interrupts), which is true when a workspace that served does not for a
      moment, or no more.
  returned: when the list has no mistakes and the engine answers
  type: dict
plan_text:
  description: The same for people, a line for each change. In check mode it is also the first part of the diff.
  returned: when the list has no mistakes and the engine answers
  type: str
  sample: "1 changed, 99 unchanged\\n~ demo: apply\\n    cpus: 2.0 -> 4.0\\n"
run:
  description:
    - By what the history that M(codeopen.workspaces.workspace_info) returns knows this run.
  returned: out of check mode
  type: str
  sample: 5f2a9c03b1de
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
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect, guard_changes
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet import Fleet
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_plan import make_plan, plan_text
from ansible_collections.codeopen.workspaces.plugins.module_utils.heartbeat import stop_when_abandoned
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import memory_folder
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_run import pool_entries
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout import RolloutSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.runtime import SECURITY_OPTIONS
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_run import FleetSettings


def argument_spec() -> dict[str, Any]:
    """Give the options, as DOCUMENTATION has them."""
    port = {
        "name": {"type": "str", "required": True},
        "container": {"type": "int", "required": True},
        "host": {"type": "int"},
        "address": {"type": "str", "default": "127.0.0.1"},
    }
    limits = ("swap", "pids", "shm", "open_files", "log_size")
    check = {
        "http": {"type": "str"},
        "path": {"type": "str", "default": "/"},
        "status": {"type": "int", "default": 200},
        "tcp": {"type": "str"},
        "command": {"type": "list", "elements": "str"},
        "timeout": {"type": "float", "default": 30},
    }
    volume = {"name": {"type": "str", "required": True}, "path": {"type": "str", "required": True}}
    mount = {
        "source": {"type": "str", "required": True},
        "target": {"type": "str", "required": True},
        "read_only": {"type": "bool", "default": False},
        "uid": {"type": "int"},
    }
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
        "mounts": {"type": "list", "elements": "dict", "options": mount},
        "environment": {"type": "dict"},
        "runtime": {"type": "dict", "options": granted},
        "gpus": {"type": "raw", "default": 0},
        "limits": {"type": "dict", "options": {name: {"type": "int"} for name in limits}},
        "owner": {"type": "str", "default": ""},
        "checks": {"type": "list", "elements": "dict", "options": check},
        "idle_minutes": {"type": "int"},
        "state": {"type": "str", "choices": list(STATES), "default": "started"},
    }
    pool = {
        "name": {"type": "str", "required": True},
        "size": {"type": "int", "required": True},
        "workspace": {"type": "dict", "required": True, "options": workspace},
    }
    return {
        "workspaces": {"type": "list", "elements": "dict", "required": True, "options": workspace},
        "network": network_file.ARGUMENT_SPEC,
        "pools": {"type": "list", "elements": "dict", "default": [], "options": pool},
        "wake": {"type": "list", "elements": "str", "default": []},
        "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
        "docker_host": {"type": "str"},
        "parallel": {"type": "int", "default": 8},
        "canary": {"type": "int", "default": 0},
        "max_failures": {"type": "int", "default": 0},
        "health_timeout": {"type": "float", "default": 180},
        "stop_timeout": {"type": "int", "default": 10},
        "port_range": {"type": "str", "default": "20000-29999"},
        "purge": {"type": "bool", "default": False},
        "lock_timeout": {"type": "float", "default": 600},
        "network_settings": {"type": "str", "no_log": True},
        "environments": {"type": "str", "no_log": True},
        "secrets": {"type": "dict", "no_log": True},
        "secret_values": {"type": "str", "no_log": True},
        "secrets_in": {"type": "str", "choices": ["memory", "disk"], "default": "memory", "no_log": False},
        "progress": {"type": "bool", "default": True},
        "only_unchanged": {"type": "bool", "default": False},
        "log_path": {"type": "path"},
        "heartbeat": {"type": "path"},
    }


def wished(parameters: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the workspaces and the pools with their environments, which come apart from them."""
    environments = json.loads(parameters["environments"] or "{}")

    def whole(entry: dict[str, Any], key: str) -> dict[str, Any]:
        return dict(entry, environment=environments.get(key, entry.get("environment") or {}))

    workspaces = [whole(entry, entry["name"]) for entry in parameters["workspaces"]]
    # No workspace's name has such a character.
    pools = [dict(pool, workspace=whole(pool["workspace"], f"pool {pool['name']}")) for pool in parameters["pools"]]
    return workspaces, pools


def run(module: AnsibleModule, stop: threading.Event) -> tuple[list[dict[str, Any]], str, str]:
    """Bring the workspaces to their states and give their results, the name of the run, and why it did not tidy up."""
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
        memory=memory_folder(parameters["state_dir"]) if parameters["secrets_in"] == "memory" else "",
        canary=parameters["canary"],
        max_failures=parameters["max_failures"],
        wake=parameters["wake"],
        only_unchanged=parameters["only_unchanged"],
    )
    workspaces, pools = wished(parameters)
    client = connect(parameters["docker_host"], timeout=max(60, parameters["stop_timeout"] + 30))
    try:
        workspaces += pool_entries(client, settings.state_dir, pools)
        if module.check_mode:
            return Fleet(client, settings, Journal(None), stop, None).converge(workspaces), "", ""
        with contextlib.ExitStack() as stack:
            tell = None
            if parameters["log_path"]:
                tell = stack.enter_context(BuildLog(parameters["log_path"], Redactor([]))).progress
            if parameters["heartbeat"]:
                stop_when_abandoned(parameters["heartbeat"], stop)
            locks = WorkspaceLocks(
                settings.state_dir, "a run over workspaces", parameters["lock_timeout"], tell or module.warn
            )
            stack.callback(locks.close)
            guard_changes(client, locks.check)
            journal = Journal(Records(settings.state_dir), tell)
            fleet = Fleet(client, settings, journal, stop, locks)
            results = fleet.converge(workspaces)
            if fleet.pending:
                module.exit_json(changed=False, pending=True)
            return results, journal.run, fleet.unfinished
    finally:
        client.close()


def failure(results: list[dict[str, Any]], interrupted: bool, unfinished: str) -> str:
    """Give the message that names those that failed, and what else did; empty where nothing did."""
    failed = [result for result in results if "error" in result]
    rest = f"What is tidied up in the end was left to the next run that changes something: {unfinished}"
    if not failed:
        return rest if unfinished else ""
    names = ", ".join(result["name"] for result in failed)
    count = f"{len(failed)} of {len(results)} workspaces"
    head = f"Interrupted; {count} not done: {names}." if interrupted else f"{count} failed: {names}."
    lines = [head, *(f"Workspace '{result['name']}': {result['error']}" for result in failed)]
    return "\n".join([*lines, rest] if unfinished else lines)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signum, frame: stop.set())
    try:
        results, name, unfinished = run(module, stop)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    plan = make_plan(results)
    text = plan_text(plan)
    outcome: dict[str, Any] = {
        "changed": any(result["changed"] for result in results),
        "workspaces": results,
        "plan": plan,
        "plan_text": text,
        # In check mode the plan for the whole fleet comes first.
        "diff": [{"prepared": text} for result in results[:1] if module.check_mode]
        + [
            {"before_header": result["name"], "after_header": result["name"], **result["diff"]}
            for result in results
            if "diff" in result
        ],
    }
    if name:
        outcome["run"] = name
    if module.params["log_path"]:
        outcome["log_path"] = module.params["log_path"]
    message = failure(results, stop.is_set(), unfinished)
    if message:
        module.fail_json(msg=message, **outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
