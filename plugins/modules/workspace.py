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
  - codeopen.workspaces.fleet
  - codeopen.workspaces.network
  - codeopen.workspaces.progress
options:
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
  canary:
    description:
      - How many of the workspaces that change go first. When one of them fails, the others stay as they are. Those that
        are removed are none of them, and go before all, since they make room.
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
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils import fleet_options, fleet_result
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import BuildLog, Redactor
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import (
    DetachedRun,
    run_detachable,
    until_stopped,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect, guard_changes
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet import Fleet
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import memory_folder
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_run import pool_entries
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout_steps import RolloutSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_run import FleetSettings


def argument_spec() -> dict[str, Any]:
    """Give the options, as DOCUMENTATION has them."""
    return {
        **fleet_options.ARGUMENT_SPEC,
        "wake": {"type": "list", "elements": "str", "default": []},
        "canary": {"type": "int", "default": 0},
        "max_failures": {"type": "int", "default": 0},
        "lock_timeout": {"type": "float", "default": 600},
        "secrets_in": {"type": "str", "choices": ["memory", "disk"], "default": "memory", "no_log": False},
    }


def converge(module: AnsibleModule, run: DetachedRun) -> dict[str, Any]:
    """Bring the workspaces to their states, and give the module's result."""
    parameters, stop = module.params, run.stop
    settings = FleetSettings(
        state_dir=parameters["state_dir"],
        network=fleet_options.network_text(parameters),
        parallel=parameters["parallel"],
        purge=parameters["purge"],
        port_range=parameters["port_range"],
        rollout=RolloutSettings(parameters["health_timeout"], parameters["stop_timeout"]),
        check_mode=module.check_mode,
        secrets=fleet_options.secrets_of(parameters),
        memory=memory_folder(parameters["state_dir"]) if parameters["secrets_in"] == "memory" else "",
        canary=parameters["canary"],
        max_failures=parameters["max_failures"],
        wake=parameters["wake"],
    )
    workspaces, pools = fleet_options.wished(parameters)
    client = connect(parameters["docker_host"], timeout=max(60, parameters["stop_timeout"] + 30))
    try:
        workspaces += pool_entries(client, settings.state_dir, pools)
        if module.check_mode:
            journal = Journal(Records(settings.state_dir), writes=False)
            results = Fleet(client, settings, journal, stop, None).converge(workspaces)
            return fleet_result.whole(results, check_mode=True)
        with contextlib.ExitStack() as stack:
            log = tell = None
            if parameters["log_path"]:
                log = stack.enter_context(BuildLog(parameters["log_path"], Redactor([]), run.let_go))
                tell = log.remark
            locks = WorkspaceLocks(
                settings.state_dir, "a run over workspaces", parameters["lock_timeout"], tell or module.warn
            )
            stack.callback(locks.close)
            guard_changes(client, locks.check)
            journal = Journal(Records(settings.state_dir), tell, check=locks.check)
            fleet = Fleet(client, settings, journal, stop, locks)
            results = fleet.converge(workspaces)
            return fleet_result.whole(
                results,
                run=journal.run,
                log_path=log.path if log and log.begun else "",
                interrupted=stop.is_set(),
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
