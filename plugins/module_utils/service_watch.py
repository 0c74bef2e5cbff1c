# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for what a Swarm makes of a service, and no longer than there is hope."""

from __future__ import annotations

import threading
import time
from typing import Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import service_verdict as verdicts
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_item import ServiceItem
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import HOLDING, Node, follow
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_verdict import Verdict, judge
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Swarm

_POLL = 0.5
# What is to hold has to be seen for so long: a container without a health check may die at once, and what is freed on
# a node is not given away at once.
_LASTING = 3.0
_STOP_PATIENCE = 30.0
# The Swarm waits a minute for a task to stop that never began, before it starts its predecessor.
_WAY_BACK = 60.0


class ServiceWatch:
    """The service of one workspace.

    :param health_timeout: seconds that a container may take to become healthy; ``stop_timeout`` the same to stop.
    :param stop: set by whoever wants the run to end.
    """

    def __init__(
        self,
        item: ServiceItem,
        swarm: Swarm,
        health_timeout: float,
        stop_timeout: int,
        stop: threading.Event,
        tell: Callable[[str], None],
    ) -> None:
        self._item = item
        self._swarm = swarm
        self._health_timeout = health_timeout
        self._stop_timeout = stop_timeout
        self._stop = stop
        self._tell = tell

    def verdict(
        self, service_id: str, before: set[str], updated: bool, quiet: bool = False, patience: float = 0
    ) -> Verdict:
        """Look until there is a verdict that lasts, or no time left.

        :param before: ids of tasks that were there before the change.
        :param updated: whether a container that runs is replaced.
        :param quiet: whether nothing is done to it, and nobody is told about its steps.
        :param patience: seconds that it may take beyond the time to become healthy.
        """
        timeout = self._health_timeout + patience
        begin = since = time.monotonic()
        said, seen = "", Verdict(verdicts.WAITING, "")
        while True:
            service = self._swarm.inspect(service_id)
            nodes = self._swarm.nodes()
            names = {node.id: node.name for node in nodes}
            verdict = judge(service, self._swarm.tasks(service_id), before, names, self._home(nodes), updated)
            now = time.monotonic()
            if (verdict.kind, verdict.task) != (seen.kind, seen.task):
                since, seen = now, verdict
            # Until the Swarm begins with an update, what was before it serves.
            proven = quiet or (service.get("UpdateStatus") or {}).get("State") == "completed"
            lasting = verdict.kind == verdicts.UNPLACED or (verdict.kind == verdicts.SERVES and not proven)
            if verdict.kind != verdicts.WAITING and (not lasting or now - since >= _LASTING):
                return verdict
            if verdict.words != said and not quiet:
                said = verdict.words
                self._tell(f"{self._item.name}: {said}")
            if now - begin >= timeout:
                words = f"it was not healthy within {timeout:g} seconds ({verdict.words})"
                return Verdict(verdicts.WAITING, words, verdict.task)
            if self._stop.wait(_POLL):
                raise RolloutError(
                    "the run was interrupted while it waited; the Swarm goes on, and so does the next run."
                )

    def serves_again(self, service_id: str) -> bool:
        """Wait for what a service goes back to; whether it gets healthy."""
        before = {str(task["ID"]) for task in self._swarm.tasks(service_id)}
        return self.verdict(service_id, before, updated=False, patience=_WAY_BACK).kind == verdicts.SERVES

    def gone(self, service_id: str) -> None:
        """Wait until no container of a service runs on a node that can be asked.

        :raises RolloutError: one does, after all the time that it had to stop.
        """
        end = time.monotonic() + self._stop_timeout + _STOP_PATIENCE
        while time.monotonic() < end:
            ready = {node.id for node in self._swarm.nodes() if node.state == "ready"}
            held = [task for task in self._swarm.tasks(service_id) if task["Status"]["State"] in HOLDING]
            if not any(str(task.get("NodeID")) in ready for task in held):
                if held:
                    self._item.notes.append("Its node is away: its container stops when that is back.")
                return
            if self._stop.wait(_POLL):
                raise RolloutError("the run was interrupted while it waited for it to stop.")
        raise RolloutError("its container did not stop: 'docker service ps' on a manager says on which node it is.")

    def _home(self, nodes: list[Node]) -> Optional[Node]:
        return follow(self._item.home.id, nodes) if self._item.home else None
