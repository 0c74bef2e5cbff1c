# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers reach the cloud's metadata services: as a person writes it, and the rules that come of it. Pure.

Such a service gives whoever asks it by HTTP the machine's own credentials. Nothing else of it is kept from containers:
name servers and clocks of clouds have the same addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import ProblemsError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import Rule
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import BRIDGES, bridge_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.schema import NAME

# The instance's (all clouds), ECS tasks' and EKS pods' of AWS, Alibaba's; by IPv6 AWS' two and Google's. See "Instance
# metadata" in the documentation of each.
ADDRESSES = (
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "100.100.100.200",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
)
# Our networks', and that by which a Swarm's containers leave. Containers of others are theirs to keep.
INTERFACES = (f"{BRIDGES}+", "docker_gwbridge")
_DNS = "53"
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}|[A-Za-z0-9_.:@-]{1,14}\+")


class MetadataError(ProblemsError):
    """Mistakes in which containers reach metadata services."""

    heading = "in which containers reach metadata services"


def rules(addresses: Iterable[str], interfaces: Iterable[str], bridges: Iterable[str], version: int) -> list[Rule]:
    """The rules of our chain.

    :param addresses: those of the services.
    :param interfaces: the engine's bridges.
    :param bridges: those whose containers may reach the services.
    :param version: of the internet protocol, 4 or 6.
    """
    found = sorted({ipaddress.ip_network(address) for address in addresses}, key=str)
    # Google's name server has the same address.
    entries = [Rule(protocol="tcp", port=_DNS)]
    entries += [Rule(comes_by=name) for name in sorted(set(bridges))]
    return entries + [
        Rule(destination=str(network), comes_by=name, protocol="tcp", target="REJECT", answer="tcp-reset")
        for network in found
        if network.version == version
        for name in interfaces
    ]


def bridges_of(owners: Iterable[str], state_dir: str) -> list[str]:
    """The bridges of owners' networks, as the module workspace makes them."""
    return [bridge_name(state_dir, owner) for owner in owners]


def check(addresses: Sequence[str], interfaces: Sequence[str], owners: Sequence[str]) -> None:
    """See that all of it means something.

    :raises MetadataError: with all mistakes.
    """
    problems = [
        f"addresses has '{text}', expected the address of a metadata service, such as {ADDRESSES[0]}"
        for text in addresses
        if not _is_address(text)
    ]
    problems += [
        f"interfaces has '{name}', expected the name of a bridge, such as docker0, or how names begin, such as br-+"
        for name in interfaces
        if not _INTERFACE.fullmatch(name)
    ]
    problems += [
        f"allow has '{owner}', expected the owner of workspaces: lower-case letters, digits and single hyphens between "
        "them"
        for owner in owners
        if not re.fullmatch(NAME, owner)
    ]
    if not addresses:
        problems.append("addresses is empty, so that nothing is kept; 'state: absent' takes the rules away")
    if not interfaces:
        problems.append("interfaces is empty, so that nothing is kept; name the engine's, such as docker0")
    if problems:
        raise MetadataError(problems)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
