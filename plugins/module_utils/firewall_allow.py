# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach published ports: as a person writes it, all that is wrong with it, and the rules that come of it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import ProblemsError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import Rule
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

PROTOCOLS = ("sctp", "tcp", "udp")
_HIGHEST = 65535
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
# The kernel's longest name is 15 letters; iptables' "+" stands for any ending.
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}|[A-Za-z0-9_.:@-]{1,14}\+")


class FirewallError(ProblemsError):
    """Mistakes in who may reach published ports."""

    heading = "in who may reach published ports"


@dataclass(frozen=True)
class Admission:
    """Addresses that may reach published ports.

    :ivar ports: first and last port, or None for all.
    :ivar protocol: one of PROTOCOLS, or an empty string for all.
    """

    source: Network
    ports: Optional[tuple[int, int]] = None
    protocol: str = ""


def admissions(allow: Sequence[Mapping[str, Any]]) -> list[Admission]:
    """The list in its one form: without doubles, and in the same order however it was written.

    :param allow: objects with the texts ``from`` and ``protocol`` and the list of texts ``ports``, or None for each.
    :raises FirewallError: with all mistakes of the list.
    """
    problems: list[str] = []
    found: set[Admission] = set()
    for number, entry in enumerate(allow):
        where = f"allow[{number}]"
        source = _source(where, entry.get("from") or "", problems)
        ports = _ports(where, entry.get("ports"), problems)
        protocol = _protocol(where, entry.get("protocol") or "", problems)
        if source is not None:
            found.update(Admission(source, port, protocol) for port in ports)
    if problems:
        raise FirewallError(problems)
    return sorted(found, key=_order)


def _order(admission: Admission) -> tuple[int, int, int, tuple[int, int], str]:
    source = admission.source
    return (
        source.version,
        int(source.network_address),
        source.prefixlen,
        admission.ports or (0, 0),
        admission.protocol,
    )


def _source(where: str, text: str, problems: list[str]) -> Optional[Network]:
    expected = "expected an address or a network, such as 10.0.0.0/8 or 2001:db8::/32"
    text = text.strip()
    if not text:
        problems.append(f"{where} has no 'from', {expected}")
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        problems.append(f"{where}.from is '{text}', {expected}")
        return None
    if "%" in text:
        problems.append(f"{where}.from is '{text}', but the filter sees no zones; write {re.sub('%[^/]*', '', text)}")
        return None
    address, slash, length = text.partition("/")
    if slash and not length.isdecimal():
        problems.append(f"{where}.from is '{text}', expected the length of its prefix after the slash: {network}")
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96 and network.subnet_of(_MAPPED):
        inner = ipaddress.ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
        problems.append(f"{where}.from is '{text}', which no packet has as its source; write {inner}")
        return None
    if ipaddress.ip_address(address) != network.network_address:
        problems.append(
            f"{where}.from is '{text}', an address within {network}; "
            f"write {network} for all of it, or {address} for that address alone"
        )
        return None
    return network


def _ports(where: str, texts: Optional[Sequence[str]], problems: list[str]) -> list[Optional[tuple[int, int]]]:
    if texts is None:
        return [None]
    if not texts:
        problems.append(f"{where}.ports is empty; name a port, or leave 'ports' out for all of them")
    ranges = [_port_range(f"{where}.ports", text.strip(), problems) for text in texts]
    return [ports for ports in ranges if ports is not None]


def _port_range(where: str, text: str, problems: list[str]) -> Optional[tuple[int, int]]:
    match = re.fullmatch(r"([0-9]+)(?:\s*([-:])\s*([0-9]+))?", text)
    if not match:
        problems.append(f"{where} has '{text}', expected a port or a range of them, such as 8080 or 8000-8100")
        return None
    first, last = int(match.group(1)), int(match.group(3) or match.group(1))
    nearest = sorted(min(max(port, 1), _HIGHEST) for port in (first, last))
    right = f"{nearest[0]}-{nearest[1]}" if match.group(3) else f"{nearest[0]}"
    if [first, last] != nearest:
        problems.append(
            f"{where} has '{text}', expected ports from 1 to {_HIGHEST}, lowest first; the nearest is {right}"
        )
        return None
    if match.group(2) == ":":
        problems.append(f"{where} has '{text}'; write {right}")
        return None
    return first, last


def _protocol(where: str, name: str, problems: list[str]) -> str:
    if name and name not in PROTOCOLS:
        problems.append(f"{where}: {unknown('protocol', name, PROTOCOLS)}")
    return name


def rules(admitted: Sequence[Admission], interfaces: Sequence[str], version: int) -> list[Rule]:
    """The rules of our chain.

    Every packet that comes from outside is held against them, not only a connection's first, so that who is taken
    from the list is cut off at once.

    :param interfaces: the engine's bridges; what comes from there is the containers' own.
    :param version: of the internet protocol, 4 or 6.
    """
    entries = [Rule(direction="REPLY"), Rule(state="RELATED")]
    entries += [Rule(comes_by=name) for name in interfaces]
    for admission in admitted:
        if admission.source.version == version:
            first, last = admission.ports or (0, 0)
            entries.append(
                Rule(
                    source=str(admission.source) if admission.source.prefixlen else "",
                    protocol=admission.protocol,
                    state="DNAT",
                    ports="" if admission.ports is None else f"{first}" if first == last else f"{first}:{last}",
                )
            )
    entries.append(Rule(state="DNAT", target="DROP"))
    # Past the published port, straight to a container's own address, as a neighbour can who adds a route.
    return entries + [Rule(goes_by=name, target="DROP") for name in interfaces]


def stands_for(pattern: str, name: str) -> bool:
    """Whether iptables takes ``pattern`` for the interface ``name``; a ``+`` at the end stands for any ending."""
    return pattern == name or (pattern.endswith("+") and name.startswith(pattern[:-1]))


def check_interfaces(patterns: Sequence[str], outward: Iterable[str]) -> None:
    """Refuse patterns that are none, or that let the network in.

    :param patterns: names of interfaces; a ``+`` at the end stands for any ending.
    :param outward: the host's interfaces that lead to other machines.
    :raises FirewallError: with all mistakes.
    """
    problems = [
        f"interfaces has '{pattern}', expected the name of a bridge, such as docker0, or how names begin, such as br-+"
        for pattern in patterns
        if not _INTERFACE.fullmatch(pattern)
    ]
    if not patterns:
        problems.append("interfaces is empty, so that containers would be cut off; name the engine's, such as docker0")
    for name in sorted(outward):
        problems += [
            f"interfaces has '{pattern}', which stands for {name} too, by which other machines are reached: everybody "
            f"there would reach all ports. Name the engine's own bridges instead, such as docker0"
            for pattern in patterns
            if stands_for(pattern, name)
        ]
    if problems:
        raise FirewallError(problems)
