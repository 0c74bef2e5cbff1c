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
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import ENGINE_ERRORS, explain
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import Interrupted, Life
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import WILDCARDS

if TYPE_CHECKING:
    from docker import DockerClient

KINDS = ("http", "tcp", "command")
_PAUSE = 0.5
# What a request may take, and the only try of a check without time.
_REQUEST_SECONDS = 10.0
# What the last try of a check has, however little of its time is left.
_LEAST_SECONDS = 1.0
# While a try goes on: from one look for a wish to stop to the next, and from one look at the container to the next.
_STOP_SECONDS = 0.25
_LOOK_SECONDS = 2.0
# An engine's proxy accepts all connections, and ends those at once for which nobody listens in the container.
_ENDED_SECONDS = 0.3
_OUTPUT_CHARACTERS = 500
_CALL_ERRORS: tuple[type[Exception], ...] = (*ENGINE_ERRORS, OSError)


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
    :raises RolloutError: one did not pass in time, or the container died meanwhile.
    :raises Interrupted: ``stop`` was set.
    """
    checks = entry.get("checks") or []
    if not checks:
        return
    addresses = {str(port["name"]): str(port.get("address") or "") for port in entry.get("ports") or []}
    life = Life(client, container_id)
    life.look()
    for check in checks:
        name = str(check.get("http") or check.get("tcp") or "")
        where = (_reachable(addresses.get(name, "")), ports.get(name, 0))
        _pass(client, container_id, check, where, life, stop)


def _reachable(address: str) -> str:
    return "127.0.0.1" if address in WILDCARDS else address


def _pass(
    client: DockerClient,
    container_id: str,
    check: Mapping[str, Any],
    where: tuple[str, int],
    life: Life,
    stop: threading.Event,
) -> None:
    """Try one check until it passes."""
    timeout = float(check["timeout"])
    deadline = time.monotonic() + timeout
    before = ""
    while True:
        seconds = max(deadline - time.monotonic(), _LEAST_SECONDS) if timeout else _REQUEST_SECONDS
        attempt = _Attempt(lambda running: _try(client, container_id, check, where, running))
        try:
            ended = _watch(attempt, seconds, life, stop)
            problem = attempt.problem() if ended else _too_long(check, where, attempt, seconds, before)
        finally:
            attempt.over.set()
        if not problem:
            return
        # That it died is the reason for whatever does not work.
        life.look()
        if not ended or time.monotonic() >= deadline:
            raise RolloutError(f"it is healthy, but {problem}.", states.UNHEALTHY)
        if stop.wait(_PAUSE):
            raise _interrupted()
        before = problem


class _Attempt:
    """One try of a check, in a thread of its own: what it waits for may never come, and not every wait can be ended.

    :param work: does it, and says what is wrong, empty for nothing.
    :ivar over: set when nobody waits for it any more.
    :ivar output: the last of what a command has said until now.
    """

    def __init__(self, work: Callable[[_Attempt], str]) -> None:
        self.over = threading.Event()
        self.output = b""
        self._work = work
        self._ended = threading.Event()
        self._problem = ""
        self._error: Optional[Exception] = None
        threading.Thread(target=self._run, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        return self._ended.wait(seconds)

    def problem(self) -> str:
        """What is wrong, empty for nothing."""
        if self._error is not None:
            raise self._error
        return self._problem

    def _run(self) -> None:
        try:
            self._problem = self._work(self)
        except Exception as error:  # whatever it is, it belongs to whoever waits
            self._error = error
        finally:
            self._ended.set()


def _watch(attempt: _Attempt, seconds: float, life: Life, stop: threading.Event) -> bool:
    """Whether a try ends within so many seconds.

    :raises RolloutError: the container died.
    :raises Interrupted: ``stop`` was set.
    """
    begun = looked = time.monotonic()
    while not attempt.wait(min(_STOP_SECONDS, max(begun + seconds - time.monotonic(), 0.0))):
        if stop.is_set():
            raise _interrupted()
        now = time.monotonic()
        if now - begun >= seconds:
            return False
        if now - looked >= _LOOK_SECONDS:
            looked = now
            life.look()
    return True


def _interrupted() -> Interrupted:
    return Interrupted("the run was interrupted while it checked the workspace; the next run goes on.")


def _too_long(check: Mapping[str, Any], where: tuple[str, int], attempt: _Attempt, seconds: float, before: str) -> str:
    """What is wrong with a try that did not end.

    :param before: what was wrong with the one before.
    """
    if check.get("command"):
        problem = f"{_words(check)} did not end within {seconds:.3g} seconds and says: {_said(attempt.output)}"
    else:
        problem = f"{_port(check, where)} does not answer within {seconds:.3g} seconds"
    return f"{problem}; before that, {before}" if before else problem


def _try(
    client: DockerClient, container_id: str, check: Mapping[str, Any], where: tuple[str, int], attempt: _Attempt
) -> str:
    """What is wrong, empty for nothing."""
    if check.get("command"):
        return _command(client, container_id, check, attempt)
    try:
        return _tcp(check, where) if check.get("tcp") else _http(check, where)
    except (OSError, http.client.HTTPException) as error:
        return f"{_port(check, where)} does not answer: {error}"


def _tcp(check: Mapping[str, Any], where: tuple[str, int]) -> str:
    with socket.create_connection(where, timeout=_REQUEST_SECONDS) as connection:
        connection.settimeout(_ENDED_SECONDS)
        try:
            ended = not connection.recv(1)
        except socket.timeout:
            return ""
    return f"{_port(check, where)} accepts a connection and ends it at once" if ended else ""


def _http(check: Mapping[str, Any], where: tuple[str, int]) -> str:
    path, status = str(check.get("path") or "/"), int(check.get("status") or 200)
    connection = http.client.HTTPConnection(*where, timeout=_REQUEST_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse().status
    finally:
        connection.close()
    return "" if answer == status else f"port {check['http']} answers {path} with {answer}, and not with {status}"


def _command(client: DockerClient, container_id: str, check: Mapping[str, Any], attempt: _Attempt) -> str:
    """Run a check's command to its end.

    One that nobody waits for any more goes on in the container: the engine has no request that ends it.
    """
    api: Any = client.api
    try:
        made = api.exec_create(container_id, list(check["command"]))
        stream = api.exec_start(made["Id"], stream=True)
        try:
            for piece in stream:
                attempt.output = (attempt.output + piece)[-4 * _OUTPUT_CHARACTERS :]
                if attempt.over.is_set():
                    return ""
        finally:
            _hang_up(stream)
        # A command may close its output before it ends.
        while (ended := api.exec_inspect(made["Id"]))["Running"]:
            if attempt.over.wait(_PAUSE):
                return ""
    except _CALL_ERRORS as error:
        return f"{_words(check)} could not be run: {explain(error)}"
    code = ended["ExitCode"]
    return "" if code == 0 else f"{_words(check)} ends with exit code {code} and says: {_said(attempt.output)}"


def _hang_up(stream: Any) -> None:
    """End the connection of a command's output, which otherwise stays open for a while."""
    # The SDK does the same where it reads the output by itself; its stream's own way does not work over SSH.
    response = getattr(stream, "_response", None)
    if response is not None:
        with suppress(*ENGINE_ERRORS, OSError):
            response.close()


def _words(check: Mapping[str, Any]) -> str:
    return f"'{' '.join(check['command'])}'"


def _said(output: bytes) -> str:
    text = output.decode("utf-8", "replace").strip()
    return re.sub(r"\s+", " ", text)[-_OUTPUT_CHARACTERS:] or "nothing"


def _port(check: Mapping[str, Any], where: tuple[str, int]) -> str:
    return f"port {check.get('http') or check.get('tcp')} ({where[0]}:{where[1]})"
