#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps who may reach the ports that containers publish."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: published_ports
short_description: Keep who may reach the ports that containers publish
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - The engine's own rules let everybody reach a published port, whatever the host's firewall says. This module keeps a
    chain C(CODEOPEN-PORTS) in front of them, in the engine's chain C(DOCKER-USER), that lets only the listed addresses
    through, by IPv4 and by IPv6.
  - The host itself, and containers among each other, go on as before.
  - Every packet that comes from outside is checked, so that connections of those who are taken from the list end.
  - Containers' own addresses cannot be reached from outside past the published ports.
  - Rules of others, in C(DOCKER-USER) too, are kept. The change is made at once or not at all.
  - The rules are there before the engine starts its first container after the host's start, where systemd runs.
    Elsewhere, run C(sh /etc/codeopen/published-ports.sh) before the engine.
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
      - Who may reach published ports. Where it is empty, nobody from outside of the host.
      - All mistakes of the list are told at once, before anything is touched.
    type: list
    elements: dict
    default: []
    suboptions:
      from:
        description: An address or a network, as V(192.0.2.7), V(10.0.0.0/8) or V(2001:db8::/32). Always needed.
        type: str
      ports:
        description:
          - Ports of the host, and ranges such as V(8000-8100). All, where this is left out.
        type: list
        elements: str
      protocol:
        description: One of V(tcp), V(udp) and V(sctp). All, where this is left out.
        type: str
  state:
    description: With V(absent), the rules and files of this module go, and the engine's own rules decide again.
    type: str
    choices: [present, absent]
    default: present
  interfaces:
    description:
      - The engine's bridges. What comes from them is the containers' own and passes. A C(+) at the end stands for any
        ending; the engine names the bridges of networks C(br-) and twelve digits of theirs.
      - An interface that leads to other machines is refused, for everybody there would pass.
      - A bridge that got another name by the network's option C(com.docker.network.bridge.name) is missing here.
    type: list
    elements: str
    default: [docker0, docker_gwbridge, br-+]
  service:
    description: Name of the engine's service.
    type: str
    default: docker
  state_dir:
    description: Directory on the host for the lock.
    type: path
    default: /var/lib/codeopen
  lock_timeout:
    description: How long to wait for another run on the same host, in seconds.
    type: float
    default: 300
notes:
  - Containers in the host's own network publish nothing; they are the host's processes, for the host's own firewall.
  - Other forwardings by changed destination, such as those to virtual machines, pass only from O(allow) too.
  - By IPv6, an engine with its userland proxy forwards past all filters; the module warns of it.
  - C(systemctl daemon-reload) is never run. The service's new file counts from the host's next start, as is enough.
"""

EXAMPLES = r"""
- name: Let the office reach web services, and the backup host everything
  codeopen.workspaces.published_ports:
    allow:
      - from: 10.20.0.0/16
        ports: [443, 8000-8100]
        protocol: tcp
      - from: 2001:db8:20::/48
        ports: [443]
      - from: 192.0.2.7

- name: Let nobody in
  codeopen.workspaces.published_ports:
    allow: []

- name: Leave it to the engine again
  codeopen.workspaces.published_ports:
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
  sample: ["-A CODEOPEN-PORTS -s 192.0.2.7/32 -m conntrack --ctstate DNAT -j RETURN"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import (
    admissions,
    check_interfaces,
    rules,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_iptables import (
    host_has_ipv6,
    outward_interfaces,
    userland_proxy_runs,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import INTERFACES, PORTS
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_run import ARGUMENT_SPEC, Place, run


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENT_SPEC,
            "interfaces": {"type": "list", "elements": "str", "default": list(INTERFACES)},
            "allow": {
                "type": "list",
                "elements": "dict",
                "default": [],
                # What is missing is told with all other mistakes.
                "options": {
                    "from": {"type": "str"},
                    "ports": {"type": "list", "elements": "str"},
                    "protocol": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )
    place = dict(module.params)
    allow, present = place.pop("allow"), place.pop("state") == "present"
    interfaces = place["interfaces"]
    try:
        admitted = admissions(allow)
        check_interfaces(interfaces, outward_interfaces() if present else ())
        entries = {version: rules(admitted, interfaces, version) for version in (4, 6)}
        outcome = run(PORTS, entries if present else None, Place(**place), module.check_mode)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    if present and host_has_ipv6(interfaces) and userland_proxy_runs():
        outcome.warnings.append(
            "The engine's userland proxy lets everybody reach by IPv6 what is published on all addresses, for its "
            "processes are not behind the engine's filter. Set userland-proxy: false in the engine's configuration."
        )
    for warning in outcome.warnings:
        module.warn(warning)
    result = {"changed": outcome.changed, "versions": outcome.versions, "rules": outcome.rules}
    if module._diff:
        result["diff"] = outcome.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
