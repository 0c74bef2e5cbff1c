# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that keep who reaches published ports: as iptables prints them, reads them, and has them now.

The engine puts a packet's new destination in before any rule sees it, so ports are those that it was first sent to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import Admission

USER_CHAIN = "DOCKER-USER"
CHAIN = "CODEOPEN-PORTS"
JUMP = f"-A {USER_CHAIN} -j {CHAIN}"
INTERFACES = ("docker0", "docker_gwbridge", "br-+")


@dataclass(frozen=True)
class Rule:
    """One rule of our chain.

    Each field but ``target`` is a condition, and is met by all where it is empty.

    :ivar state: of the connection, as ``DNAT``: the engine forwarded it to a container.
    :ivar ports: that the connection was first sent to, as ``80`` or ``8000:8100``.
    :ivar direction: ``REPLY`` for answers.
    """

    source: str = ""
    comes_by: str = ""
    goes_by: str = ""
    protocol: str = ""
    state: str = ""
    ports: str = ""
    direction: str = ""
    target: str = "RETURN"

    def render(self) -> str:
        """The rule as ``iptables -S`` prints it."""
        words = ["-A", CHAIN]
        for flag, name in _FLAGS.items():
            value = getattr(self, name)
            if value and flag.startswith("--ct") and "-m" not in words:
                words += ["-m", "conntrack"]
            if value:
                words += [flag, value]
        return " ".join(words)


# In the order in which iptables prints them.
_FLAGS = {
    "-s": "source",
    "-i": "comes_by",
    "-o": "goes_by",
    "-p": "protocol",
    "--ctstate": "state",
    "--ctorigdstport": "ports",
    "--ctdir": "direction",
    "-j": "target",
}


def parse(line: str) -> Optional[Rule]:
    """The rule of one line of ``iptables -S``, or None for one that this collection did not write."""
    words = line.split()
    if words[:2] != ["-A", CHAIN]:
        return None
    values = dict.fromkeys((field.name for field in fields(Rule)), "")
    pairs = list(zip(words[2::2], words[3::2]))
    if len(words) % 2:
        return None
    for flag, value in pairs:
        if (flag, value) == ("-m", "conntrack"):
            continue
        if flag not in _FLAGS or values[_FLAGS[flag]]:
            return None
        values[_FLAGS[flag]] = value
    rule = Rule(**values)
    try:
        # Of one network there are several spellings in IPv6.
        return replace(rule, source=str(ipaddress.ip_network(rule.source))) if rule.source else rule
    except ValueError:
        return None


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


@dataclass(frozen=True)
class Table:
    """What the table ``filter`` has of ours.

    :ivar user: lines of the engine's chain for others, or None where there is no such chain.
    :ivar ours: lines of our chain, or None.
    :ivar used: whether forwarded packets come by the engine's chain.
    """

    user: Optional[tuple[str, ...]]
    ours: Optional[tuple[str, ...]]
    used: bool

    def text(self) -> str:
        """The lines that are there, for people."""
        chains = [(USER_CHAIN, self.user), (CHAIN, self.ours)]
        lines = [line for name, found in chains if found is not None for line in (f"-N {name}", *found)]
        return "".join(f"{line}\n" for line in lines)


def read(listing: str) -> Table:
    """What the output of ``iptables -S`` tells."""
    lines = [line.strip() for line in listing.splitlines()]

    def chain(name: str) -> Optional[tuple[str, ...]]:
        found = tuple(line for line in lines if line.startswith(f"-A {name} "))
        return found if f"-N {name}" in lines else None

    used = any(line.startswith("-A FORWARD ") and line.endswith(f"-j {USER_CHAIN}") for line in lines)
    return Table(chain(USER_CHAIN), chain(CHAIN), used)


def wanted(table: Table, entries: Optional[Sequence[Rule]]) -> Table:
    """What the table becomes; the same object where it is so already.

    :param entries: the rules of our chain, or None to take it away.
    """
    foreign = tuple(line for line in table.user or () if line != JUMP)
    if entries is None:
        # An empty chain that nothing leads to was made by us, where no engine has made it.
        user = foreign if foreign or table.used else None
        after = Table(user if table.user is not None else None, None, table.used)
    else:
        ours = tuple(rule.render() for rule in entries)
        if table.ours is not None and [parse(line) for line in table.ours] == list(entries):
            ours = table.ours
        # First, because a rule before it could let pass what it refuses.
        after = Table((JUMP, *foreign), ours, table.used)
    return table if after == table else after


def script(before: Table, after: Table) -> str:
    """The change as one transaction for ``iptables-restore --noflush``; foreign rules are not in it."""
    lines = ["*filter"]
    if before.user is None and after.user is not None:
        lines.append(f":{USER_CHAIN} - [0:0]")
    if before.ours is not None or after.ours is not None:
        # Empties a chain that is there.
        lines.append(f":{CHAIN} - [0:0]")
    if before.user != after.user:
        lines += [f"-D {USER_CHAIN} -j {CHAIN}" for line in before.user or () if line == JUMP]
        lines += [f"-I {USER_CHAIN} 1 -j {CHAIN}" for line in (after.user or ())[:1] if line == JUMP]
    lines += after.ours or ()
    if before.ours is not None and after.ours is None:
        lines.append(f"-X {CHAIN}")
    if before.user is not None and after.user is None:
        lines.append(f"-X {USER_CHAIN}")
    return "\n".join([*lines, "COMMIT", ""])


def chain_alone(entries: Sequence[Rule]) -> str:
    """Our chain for ``iptables-restore --noflush``, whatever else there is."""
    lines = ["*filter", f":{CHAIN} - [0:0]", *(rule.render() for rule in entries), "COMMIT"]
    return "".join(f"{line}\n" for line in lines)
