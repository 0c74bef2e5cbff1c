# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that a workspace has to pass after it is healthy: a page it answers with, a port, a command inside."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import Interrupted
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import WILDCARDS

if TYPE_CHECKING:
    from docker import DockerClient

KINDS = ("http", "tcp", "command")
_PAUSE = 0.5
_REQUEST_SECONDS = 10.0
_OUTPUT_CHARACTERS = 500


def problems_of_checks(entry: Mapping[str, Any]) -> Iterable[str]:
    """Every mistake in a workspace's checks."""
    ports = {str(port.get("name")) for port in entry.get("ports") or []}
    for number, check in enumerate(entry.get("checks") or [], start=1):
        kinds = [kind for kind in KINDS if check.get(kind)]
        if len(kinds) != 1:
            yield f"check {number}: expected one of {', '.join(KINDS)}, got {', '.join(kinds) or 'none'}."
        elif kinds[0] != "command" and check[kinds[0]] not in ports:
            known = ", ".join(sorted(ports)) or "none"
            yield f"check {number}: {kinds[0]} names the port '{check[kinds[0]]}', which it has not; it has: {known}."
        elif not str(check.get("path") or "/").startswith("/"):
            yield f"check {number}: path {check['path']!r} does not begin with '/'."


def run_checks(
    client: DockerClient,
    container_id: str,
    entry: Mapping[str, Any],
    ports: Mapping[str, int],
    stop: threading.Event,
) -> None:
    """Return when all of a workspace's checks have passed; each is tried until it passes or its time is over.

    :param entry: a workspace of the plan, with ``checks``.
    :param ports: its host ports by name.
    :param stop: set by whoever wants the run to end.
    :raises RolloutError: one did not pass in time.
    :raises Interrupted: ``stop`` was set.
    """
    addresses = {str(port["name"]): str(port.get("address") or "") for port in entry.get("ports") or []}
    for check in entry.get("checks") or []:
        deadline = time.monotonic() + float(check["timeout"])
        while True:
            name = str(check.get("http") or check.get("tcp") or "")
            where = (_reachable(addresses.get(name, "")), ports.get(name, 0))
            problem = _try(client, container_id, check, where)
            if not problem:
                break
            if time.monotonic() >= deadline:
                raise RolloutError(f"it is healthy, but {problem}.", states.UNHEALTHY)
            if stop.wait(_PAUSE):
                raise Interrupted("the run was interrupted while it checked the workspace; the next run goes on.")


def _reachable(address: str) -> str:
    return "127.0.0.1" if address in WILDCARDS else address


def _try(client: DockerClient, container_id: str, check: Mapping[str, Any], where: tuple[str, int]) -> str:
    """What is wrong, empty for nothing."""
    if check.get("command"):
        return _command(client, container_id, check["command"])
    try:
        if check.get("tcp"):
            socket.create_connection(where, timeout=_REQUEST_SECONDS).close()
            return ""
        return _http(check, where)
    except (OSError, http.client.HTTPException) as error:
        return f"port {check.get('http') or check.get('tcp')} ({where[0]}:{where[1]}) does not answer: {error}"


def _http(check: Mapping[str, Any], where: tuple[str, int]) -> str:
    path, status = str(check.get("path") or "/"), int(check.get("status") or 200)
    connection = http.client.HTTPConnection(*where, timeout=_REQUEST_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse().status
    finally:
        connection.close()
    return "" if answer == status else f"port {check['http']} answers {path} with {answer}, and not with {status}"


def _command(client: DockerClient, container_id: str, command: Sequence[str]) -> str:
    api: Any = client.api
    made = api.exec_create(container_id, list(command))
    output = api.exec_start(made["Id"]).decode("utf-8", "replace").strip()
    code = api.exec_inspect(made["Id"])["ExitCode"]
    said = re.sub(r"\s+", " ", output)[-_OUTPUT_CHARACTERS:] or "nothing"
    return "" if code == 0 else f"'{' '.join(command)}' ends with exit code {code} and says: {said}"
