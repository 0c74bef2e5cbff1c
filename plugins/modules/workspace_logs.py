#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the logs of workspaces."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_logs
short_description: Read the logs of workspaces
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Reads what workspaces and their services have written, now or over a time that is to come.
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.reads_only
options:
  names:
    description:
      - The workspaces to read of, which have to be there when it begins.
      - All, where none is named, also those that come meanwhile.
    type: list
    elements: str
    default: []
  services:
    description: The services to read of, such as V(opencode). All, and what no service wrote, where none is named.
    type: list
    elements: str
    default: []
  since:
    description:
      - Only lines from then on, as how long ago (V(90s), V(5m), V(2h), V(1d)) or a time in UTC
        (V(2030-01-31T10:00:00Z)).
    type: str
  tail:
    description:
      - How many lines of each workspace, the last ones. V(0) for all that the engine keeps.
      - The engine counts a line of more than 16 KiB as several.
    type: int
    default: 100
  follow:
    description:
      - Seconds to wait before reading, so that what is written meanwhile is among the lines, whatever O(tail) says.
      - It ends early when none of the workspaces runs any more.
      - Where a container is replaced meanwhile, the lines of its successor are told. What its predecessor wrote last is
        gone with it.
    type: float
    default: 0
seealso:
  - module: codeopen.workspaces.workspace_info
  - plugin: codeopen.workspaces.workspace_logs_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: See why OpenCode does not answer
  codeopen.workspaces.workspace_logs:
    names: [demo]
    services: [opencode]
    since: 10m

- name: See what all workspaces write within half a minute
  codeopen.workspaces.workspace_logs:
    tail: 1
    follow: 30
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
    lines:
      description:
        - Its lines, oldest first, with C(time) (UTC), C(service) and C(text). The service is empty for what no service
          wrote.
      returned: always
      type: list
      elements: dict
      sample: [{"time": "2030-01-31T10:00:00.5Z", "service": "opencode", "text": "listening on port 4096"}]
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.log_reader import LogReader
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import parse_moment


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "services": {"type": "list", "elements": "str", "default": []},
            "since": {"type": "str"},
            "tail": {"type": "int", "default": 100},
            "follow": {"type": "float", "default": 0},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    tail = module.params["tail"]
    if tail < 0:
        module.fail_json(msg=f"tail is {tail}: expected 0 for all lines, or how many.")
    now = time.time()
    try:
        since = parse_moment(module.params["since"], now) if module.params["since"] else 0.0
        client = connect(module.params["docker_host"])
        reader = LogReader(client, module.params["names"], module.params["services"], since, tail)
        workspaces = reader.read(module.params["follow"])
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, workspaces=workspaces)


if __name__ == "__main__":
    main()
