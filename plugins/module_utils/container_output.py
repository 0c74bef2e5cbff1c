# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What workspaces say: the lines of their logs by service, what the engine tells of them, the output of a command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words, list_containers
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import in_utc
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_WORKSPACE,
    Container,
    Observed,
    by_workspace,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown

if TYPE_CHECKING:
    from docker import DockerClient

# What a workspace's supervisor writes before the lines of a service.
_SERVICE = re.compile(r"\[(?P<service>[A-Za-z0-9][A-Za-z0-9_.-]*)\] (?P<text>.*)")
# Those of an engine's events that tell of a workspace's life; a health check is an event or three each time.
EVENTS = (
    "create", "start", "restart", "stop", "kill", "die", "oom", "pause", "unpause",
    "rename", "update", "destroy", "health_status",
)  # fmt: skip


def workspaces_of(client: DockerClient, names: Sequence[str]) -> dict[str, Observed]:
    """These workspaces, all where none is named.

    :raises WorkspacesError: there is no workspace of a name.
    """
    found = by_workspace(list_containers(client))
    for name in names:
        if name not in found:
            raise WorkspacesError(f"{unknown('workspace', name, found)}.")
    return {name: found[name] for name in names or sorted(found)}


def containers_of(client: DockerClient, names: Sequence[str]) -> dict[str, Container]:
    """The containers of these workspaces, of all where none is named.

    :raises WorkspacesError: there is no workspace of a name.
    """
    containers = {name: found.current or found.previous for name, found in workspaces_of(client, names).items()}
    return {name: container for name, container in containers.items() if container is not None}


def parse_line(line: str) -> dict[str, str]:
    """A line of the engine's log with its time, as ``time``, ``service`` (empty for the container itself), ``text``."""
    moment, _space, text = line.partition(" ")
    match = _SERVICE.fullmatch(text)
    if match:
        return {"time": moment, "service": match["service"], "text": match["text"]}
    return {"time": moment, "service": "", "text": text}


def select_lines(lines: Iterable[Mapping[str, str]], services: Sequence[str], tail: int) -> list[dict[str, str]]:
    """The last ``tail`` lines of these services, of all where none is named; all lines where ``tail`` is 0."""
    chosen = [dict(line) for line in lines if not services or line["service"] in services]
    return chosen[-tail:] if tail else chosen


def parse_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of the engine, as ``time``, ``workspace``, ``event``, and what goes with it."""
    attributes = event["Actor"]["Attributes"]
    action, _colon, detail = str(event["Action"]).partition(": ")
    told: dict[str, Any] = {
        "time": in_utc(int(event["time"])),
        "workspace": str(attributes.get(LABEL_WORKSPACE, "")),
        "event": action,
    }
    if action == "health_status":
        told["health"] = detail
    if action == "die" and "exitCode" in attributes:
        told["exit_code"] = int(attributes["exitCode"])
    if action == "kill" and "signal" in attributes:
        told["signal"] = int(attributes["signal"])
    return told


def read_events(
    client: DockerClient, names: Sequence[str], events: Sequence[str], since: float, until: float
) -> list[dict[str, Any]]:
    """What the engine tells of workspaces between two times, oldest first; it waits for what is to come.

    :param names: only of these, of all where none is named.
    :param since: seconds since 1970, as ``until``.
    """
    filters = {"type": ["container"], "label": [LABEL_WORKSPACE], "event": list(events or EVENTS)}
    with engine_words("Reading the engine's events"):
        stream = client.api.events(since=int(since), until=int(until), filters=filters, decode=True)
        told = [parse_event(event) for event in stream]
    return [event for event in told if not names or event["workspace"] in names]


def run_command(
    client: DockerClient,
    container: Container,
    command: Sequence[str],
    user: str,
    directory: str,
    variables: Mapping[str, str],
) -> dict[str, Any]:
    """Run a command in a container to its end: ``rc``, ``stdout`` and ``stderr``.

    :param user: empty for that of the image, as ``directory``.
    :raises WorkspacesError: the container does not run, or has no such command.
    """
    api: Any = client.api
    with engine_words(f"Running '{command[0]}' in {container.name}"):
        made = api.exec_create(
            container.id, list(command), user=user, workdir=directory or None, environment=dict(variables)
        )
        stdout, stderr = api.exec_start(made["Id"], demux=True)
        code = api.exec_inspect(made["Id"])["ExitCode"]
    return {
        "rc": int(code),
        "stdout": (stdout or b"").decode("utf-8", "replace"),
        "stderr": (stderr or b"").decode("utf-8", "replace"),
    }
