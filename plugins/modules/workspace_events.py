#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells what the engine saw of workspaces."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_events
short_description: Tell what the engine saw of workspaces
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Reads the engine's events about workspaces, those that were and those of a time that is to come.
  - The engine keeps its last 256 events until it is restarted. What M(codeopen.workspaces.workspace) did and found is
    kept longer, see the history that M(codeopen.workspaces.workspace_info) returns.
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.reads_only
options:
  names:
    description: The workspaces to tell about, also those that are gone. All, where none is named.
    type: list
    elements: str
    default: []
  events:
    description: Which events to tell. All of these, where none is named.
    type: list
    elements: str
    choices: [create, start, restart, stop, kill, die, oom, pause, unpause, rename, update, destroy, health_status]
    default: []
  since:
    description:
      - From when on, as how long ago (V(90s), V(5m), V(2h), V(1d)) or a time in UTC (V(2030-01-31T10:00:00Z)).
      - From now on, where it is not given.
    type: str
  duration:
    description: Seconds to wait for further events.
    type: int
    default: 0
seealso:
  - module: codeopen.workspaces.workspace_info
  - plugin: codeopen.workspaces.workspace_events_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: See which workspaces died today
  codeopen.workspaces.workspace_events:
    events: [die, oom]
    since: 1d

- name: Watch a workspace for a minute
  codeopen.workspaces.workspace_events:
    names: [demo]
    duration: 60
"""

RETURN = r"""
events:
  description:
    - The events, oldest first, with C(time) (UTC), C(workspace) and C(event), and C(exit_code) of V(die), C(signal) of
      V(kill), C(health) of V(health_status).
  returned: success
  type: list
  elements: dict
  sample: [{"time": "2030-01-31T10:00:00Z", "workspace": "demo", "event": "die", "exit_code": 137}]
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_output import EVENTS, read_events
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import parse_moment


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "events": {"type": "list", "elements": "str", "choices": list(EVENTS), "default": []},
            "since": {"type": "str"},
            "duration": {"type": "int", "default": 0},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    now, duration = time.time(), module.params["duration"]
    try:
        since = parse_moment(module.params["since"], now) if module.params["since"] else now
        # Between two events there is silence, which is no fault of the engine's.
        client = connect(module.params["docker_host"], timeout=60 + duration)
        events = read_events(client, module.params["names"], module.params["events"], since, now + duration + 1)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, events=events)


if __name__ == "__main__":
    main()
