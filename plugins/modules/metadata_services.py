#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps which containers reach the cloud's metadata services."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: metadata_services
short_description: Keep workspaces from the cloud's metadata services
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - A cloud gives whoever asks 169.254.169.254 from one of its machines what this machine may do, credentials included.
    The engine lets its containers ask, too. This module keeps a chain C(CODEOPEN-METADATA) in the engine's chain
    C(DOCKER-USER) that refuses it to all workspaces but those of the named owners, by IPv4 and by IPv6.
  - The host itself goes on as before. So do name servers and clocks that have the same address, for only TCP to other
    ports than 53 is refused. A connection is refused at once, so that programs that try need not wait.
  - Rules of others, in C(DOCKER-USER) too, are kept. The change is made at once or not at all.
  - The rules are there before the engine starts its first container after the host's start, where systemd runs.
    Elsewhere, run C(sh /etc/codeopen/metadata-services.sh) before the engine.
  - Needs root on the host, and an engine that runs there and filters by iptables.
attributes:
  check_mode:
    description: Tells exactly what would change, and lets iptables read the new rules.
    support: full
  diff_mode:
    description: Shows the rules and the files before and after.
    support: full
  idempotent:
    description: A second run finds the rules as they are wanted.
    support: full
options:
  allow:
    description:
      - Owners whose workspaces may reach the services, by the networks that M(codeopen.workspaces.workspace) makes for
        them.
      - On a Swarm, containers of all owners leave by one bridge, so nobody can be let in there alone.
      - All mistakes are told at once, before anything is touched.
    type: list
    elements: str
    default: []
  addresses:
    description: Addresses of the services. By default those of AWS, Azure, Google, Alibaba, OpenStack and many others.
    type: list
    elements: str
    default:
      - 169.254.169.254
      - 169.254.170.2
      - 169.254.170.23
      - 100.100.100.200
      - fd00:ec2::254
      - fd00:ec2::23
      - fd20:ce::254
  state:
    description: With V(absent), the rules and files of this module go, and all containers reach the services.
    type: str
    choices: [present, absent]
    default: present
  required:
    description:
      - Whether it is an error that the engine does not filter by iptables on this host, as one without root or in a
        virtual machine. Otherwise the module warns and changes nothing.
    type: bool
    default: true
  interfaces:
    description:
      - Bridges whose containers do not reach the services. A C(+) at the end stands for any ending.
      - By default those of networks that M(codeopen.workspaces.workspace) makes, and that by which a Swarm's containers
        leave. Containers of others are kept from the services by V(docker0) and V(br-+), too.
    type: list
    elements: str
    default: [br-co-+, docker_gwbridge]
  service:
    description: Name of the engine's service.
    type: str
    default: docker
  state_dir:
    description: Directory on the host for the lock. The names of owners' bridges come of it, so it must be that of
      M(codeopen.workspaces.workspace).
    type: path
    default: /var/lib/codeopen
  lock_timeout:
    description: How long to wait for another run on the same host, in seconds.
    type: float
    default: 300
seealso:
  - module: codeopen.workspaces.published_ports
notes:
  - Containers in the host's own network are the host's processes, for the host's own firewall.
  - C(systemctl daemon-reload) is never run. The service's new file counts from the host's next start, as is enough.
"""

EXAMPLES = r"""
- name: Keep all workspaces from the cloud's metadata services, but those of alice
  codeopen.workspaces.metadata_services:
    allow: [alice]

- name: Let all containers reach them again
  codeopen.workspaces.metadata_services:
    state: absent
"""

RETURN = r"""
versions:
  description: The versions of the internet protocol that are filtered; V(6) where the host has an ip6tables that works.
  returned: success
  type: list
  elements: int
  sample: [4, 6]
rules:
  description: The chain's rules, those for IPv4 first.
  returned: success
  type: list
  elements: str
  sample:
    - "-A CODEOPEN-METADATA -d 169.254.169.254/32 -i br-co-+ -p tcp -j REJECT --reject-with tcp-reset"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_iptables import NoFilter
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_metadata import (
    ADDRESSES,
    INTERFACES,
    bridges_of,
    check,
    rules,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import METADATA
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_run import ARGUMENT_SPEC, Place, run


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENT_SPEC,
            "interfaces": {"type": "list", "elements": "str", "default": list(INTERFACES)},
            "allow": {"type": "list", "elements": "str", "default": []},
            "required": {"type": "bool", "default": True},
            "addresses": {"type": "list", "elements": "str", "default": list(ADDRESSES)},
        },
        supports_check_mode=True,
    )
    place = dict(module.params)
    owners, addresses, present = place.pop("allow"), place.pop("addresses"), place.pop("state") == "present"
    required = place.pop("required")
    try:
        check(addresses, place["interfaces"], owners)
        bridges = bridges_of(owners, place["state_dir"])
        entries = {version: rules(addresses, place["interfaces"], bridges, version) for version in (4, 6)}
        outcome = run(METADATA, entries if present else None, Place(**place), module.check_mode)
    except WorkspacesError as error:
        if required or not isinstance(error, NoFilter):
            module.fail_json(msg=str(error))
        module.warn(f"Workspaces reach the cloud's metadata services, if this host is in a cloud. {error}")
        module.exit_json(changed=False, versions=[], rules=[])
    for warning in outcome.warnings:
        module.warn(warning)
    result = {"changed": outcome.changed, "versions": outcome.versions, "rules": outcome.rules}
    if module._diff:
        result["diff"] = outcome.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
