# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of ours in the engine's filter, as iptables prints them, reads them, and has them now.

The engine puts a packet's new destination in before any rule sees it, so published ports are those that it was first
sent to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import takewhile
from typing import Optional

USER_CHAIN = "DOCKER-USER"
INTERFACES = ("docker0", "docker_gwbridge", "br-+")


@dataclass(frozen=True)
class Guard:
    """A chain of ours, to which the engine's chain for others leads.

    :ivar chain: its name.
    :ivar module: the module that writes it.
    :ivar keeps: what it keeps, for people.
    :ivar without: what the role's user sets who can do without it.
    """

    chain: str
    module: str
    keeps: str
    without: str

    @property
    def jump(self) -> str:
        """The rule that leads to it."""
        return f"-A {USER_CHAIN} -j {self.chain}"


PORTS = Guard(
    "CODEOPEN-PORTS",
    "published_ports",
    "who may reach published ports",
    "no engine_ports_allow",
)
METADATA = Guard(
    "CODEOPEN-METADATA",
    "metadata_services",
    "which containers reach the cloud's metadata services",
    "'engine_metadata_services: allowed'",
)
_JUMPS = (PORTS.jump, METADATA.jump)


@dataclass(frozen=True)
class Rule:
    """One rule of a chain of ours.

    Each field but ``target`` and ``answer`` is a condition, and is met by all where it is empty.

    :ivar port: that the packet is sent to, of its protocol.
    :ivar state: of the connection, as ``DNAT``: the engine forwarded it to a container.
    :ivar ports: that the connection was first sent to, as ``80`` or ``8000:8100``.
    :ivar direction: ``REPLY`` for answers.
    :ivar answer: what is sent back where the target is ``REJECT``.
    """

    source: str = ""
    destination: str = ""
    comes_by: str = ""
    goes_by: str = ""
    protocol: str = ""
    port: str = ""
    state: str = ""
    ports: str = ""
    direction: str = ""
    target: str = "RETURN"
    answer: str = ""

    def render(self, chain: str) -> str:
        """The rule as ``iptables -S`` prints it."""
        words = ["-A", chain]
        for flag, name in _FLAGS.items():
            value = getattr(self, name)
            if value and flag.startswith("--ct") and "-m" not in words:
                words += ["-m", "conntrack"]
            if value and flag == "--dport":
                words += ["-m", self.protocol]
            if value:
                words += [flag, value]
        return " ".join(words)


# In the order in which iptables prints them.
_FLAGS = {
    "-s": "source",
    "-d": "destination",
    "-i": "comes_by",
    "-o": "goes_by",
    "-p": "protocol",
    "--dport": "port",
    "--ctstate": "state",
    "--ctorigdstport": "ports",
    "--ctdir": "direction",
    "-j": "target",
    "--reject-with": "answer",
}


def parse(line: str, chain: str) -> Optional[Rule]:
    """The rule of one line of ``iptables -S``, or None for one that this collection did not write."""
    words = line.split()
    if words[:2] != ["-A", chain]:
        return None
    values = dict.fromkeys((field.name for field in fields(Rule)), "")
    pairs = list(zip(words[2::2], words[3::2]))
    if len(words) % 2:
        return None
    for flag, value in pairs:
        if flag == "-m" and value in ("conntrack", values["protocol"]):
            continue
        if flag not in _FLAGS or values[_FLAGS[flag]]:
            return None
        values[_FLAGS[flag]] = value
    rule = Rule(**values)
    try:
        # Of one network there are several spellings in IPv6.
        networks = {name: str(ipaddress.ip_network(values[name])) for name in ("source", "destination") if values[name]}
        return replace(rule, **networks)
    except ValueError:
        return None


@dataclass(frozen=True)
class Table:
    """What the table ``filter`` has of a guard.

    :ivar user: lines of the engine's chain for others, or None where there is no such chain.
    :ivar ours: lines of our chain, or None.
    :ivar used: whether forwarded packets come by the engine's chain.
    """

    guard: Guard
    user: Optional[tuple[str, ...]]
    ours: Optional[tuple[str, ...]]
    used: bool

    def text(self) -> str:
        """The lines that are there, for people."""
        chains = [(USER_CHAIN, self.user), (self.guard.chain, self.ours)]
        lines = [line for name, found in chains if found is not None for line in (f"-N {name}", *found)]
        return "".join(f"{line}\n" for line in lines)


def read(listing: str, guard: Guard) -> Table:
    """What the output of ``iptables -S`` tells."""
    lines = [line.strip() for line in listing.splitlines()]

    def chain(name: str) -> Optional[tuple[str, ...]]:
        found = tuple(line for line in lines if line.startswith(f"-A {name} "))
        return found if f"-N {name}" in lines else None

    used = any(line.startswith("-A FORWARD ") and line.endswith(f"-j {USER_CHAIN}") for line in lines)
    return Table(guard, chain(USER_CHAIN), chain(guard.chain), used)


def wanted(table: Table, entries: Optional[Sequence[Rule]]) -> Table:
    """What the table becomes; the same object where it is so already.

    :param entries: the rules of our chain, or None to take it away.
    """
    guard, user = table.guard, table.user or ()
    foreign = tuple(line for line in user if line != guard.jump)
    if entries is None:
        # An empty chain that nothing leads to was made by us, where no engine has made it.
        left = foreign if foreign or table.used else None
        after = Table(guard, left if table.user is not None else None, None, table.used)
    else:
        ours = tuple(rule.render(guard.chain) for rule in entries)
        if table.ours is not None and [parse(line, guard.chain) for line in table.ours] == list(entries):
            ours = table.ours
        # First, because a rule of others before it could let pass what it refuses.
        leading = tuple(takewhile(lambda line: line in _JUMPS, user))
        right = guard.jump in leading and user.count(guard.jump) == 1
        after = Table(guard, user if right else (guard.jump, *foreign), ours, table.used)
    return table if after == table else after


def script(before: Table, after: Table) -> str:
    """The change as one transaction for ``iptables-restore --noflush``; foreign rules are not in it."""
    guard = after.guard
    lines = ["*filter"]
    if before.user is None and after.user is not None:
        lines.append(f":{USER_CHAIN} - [0:0]")
    if before.ours is not None or after.ours is not None:
        # Empties a chain that is there.
        lines.append(f":{guard.chain} - [0:0]")
    if before.user != after.user:
        lines += [f"-D {USER_CHAIN} -j {guard.chain}" for line in before.user or () if line == guard.jump]
        lines += [f"-I {USER_CHAIN} 1 -j {guard.chain}" for line in (after.user or ())[:1] if line == guard.jump]
    lines += after.ours or ()
    if before.ours is not None and after.ours is None:
        lines.append(f"-X {guard.chain}")
    if before.user is not None and after.user is None:
        lines.append(f"-X {USER_CHAIN}")
    return "\n".join([*lines, "COMMIT", ""])


def chain_alone(entries: Sequence[Rule], chain: str) -> str:
    """A chain of ours for ``iptables-restore --noflush``, whatever else there is."""
    lines = ["*filter", f":{chain} - [0:0]", *(rule.render(chain) for rule in entries), "COMMIT"]
    return "".join(f"{line}\n" for line in lines)
