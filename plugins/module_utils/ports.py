# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host port each port of each workspace gets, and its address. Pure: what is taken is given by the caller."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError

WILDCARDS = ("0.0.0.0", "::", "")
HIGHEST = 65535


@dataclass(frozen=True)
class PortWish:
    """One port of a workspace; ``host`` is None where any free one will do."""

    name: str
    container: int
    host: Optional[int]
    address: str


@dataclass(frozen=True)
class PortRequest:
    """What one workspace wants, and what it had before.

    :ivar recorded: host ports by port name, from an earlier run.
    :ivar own: host ports that need no look whether they are in use, because it is the workspace that uses them.
    """

    workspace: str
    wishes: Sequence[PortWish]
    recorded: Mapping[str, int]
    own: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Taken:
    """A host port that is not to be had.

    :ivar workspace: the workspace that has it, for which it is free; empty for anything else.
    :ivar soft: it is only kept from being chosen, not from being asked for.
    """

    port: int
    address: str
    holder: str
    workspace: str = ""
    soft: bool = False


@dataclass(frozen=True)
class Assignment:
    """Host ports by workspace and port name, and what people should know about them, by workspace."""

    ports: dict[str, dict[str, int]]
    notes: dict[str, list[str]]


def parse_range(text: str) -> range:
    """``20000-29999`` as a range.

    :raises PlanError: not two ports, lower first.
    """
    match = re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*", text)
    if match:
        low, high = int(match.group(1)), int(match.group(2))
        if 1 <= low <= high <= HIGHEST:
            return range(low, high + 1)
    raise PlanError([f"port_range is '{text}': expected two ports from 1 to {HIGHEST}, such as 20000-29999."])


def overlap(one: str, other: str) -> bool:
    """Whether a socket on one address keeps the same port of the other address from being bound."""
    return one == other or one in WILDCARDS or other in WILDCARDS


def assign(
    requests: Sequence[PortRequest],
    taken: Iterable[Taken],
    choices: range,
    in_use: Callable[[str, int], Optional[str]],
) -> Assignment:
    """Give every wish a host port: the one asked for, else the one it had, else a free one.

    :param taken: what containers other than the requesters' own hold.
    :param choices: where free ports are chosen.
    :param in_use: says why a port of an address cannot be bound on this host now, or None.
    :raises PlanError: with every port that cannot be had.
    """
    table = _Table(taken, in_use)
    assigned: dict[str, dict[str, int]] = {request.workspace: {} for request in requests}
    notes: dict[str, list[str]] = {request.workspace: [] for request in requests}
    problems: list[str] = []
    # Those asked for come first, so that no choice of ours takes what a person has named.
    for request in requests:
        for wish in request.wishes:
            if wish.host is None:
                continue
            reason = table.refusal(request, wish.host, wish.address)
            if reason:
                problems.append(f"Workspace '{request.workspace}': port {wish.name} wants {wish.host}, but {reason}.")
            else:
                table.give(request, wish, wish.host)
                assigned[request.workspace][wish.name] = wish.host
    for request in requests:
        for wish in request.wishes:
            recorded = request.recorded.get(wish.name)
            if wish.host is not None or recorded is None:
                continue
            reason = table.refusal(request, recorded, wish.address)
            if reason is None:
                table.give(request, wish, recorded)
                assigned[request.workspace][wish.name] = recorded
            else:
                notes[request.workspace].append(f"Port {wish.name} moves away from {recorded}: {reason}.")
    for request in requests:
        for wish in request.wishes:
            if wish.host is not None or wish.name in assigned[request.workspace]:
                continue
            port = table.choose(request, wish, choices)
            if port is None:
                problems.append(
                    f"Workspace '{request.workspace}': no port of {choices.start}-{choices.stop - 1} is free "
                    f"for {wish.name}; give a wider port_range."
                )
            else:
                assigned[request.workspace][wish.name] = port
    if problems:
        raise PlanError(problems)
    return Assignment(assigned, notes)


class _Table:
    """Who holds which port, while ports are handed out."""

    def __init__(self, taken: Iterable[Taken], in_use: Callable[[str, int], Optional[str]]) -> None:
        self._taken: dict[int, list[Taken]] = {}
        self._in_use = in_use
        for entry in taken:
            self._taken.setdefault(entry.port, []).append(entry)

    def refusal(self, request: PortRequest, port: int, address: str, choosing: bool = False) -> Optional[str]:
        """Why the workspace cannot have the port, or None."""
        for entry in self._taken.get(port, []):
            if entry.workspace == request.workspace or (entry.soft and not choosing):
                continue
            if overlap(entry.address, address):
                return f"{entry.holder} has it"
        if port in request.own:
            return None
        return self._in_use(address, port)

    def give(self, request: PortRequest, wish: PortWish, port: int) -> None:
        """Note the new holder."""
        holder = f"port {wish.name} of workspace '{request.workspace}'"
        self._taken.setdefault(port, []).append(Taken(port, wish.address, holder))

    def choose(self, request: PortRequest, wish: PortWish, choices: range) -> Optional[int]:
        """The first free port from a place that the names decide, so that a host made anew gives the same ones."""
        digest = hashlib.sha256(f"{request.workspace}/{wish.name}".encode()).digest()
        start = int.from_bytes(digest[:8], "big") % len(choices)
        for step in range(len(choices)):
            port = choices[(start + step) % len(choices)]
            if self.refusal(request, port, wish.address, choosing=True) is None:
                self.give(request, wish, port)
                return port
        return None


def urls(ports: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The addresses that people open, by port name."""
    found = {}
    for name, port in ports.items():
        address = str(port["address"])
        host = socket.gethostname() if address in WILDCARDS else address
        found[name] = f"http://[{host}]:{port['host']}" if ":" in host else f"http://{host}:{port['host']}"
    return found
