#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops the workspaces of a host that nobody uses."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_idle
short_description: Stop workspaces that nobody uses
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Looks at the workspaces that run and stops those that have been idle for as many minutes as their C(idle_minutes)
    says. It is meant to be run every few minutes.
  - A workspace is in use while a TCP connection to one of its published ports is open, while somebody runs a command in
    it with C(docker exec) or the like, and when it used more CPU than O(cpu_percent) since the last look. What its own
    health checks do counts only as CPU.
  - Time is measured by the kernel's monotonic clock, so that a clock that is set, or a machine that sleeps, makes
    nobody idle. After a start of the host or the workspace it begins anew, and a look counts for the quarter of an hour
    before it at most, so that few looks in many hours stop nothing that was used between them.
  - M(codeopen.workspaces.workspace) leaves what this stopped asleep until it is named in its option C(wake).
extends_documentation_fragment:
  - codeopen.workspaces.engine
attributes:
  check_mode:
    description: Can run in check mode and tell what it would stop, without stopping it or remembering the look.
    support: full
  diff_mode:
    description: Tells which workspaces are stopped.
    support: full
  idempotent:
    description: Stops nothing that is stopped already. What is idle depends on the time that has gone by.
    support: full
options:
  names:
    description: The workspaces to look at. All, where none is named.
    type: list
    elements: str
    default: []
  after:
    description:
      - Minutes for workspaces that nobody gave C(idle_minutes). V(0) looks at them and leaves them alone.
      - They do not stay asleep. The next run of M(codeopen.workspaces.workspace) starts them.
    type: int
    default: 0
  cpu_percent:
    description:
      - How much of one CPU, on average since the last look, a workspace may use and count as idle.
      - The services and health checks of a workspace that nobody uses need about 2 percent.
    type: float
    default: 5
  stop_timeout:
    description: Seconds that a container may take to stop before it is killed.
    type: int
    default: 10
  state_dir:
    description: Directory on the host where the workspaces' settings, the record of the looks and the locks are.
    type: path
    default: /var/lib/codeopen
seealso:
  - module: codeopen.workspaces.workspace
  - module: codeopen.workspaces.workspace_info
"""

EXAMPLES = r"""
- name: Stop what nobody uses
  codeopen.workspaces.workspace_idle:

- name: See what is idle for how long, and stop nothing
  codeopen.workspaces.workspace_idle:
    after: 120
  check_mode: true
  register: seen
"""

RETURN = r"""
workspaces:
  description: The workspaces that run, or ran until now, by name. Also returned when some of them failed.
  returned: when there are all that were named
  type: list
  elements: dict
  contains:
    name:
      description: Name of the workspace.
      returned: always
      type: str
      sample: demo
    idle_minutes:
      description: After how many idle minutes it is stopped. Never, with V(0).
      returned: always
      type: int
      sample: 60
    idle_seconds:
      description: For how long it is known to have been idle.
      returned: always
      type: int
      sample: 1260
    active_because:
      description: Why it is not idle, or was not stopped although it was. Empty where it is idle.
      returned: always
      type: str
      sample: 2 connections to opencode
    stopped:
      description: Whether it was stopped, or would be in check mode.
      returned: always
      type: bool
    error:
      description: Why it could not be looked at, or not be stopped.
      returned: when it failed
      type: str
run:
  description: By what the history that M(codeopen.workspaces.workspace_info) returns knows this run.
  returned: out of check mode
  type: str
  sample: 5f2a9c03b1de
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle_run import IdlePolicy, IdleSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR


def run(module: AnsibleModule) -> dict[str, Any]:
    """Run the policy and give the module's result."""
    parameters = module.params
    settings = IdleSettings(
        state_dir=parameters["state_dir"],
        after=parameters["after"],
        cpu_percent=parameters["cpu_percent"],
        stop_timeout=parameters["stop_timeout"],
        check_mode=module.check_mode,
    )
    client = connect(parameters["docker_host"], timeout=max(60, parameters["stop_timeout"] + 30))
    try:
        journal = Journal(Records(settings.state_dir), writes=not module.check_mode)
        results = IdlePolicy(client, settings, journal).run(parameters["names"])
    finally:
        client.close()
    stopped = [result["name"] for result in results if result["stopped"]]
    outcome: dict[str, Any] = {"changed": bool(stopped), "workspaces": results}
    if stopped:
        outcome["diff"] = [
            {"before_header": name, "after_header": name, "before": {"state": "started"}, "after": {"state": "asleep"}}
            for name in stopped
        ]
    if not module.check_mode:
        outcome["run"] = journal.run
    return outcome


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "after": {"type": "int", "default": 0},
            "cpu_percent": {"type": "float", "default": 5},
            "stop_timeout": {"type": "int", "default": 10},
            "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    for name, lowest in (("after", 0), ("cpu_percent", 0), ("stop_timeout", 0)):
        if module.params[name] < lowest:
            module.fail_json(msg=f"{name} is {module.params[name]}: expected {lowest} or more.")
    try:
        outcome = run(module)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    failed = [result for result in outcome["workspaces"] if "error" in result]
    if failed:
        told = "\n".join(f"Workspace '{result['name']}': {result['error']}" for result in failed)
        module.fail_json(msg=told, **outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
