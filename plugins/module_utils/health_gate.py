# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a container is healthy, and no longer than there is hope."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_news import ContainerNews
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import ENGINE_ERRORS
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import engine_seconds

if TYPE_CHECKING:
    from docker import DockerClient

LOG_LINES = 20
# A container without a health check is taken for running when it has lived this long.
LIVED_SECONDS = 2.0
# The engine does not tell of its past, or not in words that we know.
_FORGOTTEN: tuple[type[Exception], ...] = (*ENGINE_ERRORS, ValueError)


class Interrupted(RolloutError):
    """The run was asked to stop; the next one goes on from here."""


class Life:
    """Sees whether a container died since it was first looked at, even if its restart policy started it again."""

    def __init__(self, client: DockerClient, container_id: str) -> None:
        self._client = client
        self._id = container_id
        self._restarts: Optional[int] = None

    def look(self) -> dict[str, Any]:
        """What state the container is in, in the engine's words.

        :raises RolloutError: it died; with its exit code and last log lines.
        """
        details = self._client.api.inspect_container(self._id)
        state: dict[str, Any] = details["State"]
        restarts = int(details.get("RestartCount") or 0)
        # A start that somebody asked for begins the count anew.
        self._restarts = restarts if self._restarts is None else min(restarts, self._restarts)
        if restarts <= self._restarts and state["Status"] in ("running", "created"):
            return state
        code, oom = _end(self._client, self._id, state, restarts - self._restarts)
        lines = log_lines(self._client, self._id)
        ended = "it died" if code is None else f"it died with exit code {code}"
        killed = ", killed for want of memory" if oom else ""
        known = {} if code is None else {"exit_code": code}
        facts = {**known, "oom": oom, "last_lines": lines}
        raise RolloutError(f"{ended}{killed}.{_ending(lines)}", states.FAILED, facts)


def wait_healthy(
    client: DockerClient,
    container_id: str,
    timeout: float,
    stop: threading.Event,
    news: ContainerNews,
    was_paused: bool = False,
) -> None:
    """Return when the container is healthy.

    :param timeout: seconds.
    :param stop: set by whoever wants the run to end.
    :param news: says when to look again.
    :param was_paused: what its health check said until now counts for nothing: no check succeeds in a paused one.
    :raises RolloutError: it died, restarts, is unhealthy, or was not healthy in time; with its last log lines.
    :raises Interrupted: ``stop`` was set.
    """
    begin = time.monotonic()
    life = Life(client, container_id)
    looks = 0
    stale: Optional[str] = None
    while True:
        known = news.count(container_id)
        state = life.look()
        waited = time.monotonic() - begin
        health = state.get("Health")
        status = str(health["Status"]) if health else ""
        if status == "healthy" or (not health and state["Status"] == "running" and waited >= LIVED_SECONDS):
            return
        checks = (health or {}).get("Log") or []
        if stale is None:
            stale = str(checks[-1]["Start"]) if was_paused and checks else ""
        if status == "unhealthy" and checks[-1]["Start"] != stale:
            lines = log_lines(client, container_id)
            raise RolloutError(f"it is unhealthy: {_last_output(health)}{_ending(lines)}", states.UNHEALTHY)
        if waited >= timeout:
            raise RolloutError(
                f"it was not healthy within {timeout:g} seconds: "
                f"{_last_output(health)}{_ending(log_lines(client, container_id))}",
                states.UNHEALTHY,
            )
        left = timeout - waited
        if not health and waited < LIVED_SECONDS:
            left = min(left, LIVED_SECONDS - waited)
        news.wait(container_id, known, looks, left, stop)
        if stop.is_set():
            raise Interrupted("the run was interrupted while it waited for it to be healthy; the next run goes on.")
        looks += 1


def log_lines(client: DockerClient, container_id: str) -> list[str]:
    """The container's last log lines."""
    raw = client.api.logs(container_id, stdout=True, stderr=True, tail=LOG_LINES)
    return list(raw.decode("utf-8", "replace").strip().splitlines())


def _ending(lines: list[str]) -> str:
    text = "\n".join(lines)
    return f"\nLast lines of its log:\n{text}" if text else "\nIts log is empty."


def _end(client: DockerClient, container_id: str, state: dict[str, Any], restarts: int) -> tuple[Optional[int], bool]:
    """The exit code, None where nobody knows it any more, and whether it was killed for want of memory.

    :param restarts: how often it was started again since.
    """
    code = None if state["Status"] == "running" else int(state["ExitCode"])
    oom = bool(state.get("OOMKilled"))
    if state["Status"] == "exited" or restarts < 1:
        return code, oom
    # Restarted already, it does not know its end any more; the engine's events remember, the last few hundred of them.
    try:
        # Its clock may differ from ours, and both may be set at any time; what is told is counted from the last on.
        api: Any = client.api
        now = engine_seconds(str(api.info().get("SystemTime")))
        filters = {"container": container_id, "event": ["die", "oom"]}
        events = list(api.events(since=1, until=f"{now:.6f}", filters=filters, decode=True))
    except _FORGOTTEN:
        # That it died is certain without them.
        return code, oom
    deaths = [number for number, event in enumerate(events) if str(event["Action"]) == "die"]
    if not deaths:
        return code, oom
    begin = deaths[-restarts - 1] + 1 if len(deaths) > restarts else 0
    first = deaths[-restarts:][0]
    killed = any(str(event["Action"]) == "oom" for event in events[begin:])
    return int(events[first]["Actor"]["Attributes"].get("exitCode", -1)), oom or killed


def _last_output(health: Optional[dict[str, Any]]) -> str:
    checks = (health or {}).get("Log") or []
    if not checks:
        return "its health check has not answered yet."
    last = checks[-1]
    return f"its health check says (exit code {last['ExitCode']}): {str(last['Output']).strip() or 'nothing'}"
