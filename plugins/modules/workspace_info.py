#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells which workspaces a host has."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_info
short_description: Tell which workspaces a host has
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Lists the workspaces of a host with their state, health and addresses.
  - All of it comes from one listing of the engine's containers and their labels.
extends_documentation_fragment:
  - codeopen.workspaces.engine
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Changes nothing, so that there is nothing to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
options:
  names:
    description: The workspaces to tell about. All, where none is named. Those that are not there are left out.
    type: list
    elements: str
    default: []
  state_dir:
    description: Directory on the host where the workspaces' secrets are.
    type: path
    default: /var/lib/codeopen
seealso:
  - module: codeopen.workspaces.workspace
"""

EXAMPLES = r"""
- name: See all workspaces of the host
  codeopen.workspaces.workspace_info:
  register: found

- name: See whether one is healthy
  codeopen.workspaces.workspace_info:
    names:
      - demo
  register: demo
  failed_when: demo.workspaces | map(attribute='health') | list != ['healthy']
"""

RETURN = r"""
workspaces:
  description: The workspaces, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the workspace.
      returned: always
      type: str
      sample: demo
    state:
      description: Either V(started) or V(stopped).
      returned: always
      type: str
      sample: started
    health:
      description:
        - What its health check says, V(healthy), V(unhealthy) or V(starting).
        - V(none) when it is stopped or has no health check.
      returned: always
      type: str
      sample: healthy
    updating:
      description: Whether an update was interrupted. The next run of M(codeopen.workspaces.workspace) goes on with it.
      returned: always
      type: bool
    image:
      description: The image that it was made from.
      returned: always
      type: str
      sample: codeopen-python:0.1.0
    tier:
      description: The tier that its limits come from.
      returned: always
      type: str
      sample: builder
    ports:
      description: Its ports on the host, by port name.
      returned: always
      type: dict
      sample: {"opencode": 24096}
    urls:
      description: Where its services answer, by port name.
      returned: always
      type: dict
      sample: {"opencode": "http://127.0.0.1:24096"}
    password_file:
      description: The file on the host with its password.
      returned: always
      type: str
      sample: /var/lib/codeopen/workspaces/demo/secrets/password
    container:
      description: Name of its container.
      returned: always
      type: str
      sample: codeopen-demo
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet import list_containers
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import urls
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_IMAGE,
    LABEL_TIER,
    Observed,
    by_workspace,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore


def facts(name: str, observed: Observed, state_dir: str) -> dict[str, Any]:
    """Give what is known about one workspace."""
    container = observed.current or observed.previous
    if container is None:
        raise ValueError(f"{name} has no container")
    return {
        "name": name,
        "state": "started" if container.state in ("running", "restarting", "paused") else "stopped",
        "health": container.health,
        "updating": observed.previous is not None,
        "image": container.labels.get(LABEL_IMAGE, ""),
        "tier": container.labels.get(LABEL_TIER, ""),
        "ports": {key: port["host"] for key, port in container.ports.items()},
        "urls": urls(container.ports),
        "password_file": SecretsStore(state_dir, name).password_file,
        "container": container.name,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "state_dir": {"type": "path", "default": "/var/lib/codeopen"},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        client = connect(module.params["docker_host"])
        found = by_workspace(list_containers(client))
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    names = module.params["names"] or list(found)
    module.exit_json(
        changed=False,
        workspaces=[facts(name, found[name], module.params["state_dir"]) for name in sorted(names) if name in found],
    )


if __name__ == "__main__":
    main()
