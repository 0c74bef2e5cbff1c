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
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError

if TYPE_CHECKING:
    from docker import DockerClient

LOG_LINES = 20
# A container without a health check is taken for running when it has lived this long.
LIVED_SECONDS = 2.0


class Interrupted(RolloutError):
    """The run was asked to stop; the next one goes on from here."""


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
    begin_epoch = time.time()
    looks = 0
    restarts: Optional[int] = None
    stale: Optional[str] = None
    while True:
        known = news.count(container_id)
        details = client.api.inspect_container(container_id)
        state = details["State"]
        if restarts is None:
            restarts = int(details.get("RestartCount") or 0)
        waited = time.monotonic() - begin
        restarted = int(details.get("RestartCount") or 0) > restarts
        if restarted or state["Status"] not in ("running", "created"):
            code, oom = _end(client, container_id, state, begin_epoch)
            killed = ", killed for want of memory" if oom else ""
            lines = log_lines(client, container_id)
            details = {"exit_code": code, "oom": oom, "last_lines": lines}
            raise RolloutError(f"it died with exit code {code}{killed}.{_ending(lines)}", states.FAILED, details)
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


def _end(client: DockerClient, container_id: str, state: dict[str, Any], since: float) -> tuple[int, bool]:
    """The exit code, and whether it was killed for want of memory."""
    if state["Status"] == "exited":
        return int(state["ExitCode"]), bool(state.get("OOMKilled"))
    # Restarted already, it does not know its end any more; the engine's events remember.
    events = list(
        client.api.events(
            since=int(since) - 1,
            until=int(time.time()) + 1,
            filters={"container": container_id, "event": ["die", "oom"]},
            decode=True,
        )
    )
    codes = [int(event["Actor"]["Attributes"].get("exitCode", -1)) for event in events if str(event["Action"]) == "die"]
    return codes[0] if codes else int(state["ExitCode"]), any(str(event["Action"]) == "oom" for event in events)


def _last_output(health: Optional[dict[str, Any]]) -> str:
    checks = (health or {}).get("Log") or []
    if not checks:
        return "its health check has not answered yet."
    last = checks[-1]
    return f"its health check says (exit code {last['ExitCode']}): {str(last['Output']).strip() or 'nothing'}"
