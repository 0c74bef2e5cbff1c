# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at running workspaces from their host: what they are connected with, what runs in them, what CPU they used."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.activity import (
    Connection,
    is_health_check,
    parse_tcp,
    reason,
    used_ports,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import NOT_FOUND, engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle import Sample
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container

if TYPE_CHECKING:
    from docker import DockerClient

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Seen:
    """A sample, and why the workspace is in use at this moment; empty where nothing says so."""

    sample: Sample
    in_use: str


class ActivityReader:
    """Looks at containers of an engine on this machine."""

    def __init__(self, client: DockerClient) -> None:
        self._api: Any = client.api
        with open(_BOOT_ID, encoding="ascii") as stream:
            self._boot = stream.read().strip()

    def look(self, container: Container) -> Optional[Seen]:
        """What a container does; None where it has ended meanwhile.

        :raises EngineError: the engine does not say, or runs on another machine.
        """
        with engine_words(f"Looking at {container.name}"):
            details = self._api.inspect_container(container.id)
        if details["State"]["Status"] != "running":
            return None
        connections = self._connections(container, int(details["State"]["Pid"]))
        if connections is None:
            return None
        ports = {name: int(port["container"]) for name, port in container.ports.items()}
        in_use = reason(used_ports(connections, ports), self._commands(details))
        with engine_words(f"Measuring {container.name}"):
            # One sample, since a second one would take a second.
            stats = self._api.stats(container.id, stream=False, one_shot=True)
        cpu = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0) / 1e9
        started = str(details["State"]["StartedAt"])
        return Seen(Sample(container.id, started, self._boot, time.monotonic(), cpu), in_use)

    def _commands(self, details: Mapping[str, Any]) -> list[list[str]]:
        """What somebody runs in it, the engine's own health check aside."""
        test = (details["Config"].get("Healthcheck") or {}).get("Test") or []
        commands = []
        for session in details.get("ExecIDs") or []:
            try:
                with engine_words("Looking at a command"):
                    found = self._api.exec_inspect(session)
            except EngineError as error:
                if isinstance(error.__cause__, NOT_FOUND):
                    continue
                raise
            process = found.get("ProcessConfig") or {}
            command = [str(process.get("entrypoint") or ""), *(process.get("arguments") or [])]
            if found.get("Running") and not is_health_check(command, test):
                commands.append(command)
        return commands

    def _connections(self, container: Container, pid: int) -> Optional[list[Connection]]:
        """The established connections in the network namespace of its first process; None where that is gone."""
        try:
            # Another process can have the number, on another machine or after this one's end.
            groups = _read(pid, "cgroup")
            if container.id in groups:
                return [connection for table in ("net/tcp", "net/tcp6") for connection in parse_tcp(_read(pid, table))]
        except OSError as error:
            raise EngineError(
                f"The connections of {container.name} cannot be seen: {error.strerror}. "
                "Run the task as root ('become: true')."
            ) from error
        with engine_words(f"Looking at {container.name}"):
            state = self._api.inspect_container(container.id)["State"]
        if state["Status"] == "running" and int(state["Pid"]) == pid:
            raise EngineError(
                f"The connections of {container.name} cannot be seen: its process {pid} is not on this machine. "
                "Run the task on the machine that the engine runs on."
            )
        return None


def _read(pid: int, name: str) -> str:
    """A file of a process; empty where the process is gone, or the kernel has no such file, as without IPv6."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8") as stream:
            return stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""
