#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a list of volumes to their states on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_volume
short_description: Bring a list of volumes to their states
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Creates, clones and removes named volumes, and gives them owners and budgets of disk. It runs on the engine's own
    host, as root.
  - A volume in use by any container, running or not, is never removed.
  - The budget is enforced where the engine keeps volumes on XFS that is mounted with C(prjquota). Elsewhere it is only
    watched; M(codeopen.workspaces.workspace_volume_info) says which, and what is over its budget.
  - Volumes that this collection did not make are left alone. The volumes that M(codeopen.workspaces.workspace) makes
    may be named here, too.
  - All mistakes of the list, and all that stands against it on the host, are told at once, before anything is touched.
extends_documentation_fragment:
  - codeopen.workspaces.engine
attributes:
  check_mode:
    description: Can run in check mode and tell what it would change, without changing it.
    support: full
  diff_mode:
    description: Tells what of which volume changes.
    support: full
  idempotent:
    description: Changes nothing when it is run a second time.
    support: full
options:
  volumes:
    description: The volumes.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The engine's name of the volume.
        type: str
        required: true
      owner:
        description:
          - Whose it is. Where this is not given, it stays as it is, and nobody's when it is new.
          - What changes later is on record on the host; the label C(codeopen.owner) says whose it was when it was made.
        type: str
      size:
        description:
          - Its budget, such as V(20GB), and V(0) for none. Where this is not given, it stays as it is, and none when it
            is new.
          - It can grow at any time, and shrink to what is in the volume.
          - What changes later is on record on the host; the label C(codeopen.budget) has that of its beginning.
        type: str
      labels:
        description: Labels of your own. The engine cannot change them later, so that other ones are refused then.
        type: dict
      workspace:
        description:
          - The workspace that it belongs to, with which it is purged. This cannot change later.
        type: str
      clone_from:
        description:
          - The volume whose files a new volume begins with, with their owners, modes, times, links and extended
            attributes. Where the volume is there, nothing is copied.
          - A copy that is interrupted is made anew by the next run, and never taken for whole.
        type: str
      state:
        description: Whether it is there. With V(absent) it is removed, with all its files.
        type: str
        choices: [present, absent]
        default: present
  force:
    description:
      - Copy volumes also while a running container may write into them. The copy may have files of different moments.
      - Nothing else is forced by this.
    type: bool
    default: false
  prune_orphans:
    description:
      - Remove the volumes of workspaces that are gone, with all their files. A workspace is gone when the host's record
        of states says that it was removed, after the volume was made, and nothing has its name since then, neither a
        container nor a service of the engine's Swarm.
      - Volumes of workspaces of which the record knows nothing stay, such as those that a Swarm's workspaces leave on
        their nodes, and those of a host whose record was lost. On a Swarm's worker, which cannot list services, all
        stay. Such ones are removed by name, in O(volumes) with O(volumes[].state=absent).
      - What O(volumes) names is never pruned.
    type: bool
    default: false
  prune_workspaces:
    description: Prune only the volumes of these workspaces; of all that are gone, where none is named.
    type: list
    elements: str
    default: []
  state_dir:
    description: Directory on the host for the lock, and for the record of owners and budgets.
    type: path
    default: /var/lib/codeopen
  lock_timeout:
    description: Seconds to wait while another run works on this host's workspaces.
    type: float
    default: 600
seealso:
  - module: codeopen.workspaces.workspace_volume_info
  - module: codeopen.workspaces.workspace
"""

EXAMPLES = r"""
- name: Have a volume of 20 GB for Ada
  codeopen.workspaces.workspace_volume:
    volumes:
      - name: datasets
        owner: ada
        size: 20GB
        labels: {project: shop}

- name: Try an upgrade on a copy
  codeopen.workspaces.workspace_volume:
    volumes:
      - name: shop-trial
        clone_from: codeopen-shop-home
        owner: ada

- name: See which volumes are left over from workspaces that are gone
  codeopen.workspaces.workspace_volume:
    prune_orphans: true
  check_mode: true
  register: leftover
"""

RETURN = r"""
volumes:
  description: One result for each volume, in the order of the list. Also returned when some of them failed.
  returned: when the list has no mistakes and the engine answers
  type: list
  elements: dict
  contains:
    name:
      description: Name of the volume.
      returned: always
      type: str
      sample: datasets
    changed:
      description: Whether anything was done, or tried, or would be done in check mode.
      returned: always
      type: bool
    action:
      description: What was done, one of V(none), V(create), V(clone), V(set) and V(remove).
      returned: always
      type: str
      sample: create
    state:
      description: The state that it is in, V(failed) where it did not get there.
      returned: always
      type: str
      sample: present
    owner:
      description: Whose it is.
      returned: unless it is absent
      type: str
      sample: ada
    size:
      description: Its budget in bytes, V(0) for none.
      returned: unless it is absent
      type: int
      sample: 20000000000
    workspace:
      description: The workspace that it belongs to, empty for none.
      returned: unless it is absent
      type: str
    diff:
      description: What changed, C(before) and C(after).
      returned: when anything changed
      type: dict
    error:
      description: Why it failed.
      returned: when it failed
      type: str
pruned:
  description: The same for each orphan that was removed, or would be.
  returned: when the list has no mistakes and the engine answers
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect, guard_changes
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_run import VolumeRun, VolumeSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks


def argument_spec() -> dict[str, Any]:
    """Give the options, as DOCUMENTATION has them."""
    volume = {
        "name": {"type": "str", "required": True},
        "owner": {"type": "str"},
        "size": {"type": "str"},
        "labels": {"type": "dict"},
        "workspace": {"type": "str"},
        "clone_from": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    return {
        "volumes": {"type": "list", "elements": "dict", "default": [], "options": volume},
        "force": {"type": "bool", "default": False},
        "prune_orphans": {"type": "bool", "default": False},
        "prune_workspaces": {"type": "list", "elements": "str", "default": []},
        "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
        "lock_timeout": {"type": "float", "default": 600},
        "docker_host": {"type": "str"},
    }


def converge(module: AnsibleModule) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Bring the volumes to their states, prune if asked to, and give the results of both."""
    parameters = module.params
    settings = VolumeSettings(
        state_dir=parameters["state_dir"],
        check_mode=module.check_mode,
        force=parameters["force"],
        prune=parameters["prune_orphans"],
        prune_of=parameters["prune_workspaces"],
    )
    # A volume may have many files to remove.
    client = connect(parameters["docker_host"], timeout=600)

    def run() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        fleet = VolumeRun(client, settings)
        return fleet.converge(parameters["volumes"]), fleet.prune([entry["name"] for entry in parameters["volumes"]])

    try:
        if module.check_mode:
            return run()
        # No run over workspaces may be about to take a volume into use.
        locks = WorkspaceLocks(settings.state_dir, "a run over volumes", parameters["lock_timeout"], module.warn)
        try:
            with locks.planning():
                guard_changes(client, locks.check)
                return run()
        finally:
            locks.close()
    finally:
        client.close()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        volumes, pruned = converge(module)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    results = [*volumes, *pruned]
    outcome: dict[str, Any] = {
        "changed": any(result["changed"] for result in results),
        "volumes": volumes,
        "pruned": pruned,
        "diff": [
            {"before_header": result["name"], "after_header": result["name"], **result["diff"]}
            for result in results
            if "diff" in result
        ],
    }
    failed = [f"Volume '{result['name']}': {result['error']}" for result in results if "error" in result]
    if failed:
        module.fail_json(msg="\n".join(failed), **outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
