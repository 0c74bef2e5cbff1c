#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command in workspaces."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_exec
short_description: Run a command in workspaces
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Runs a command in workspaces that run, in all of them at once. The task fails where it fails, after it has ended
    everywhere.
extends_documentation_fragment:
  - codeopen.workspaces.engine
attributes:
  check_mode:
    description: Nobody knows what a command would change, so that it is skipped.
    support: none
  diff_mode:
    description: Nobody knows what a command changes.
    support: none
  idempotent:
    description: Runs the command each time.
    support: none
options:
  names:
    description: The workspaces to run it in.
    type: list
    elements: str
    required: true
  argv:
    description: The command and its arguments. No shell is between, unless it is named.
    type: list
    elements: str
    required: true
  user:
    description: Who runs it, such as V(root). The workspace's own user, where this is not given.
    type: str
    default: ''
  chdir:
    description: Where it runs. The workspace's own directory, where this is not given.
    type: path
  env:
    description: Variables that it gets. The values are in no result and no log.
    type: dict
    default: {}
  timeout:
    description: Seconds after which it is ended. Never, with V(0).
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: See which version of Python the workspaces have
  codeopen.workspaces.workspace_exec:
    names: [demo, shop]
    argv: [python3, --version]
  changed_when: false

- name: Run a script of the project
  codeopen.workspaces.workspace_exec:
    names: [demo]
    argv: [bash, -lc, "make setup"]
    chdir: /workspace/project
    timeout: 600
"""

RETURN = r"""
workspaces:
  description: What came of it in each workspace, in the order of O(names). Also returned when it failed in some.
  returned: when the workspaces are there
  type: list
  elements: dict
  contains:
    name:
      description: Name of the workspace.
      returned: always
      type: str
      sample: demo
    rc:
      description: Its exit code, V(124) when its time was over.
      returned: when it ran
      type: int
    stdout:
      description: Its output.
      returned: when it ran
      type: str
    stderr:
      description: Its other output.
      returned: when it ran
      type: str
    error:
      description: Why it did not run, or how it failed.
      returned: when it failed
      type: str
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_output import containers_of, run_command
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container

_AT_ONCE = 16


def run(module: AnsibleModule) -> list[dict[str, Any]]:
    """Run the command everywhere and give the results."""
    parameters = module.params
    limit = parameters["timeout"]
    argv = ["timeout", str(limit), *parameters["argv"]] if limit else parameters["argv"]
    variables = {str(name): str(value) for name, value in parameters["env"].items()}
    client = connect(parameters["docker_host"], timeout=limit + 60 if limit else 24 * 3600)
    containers = containers_of(client, parameters["names"])

    def in_one(pair: tuple[str, Container]) -> dict[str, Any]:
        name, container = pair
        try:
            done = run_command(client, container, argv, parameters["user"], parameters["chdir"] or "", variables)
        except WorkspacesError as error:
            return {"name": name, "error": str(error)}
        if done["rc"]:
            why = f"its time of {limit} seconds was over" if limit and done["rc"] == 124 else f"exit code {done['rc']}"
            done["error"] = f"'{parameters['argv'][0]}' failed: {why}"
        return {"name": name, **done}

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(in_one, containers.items()))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "argv": {"type": "list", "elements": "str", "required": True},
            "user": {"type": "str", "default": ""},
            "chdir": {"type": "path"},
            "env": {"type": "dict", "default": {}, "no_log": True},
            "timeout": {"type": "int", "default": 0},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=False,
    )
    if not module.params["argv"]:
        module.fail_json(msg="argv is empty: expected a command and its arguments.")
    try:
        workspaces = run(module)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    failed = [done for done in workspaces if "error" in done]
    if failed:
        told = "\n".join(f"Workspace '{done['name']}': {done['error']}." for done in failed)
        module.fail_json(msg=told, changed=True, workspaces=workspaces)
    module.exit_json(changed=True, workspaces=workspaces)


if __name__ == "__main__":
    main()
