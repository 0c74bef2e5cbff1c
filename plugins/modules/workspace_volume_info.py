#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells which volumes a host has."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_volume_info
short_description: Tell which volumes a host has
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Lists the volumes of this collection on a host, with owner, budget, what is in them, what uses them, and whether
    they are left over from a workspace that is gone.
  - Tells for each workspace what its volumes have together, and whether that is more than its tier gives.
  - Says whether a limit is enforced by the file system, or only watched, and why. It runs on the engine's own host, as
    root.
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.reads_only
options:
  names:
    description: The volumes to tell about. All, where none is named. Those that are not there are left out.
    type: list
    elements: str
    default: []
  measure:
    description:
      - Whether to count what is in them, which takes longer the more files there are. What the file system counts by
        itself is told in any case.
    type: bool
    default: true
  state_dir:
    description: Directory on the host where owners, budgets and the record of states are.
    type: path
    default: /var/lib/codeopen
seealso:
  - module: codeopen.workspaces.workspace_volume
  - module: codeopen.workspaces.workspace_info
"""

EXAMPLES = r"""
- name: See all volumes of the host
  codeopen.workspaces.workspace_volume_info:
  register: found

- name: Tell which workspaces have more than their tier gives
  ansible.builtin.debug:
    msg: "{{ found.workspaces | selectattr('over') | items2dict('name', 'used') }}"
"""

RETURN = r"""
volumes:
  description: The volumes, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the volume.
      returned: always
      type: str
      sample: codeopen-demo-home
    workspace:
      description: The workspace that it belongs to, empty for none.
      returned: always
      type: str
      sample: demo
    owner:
      description:
        - Whose it is, empty for nobody. The volumes of a workspace are its owner's.
      returned: always
      type: str
      sample: ada
    labels:
      description: Its labels, but for the collection's own.
      returned: always
      type: dict
    driver:
      description: The engine's driver that keeps it.
      returned: always
      type: str
      sample: local
    path:
      description: Where its files are on the host, empty where they are elsewhere.
      returned: always
      type: str
      sample: /var/lib/docker/volumes/codeopen-demo-home/_data
    created:
      description: When it was made.
      returned: always
      type: str
      sample: "2030-01-31T10:00:00Z"
    unfinished:
      description: Whether it is the rest of an interrupted M(codeopen.workspaces.workspace_volume) task.
      returned: always
      type: bool
    used_by:
      description: The containers that have it, with C(container), C(state), and whether it C(writes) at this moment.
      returned: always
      type: list
      elements: dict
    orphan:
      description:
        - Whether it is left over from a workspace that the record of states says was removed. One of a workspace of
          which nothing is known is not.
      returned: always
      type: bool
    size:
      description: Its own budget in bytes, V(0) for none.
      returned: always
      type: int
    used:
      description: Bytes that it uses. Missing where nobody counted.
      returned: when it was counted
      type: int
    over:
      description: Whether it uses more than its own budget.
      returned: always
      type: bool
    enforced:
      description: Whether the file system keeps it within its own budget.
      returned: always
      type: bool
    watched_because:
      description: Why its own budget is not enforced, empty where it is, or where there is none.
      returned: always
      type: str
      sample: /var/lib/docker is on ext4; limits are enforced on XFS only
workspaces:
  description: What the volumes of each workspace have together, those with a budget of their own left out.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the workspace.
      returned: always
      type: str
      sample: demo
    volumes:
      description: The volumes.
      returned: always
      type: list
      elements: str
    limit:
      description: Bytes that its tier gives, V(0) where that is not known.
      returned: always
      type: int
    used:
      description: Bytes that they use. Missing where nobody counted.
      returned: when it was counted
      type: int
    over:
      description: Whether they use more.
      returned: always
      type: bool
    enforced:
      description: Whether the file system keeps them within that.
      returned: always
      type: bool
    watched_because:
      description: Why it is not enforced, empty where it is, or where there is no limit.
      returned: always
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_inspection import VolumeInspector


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "measure": {"type": "bool", "default": True},
            "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        client = connect(parameters["docker_host"])
        inspector = VolumeInspector(client, parameters["state_dir"], parameters["measure"])
        volumes = inspector.volumes(parameters["names"])
        workspaces = inspector.workspaces(volumes)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, volumes=volumes, workspaces=workspaces)


if __name__ == "__main__":
    main()
