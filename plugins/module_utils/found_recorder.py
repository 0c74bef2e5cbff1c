# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what became of a workspace since the last run that saw it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import log_lines
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import ENDED, Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container, Observed

if TYPE_CHECKING:
    from docker import DockerClient


class FoundRecorder:
    """Records what is found of one workspace."""

    def __init__(self, client: DockerClient, journal: Journal, workspace: str) -> None:
        self._client = client
        self._journal = journal
        self._workspace = workspace

    def record(self, observed: Observed) -> None:
        """Record the state that its container is in now."""
        found = observed.current or observed.previous
        recorded = self._journal.state(self._workspace)
        if found is None:
            state = states.observe("", "none", recorded=recorded)
            if state:
                self._journal.move(self._workspace, state, "the engine has no such container")
            return
        state = states.observe(found.state, found.health, found.exit_code, recorded=recorded)
        if state == recorded:
            return
        details: dict[str, Any] = {}
        cause = "found so"
        if state == states.FAILED:
            with engine_words(f"Looking at {found.name}"):
                ended = self._client.api.inspect_container(found.id)["State"]
            code, oom = int(ended["ExitCode"]), bool(ended.get("OOMKilled"))
            details = {"exit_code": code, "oom": oom, "last_lines": self._lines(found)}
            cause = f"it died with exit code {code}" + (", killed for want of memory" if oom else "")
        self._journal.move(self._workspace, state, cause, details)

    def record_crash(self, container: Container, details: Mapping[str, Any]) -> None:
        """Record that it died, though the engine has started it again.

        :param details: what the engine says about the container.
        """
        restarts, ended = int(details.get("RestartCount") or 0), str(details["State"].get("FinishedAt") or "")
        runs = details["State"]["Status"] in ("running", "restarting", "paused")
        # Whoever starts it makes the engine count anew.
        if not runs or not restarts or self._journal.knows_crash(self._workspace, ended):
            return
        times = "once" if restarts == 1 else f"{restarts} times"
        cause = f"it died, and the engine started it again, {times} since its last start"
        failure = {ENDED: ended, "restarts": restarts, "last_lines": self._lines(container)}
        self._journal.move(self._workspace, states.FAILED, cause, failure)
        self._journal.move(self._workspace, states.RESTARTING, "the engine started it again")
        state = states.observe(container.state, container.health, container.exit_code)
        self._journal.move(self._workspace, state, "found so")

    def _lines(self, container: Container) -> list[str]:
        with engine_words(f"Reading the log of {container.name}"):
            return log_lines(self._client, container.id)
