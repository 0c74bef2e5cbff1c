# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports of this host are taken: by containers, by workspaces that are away, by anything else that listens."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import Taken
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore


def in_use(address: str, port: int) -> Optional[str]:
    """Why a TCP port of an address cannot be bound now, or None."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger after their end are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            # Bound by somebody who reuses addresses too, it is only listening that fails.
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "something else on this host listens there"
            if error.errno == errno.EADDRNOTAVAIL:
                return f"{address} is no address of this host"
            if error.errno in (errno.EACCES, errno.EPERM):
                # A low port and no root: the engine may do what this user may not.
                return None
            return f"{address} cannot be used ({error.strerror or error})"
    return None


def of_workspaces(fleet: Mapping[str, Observed], leaving: Iterable[str]) -> list[Taken]:
    """The ports of the workspaces that have containers, whether they run or not.

    :param leaving: workspaces that are being removed.
    """
    away = set(leaving)
    return [
        Taken(int(port["host"]), str(port["address"]), f"workspace '{name}'", workspace=name)
        for name, observed in fleet.items()
        if name not in away
        for container in (observed.current, observed.previous)
        if container is not None
        for port in container.ports.values()
    ]


def of_entry(entry: Mapping[str, Any], ports: Mapping[str, int]) -> list[Taken]:
    """The ports that a workspace of the plan is about to take.

    :param ports: its ports on the host by name.
    """
    name = str(entry["name"])
    return [
        Taken(ports[str(port["name"])], str(port.get("address") or "127.0.0.1"), f"workspace '{name}'", workspace=name)
        for port in entry.get("ports") or []
    ]


def of_other_containers(rows: Iterable[Mapping[str, Any]], workspaces: Iterable[str]) -> list[Taken]:
    """The ports that other running containers publish.

    :param rows: the engine's listing of all containers.
    :param workspaces: the ids of the containers of workspaces.
    """
    ours = set(workspaces)
    taken = []
    for row in rows:
        if row["Id"] in ours:
            continue
        name = (row.get("Names") or ["?"])[0].lstrip("/")
        for port in row.get("Ports") or []:
            if port.get("PublicPort") and port.get("Type") == "tcp":
                taken.append(Taken(int(port["PublicPort"]), str(port.get("IP") or ""), f"container {name}"))
    return taken


def of_absent_workspaces(state_dir: str, present: Iterable[str]) -> list[Taken]:
    """The ports of workspaces that were removed and not purged: they get them back, so nobody else is given them."""
    folder = os.path.join(state_dir, "workspaces")
    here = set(present)
    names = sorted(set(os.listdir(folder)) - here) if os.path.isdir(folder) else []
    return [
        Taken(port, "", f"workspace '{name}', which is away,", workspace=name, soft=True)
        for name in names
        for port in SecretsStore(state_dir, name).ports().values()
    ]
