# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do in a workspace, as far as its host can see it: connections to its ports, and commands in it. Pure."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

_ESTABLISHED = "01"
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class Connection:
    """An established TCP connection as the kernel lists it."""

    local: Address
    local_port: int
    remote: Address
    remote_port: int


def parse_tcp(text: str) -> list[Connection]:
    """The established connections of a network namespace.

    :param text: of ``/proc/<pid>/net/tcp`` or ``tcp6``, see proc_net_tcp(5).
    """
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _ESTABLISHED:
            found.append(Connection(*_endpoint(fields[1]), *_endpoint(fields[2])))
    return found


def _endpoint(text: str) -> tuple[Address, int]:
    digits, port = text.split(":")
    # Each word of 32 bits is printed as this machine's number.
    words = [bytes.fromhex(digits[start : start + 8]) for start in range(0, len(digits), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address, int(port, 16)


def used_ports(connections: Iterable[Connection], ports: Mapping[str, int]) -> dict[str, int]:
    """How many connections from outside each port has, by name; those that have none are left out.

    What comes from the workspace itself, as its health checks do, does not count.

    :param ports: ports in the container by name.
    """
    names = {number: name for name, number in ports.items()}
    counts: dict[str, int] = {}
    for connection in connections:
        name = names.get(connection.local_port)
        inside = connection.remote.is_loopback or connection.remote == connection.local
        if name is not None and not inside:
            counts[name] = counts.get(name, 0) + 1
    return counts


def is_health_check(command: Sequence[str], test: Sequence[str]) -> bool:
    """Whether a command in a container is the engine's health check of it.

    :param command: what runs, with its arguments.
    :param test: the container's health check as the engine has it, beginning with ``CMD`` or ``CMD-SHELL``.
    """
    # Of a check for the shell the command's end is the whole text; the shell before it is the image's.
    given = list(test[1:])
    return bool(given) and list(command[-len(given) :]) == given


def reason(counts: Mapping[str, int], commands: Sequence[Any]) -> str:
    """Why a workspace is in use at this moment; empty where nothing says so.

    :param counts: connections by port name.
    :param commands: those that somebody runs in it with ``docker exec`` or the like.
    """
    if counts:
        total = sum(counts.values())
        return f"{total} connection{'s' if total > 1 else ''} to {', '.join(sorted(counts))}"
    if commands:
        return f"{len(commands)} command{'s' if len(commands) > 1 else ''} run in it from the host"
    return ""
