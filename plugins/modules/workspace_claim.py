#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives somebody a workspace of a pool, and takes it back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_claim
short_description: Claim a workspace of a pool
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Gives somebody a workspace that runs already, an unclaimed member of a pool that M(codeopen.workspaces.workspace)
    keeps. It stays theirs, and the same claim again gives the same one.
  - It comes out of the pool's network into its owner's while it runs.
  - The next run of M(codeopen.workspaces.workspace) fills the pool up again.
  - A workspace that somebody gave back is never given to another. Its container is removed, and its files stay until
    they are purged.
extends_documentation_fragment:
  - codeopen.workspaces.engine
attributes:
  check_mode:
    description: Can run in check mode and tell what it would give or take back, without doing it.
    support: full
  diff_mode:
    description: Tells who has the workspace.
    support: full
  idempotent:
    description: Gives a claimant the same workspace each time.
    support: full
options:
  pool:
    description: Name of the pool.
    type: str
    required: true
  claimant:
    description: Who gets the workspace, in lower-case letters, digits and single hyphens between them.
    type: str
    required: true
  owner:
    description:
      - Whose network it comes into, where it meets the other workspaces of this owner. It can be changed later.
      - Where this is not given it stays as it is, and is the claimant in the beginning.
    type: str
    default: ''
  secrets:
    description:
      - Files of secrets that the claimant's workspace finds in C(/run/codeopen/secrets), beside its password; a
        dictionary of file names with values. Take the values from Vault or from any lookup.
      - A changed value replaces its file in the running workspace. Where this option is given, files that it does not
        name are removed; without it they stay as they are. With O(state=absent) they are removed.
      - They are in memory or on the host's disk as O(codeopen.workspaces.workspace#module:secrets_in) said when the
        pool was deployed. The values are in no result, diff or log.
    type: dict
  secret_values:
    description: What O(secrets) says, as JSON. The action plugin sets it.
    type: str
  state:
    description:
      - With V(present) the claimant has a workspace of the pool. One that they have already is started if it does not
        run.
      - With V(absent) they have none. Its container is removed.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description:
      - Remove the volumes and the password, too, with O(state=absent), also those of workspaces that the claimant gave
        back before.
    type: bool
    default: false
  health_timeout:
    description: Seconds that one that was stopped may take to become healthy.
    type: float
    default: 180
  stop_timeout:
    description: Seconds that a container may take to stop before it is killed.
    type: int
    default: 10
  lock_timeout:
    description: Seconds to wait for other claims of the pool.
    type: float
    default: 30
  state_dir:
    description: Directory on the host where the pools' book, the workspaces' secrets and the locks are.
    type: path
    default: /var/lib/codeopen
seealso:
  - module: codeopen.workspaces.workspace
"""

EXAMPLES = r"""
- name: Give Ada a workspace
  codeopen.workspaces.workspace_claim:
    pool: python
    claimant: ada
  register: claimed

- name: Give Bob a workspace with his token in it
  codeopen.workspaces.workspace_claim:
    pool: python
    claimant: bob
    secrets:
      github-token: "{{ vault_github_token_of_bob }}"

- name: Say where it is
  ansible.builtin.debug:
    msg: "{{ claimed.name }}: {{ claimed.urls.opencode }}, password in {{ claimed.password_file }}"

- name: Take it back with all its files
  codeopen.workspaces.workspace_claim:
    pool: python
    claimant: ada
    state: absent
    purge: true
"""

RETURN = r"""
name:
  description: Name of the workspace.
  returned: when there is one to have
  type: str
  sample: python-3
owner:
  description: Whose network it is in.
  returned: when there is one to have
  type: str
  sample: ada
urls:
  description: Where its services answer, by port name.
  returned: when there is one to have
  type: dict
  sample: {"opencode": "http://127.0.0.1:24096"}
ports:
  description: Its ports on the host, by port name.
  returned: when there is one to have
  type: dict
  sample: {"opencode": 24096}
password_file:
  description: The file on the host with its password.
  returned: when there is one to have
  type: str
  sample: /var/lib/codeopen/workspaces/python-3/secrets/password
container:
  description: Name of its container.
  returned: when there is one to have
  type: str
  sample: codeopen-python-3
removed:
  description: The workspaces that were taken back, or would be in check mode.
  returned: with O(state=absent)
  type: list
  elements: str
  sample: [python-3]
"""

import json
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.claim_run import Claims, ClaimSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import memory_folder
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout_steps import RolloutSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import problems_of_files
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR


def in_memory(state_dir: str) -> str:
    """Give the folder for secrets in memory, which a host whose secrets are on disk need not have."""
    try:
        return memory_folder(state_dir)
    except WorkspacesError:
        return ""


def run(module: AnsibleModule) -> dict[str, Any]:
    """Claim or give back, and give the module's result."""
    parameters = module.params
    people = {"claimant": parameters["claimant"], "owner": parameters["owner"]}
    problems = [
        f"{key} {name!r}: expected at most 40 lower-case letters, digits and single hyphens between them."
        for key, name in people.items()
        if (name or key == "claimant") and (not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 40)
    ]
    given = parameters["secret_values"]
    secrets = json.loads(given) if given else parameters["secrets"]
    problems.extend(problems_of_files("secrets", secrets or {}))
    if problems:
        raise PlanError(problems)
    settings = ClaimSettings(
        state_dir=parameters["state_dir"],
        pool=parameters["pool"],
        purge=parameters["purge"],
        memory=in_memory(parameters["state_dir"]),
        secrets=secrets,
        lock_timeout=parameters["lock_timeout"],
        rollout=RolloutSettings(parameters["health_timeout"], parameters["stop_timeout"]),
        check_mode=module.check_mode,
        **people,
    )
    client = connect(parameters["docker_host"], timeout=max(60, parameters["stop_timeout"] + 30))
    try:
        journal = Journal(Records(settings.state_dir), writes=not module.check_mode)
        claims = Claims(client, settings, journal)
        outcome = claims.take() if parameters["state"] == "present" else claims.give_back()
    finally:
        client.close()
    names = outcome.get("removed", [outcome.get("name")])
    if outcome["changed"]:
        before, after = ("", people["claimant"]) if parameters["state"] == "present" else (people["claimant"], "")
        outcome["diff"] = [
            {
                "before_header": name,
                "after_header": name,
                "before": {"claimant": before},
                "after": {"claimant": after},
            }
            for name in names
        ]
    return outcome


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "pool": {"type": "str", "required": True},
            "claimant": {"type": "str", "required": True},
            "owner": {"type": "str", "default": ""},
            "secrets": {"type": "dict", "no_log": True},
            "secret_values": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "purge": {"type": "bool", "default": False},
            "health_timeout": {"type": "float", "default": 180},
            "stop_timeout": {"type": "int", "default": 10},
            "lock_timeout": {"type": "float", "default": 30},
            "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        outcome = run(module)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
