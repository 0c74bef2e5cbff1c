# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, restarting and asking the engine, whatever its process is run by."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import without_credentials
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import (
    Daemon,
    EngineProcess,
    find,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError

_POLL_SECONDS = 0.2
_STOP_SECONDS = 60
_COMMAND_SECONDS = 90
_LOG_LINES = 3
# The most telling first: the last words of an engine that ends are no log line and have no level.
_TELLING = (
    re.compile(r"^(failed to start|unable to configure|invalid|cannot)", re.IGNORECASE),
    re.compile(r"level=(fatal|error)"),
    re.compile(r"^(?!.*level=(info|warning|debug)).*(fail|error|unable|invalid|conflict)", re.IGNORECASE),
)
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class EngineRecipe:
    """How the engine was run before it is touched, so that it can be started again without it.

    :param manager: ``systemd``, ``init script`` or ``none``.
    :param log: the file its messages go to, or an empty string for the journal.
    """

    manager: str
    argv: list[str]
    environment: dict[str, str]
    log: str


class EngineService:
    """The engine that reads one configuration file.

    :param daemon: what kind of process it is.
    :param path: that file.
    :param service: the name of its service.
    :param address: its unix:// address.
    """

    def __init__(self, daemon: Daemon, path: str, service: str, address: str) -> None:
        self.daemon = daemon
        self.path = path
        self.service = service
        self.socket = address[len("unix://") :] if address.startswith("unix://") else ""

    def process(self) -> Optional[EngineProcess]:
        """The running engine, or None."""
        return find(self.path, daemon=self.daemon)

    def recipe(self, process: EngineProcess) -> EngineRecipe:
        """How ``process`` is run."""
        manager = "none"
        log = ""
        if os.path.isdir("/run/systemd/system") and f"/{self.service}.service" in _text(f"/proc/{process.pid}/cgroup"):
            manager = "systemd"
        elif _text(f"/var/run/{self.service}-ssd.pid").strip() == str(process.pid):
            manager = "init script"
        if manager != "systemd":
            with suppress(OSError):
                log = os.readlink(f"/proc/{process.pid}/fd/2")
            log = log if os.path.isfile(log) else f"/var/log/{self.daemon.program}.log"
        return EngineRecipe(manager, process.argv, process.environment, log)

    def restart(self, recipe: EngineRecipe, timeout: float) -> str:
        """Stop the engine if it runs, start it, and wait until it answers.

        :param timeout: seconds from the start to the answer.
        :returns: an empty string, or what the engine said when it did not come up.
        """
        began = time.time()
        offset = os.path.getsize(recipe.log) if recipe.log and os.path.exists(recipe.log) else 0
        problem = self._start(recipe, timeout)
        if not problem:
            return ""
        return self._said(recipe, began, offset) or problem

    def _start(self, recipe: EngineRecipe, timeout: float) -> str:
        if recipe.manager == "systemd":
            # Failed starts count against systemd's limit, and the next one must not be refused for it.
            run_command(["systemctl", "reset-failed", self.service], _COMMAND_SECONDS)
            problem = run_command(["systemctl", "restart", self.service], timeout + _STOP_SECONDS)
            return problem or self._wait(None, timeout)
        self._stop()
        if recipe.manager == "init script":
            problem = run_command(["service", self.service, "start"], _COMMAND_SECONDS)
            return problem or self._wait(None, timeout)
        try:
            with open(recipe.log, "ab") as log:
                child = subprocess.Popen(
                    recipe.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=recipe.environment,
                    start_new_session=True,
                )
        except OSError as error:
            return f"{recipe.argv[0]} cannot be started: {error.strerror}"
        return self._wait(child, timeout)

    def _stop(self) -> None:
        process = self.process()
        if process is None:
            return
        os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            left = self.process()
            if left is None or left.started != process.started:
                return
            time.sleep(_POLL_SECONDS)
        raise EngineError(f"The engine (process {process.pid}) did not stop within {_STOP_SECONDS} seconds.")

    def _wait(self, child: Optional[subprocess.Popen[bytes]], timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if child is not None and child.poll() is not None:
                return f"{self.daemon.program} ended with exit code {child.returncode}"
            if self.process() is not None and self.answers():
                return ""
            time.sleep(_POLL_SECONDS)
        return f"it did not answer at {self.socket} within {timeout:g} seconds"

    def reload(self, process: EngineProcess) -> None:
        """Make the engine read its file again.

        :raises EngineError: the engine is gone.
        """
        try:
            os.kill(process.pid, signal.SIGHUP)
        except OSError as error:
            raise EngineError(f"The engine (process {process.pid}) cannot be signalled: {error.strerror}.") from error

    def answers(self) -> bool:
        """Whether the engine answers at its address."""
        if self.daemon.ping:
            return self._get(self.daemon.ping) is not None
        connection = _UnixConnection(self.socket)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def info(self) -> dict[str, Any]:
        """What the engine says about itself, or an empty dictionary."""
        answer = self._get("/info")
        value = json.loads(answer) if answer else {}
        return value if isinstance(value, dict) else {}

    def _get(self, path: str) -> Optional[bytes]:
        connection = _UnixConnection(self.socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            content = response.read()
            return content if response.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _said(self, recipe: EngineRecipe, began: float, offset: int) -> str:
        if recipe.manager == "systemd":
            lines = _output(
                ["journalctl", "--unit", self.service, "--since", f"@{int(began)}", "--output", "cat", "--no-pager"]
            )
        else:
            lines = _text(recipe.log, offset)
        return telling_lines(lines)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def telling_lines(log: str) -> str:
    """The last lines of the engine's log that tell why it ended, without credentials."""
    lines = [line.strip() for line in log.splitlines()]
    for kind in _TELLING:
        found = [line for line in lines if kind.search(line)]
        if found:
            return without_credentials("\n".join(found[-_LOG_LINES:]))
    return ""


def run_command(command: Sequence[str], timeout: float, **variables: str) -> str:
    """Run a command; an empty string, or why it failed.

    :param timeout: seconds.
    :param variables: added to its environment.
    """
    try:
        done = _completed(command, timeout, variables)
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} did not end within {timeout:g} seconds"
    except OSError as error:
        return f"{command[0]} cannot be run: {error.strerror}"
    if done.returncode == 0:
        return ""
    return (done.stderr or done.stdout).strip() or f"{' '.join(command)} ended with exit code {done.returncode}"


def _output(command: Sequence[str]) -> str:
    try:
        return _completed(command, _COMMAND_SECONDS, {}).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _completed(command: Sequence[str], timeout: float, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **variables},
        check=False,
    )


def _text(path: str, offset: int = 0) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        file.seek(offset)
        return file.read()
    return ""
