# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The idle policy of a host: looks at the workspaces that run, and stops those that were idle for long enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.activity_reader import ActivityReader, Seen
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words, list_containers
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle import Look, judge
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle_records import IdleRecords
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container, by_workspace
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_book import PoolBook
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import lock_one

if TYPE_CHECKING:
    from docker import DockerClient

_AT_ONCE = 16
_PURPOSE = "the idle policy"


@dataclass(frozen=True)
class IdleSettings:
    """How a run of the policy goes about it.

    :ivar after: minutes for workspaces that nobody asked any for; 0 leaves those alone.
    :ivar cpu_percent: of one CPU, on average; a workspace that uses more is at work.
    :ivar stop_timeout: seconds that a container may take to stop before it is killed.
    """

    state_dir: str
    after: int
    cpu_percent: float
    stop_timeout: int
    check_mode: bool


@dataclass
class _Candidate:
    name: str
    container: Container
    minutes: int
    result: dict[str, Any]
    seen: Optional[Seen] = None


class IdlePolicy:
    """A run of the policy over the workspaces of a host."""

    def __init__(self, client: DockerClient, settings: IdleSettings, journal: Journal) -> None:
        self._client = client
        self._api: Any = client.api
        self._settings = settings
        self._journal = journal
        self._records = IdleRecords(settings.state_dir)
        self._reader = ActivityReader(client)
        self._looks: dict[str, Look] = {}

    def run(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Look at workspaces and stop those that have been idle for long enough; a result for each that runs.

        :param names: all, where none is named.
        :raises PlanError: there is none of a name.
        :raises WorkspacesError: the engine or the record cannot be used.
        """
        fleet = by_workspace(list_containers(self._client))
        problems = [unknown("workspace", name, fleet) for name in names if name not in fleet]
        if problems:
            raise PlanError(problems)
        before = self._records.looks()
        # Nobody is to be connected to what waits to be claimed.
        waiting = {name for name, member in PoolBook(self._settings.state_dir).members().items() if member.free}
        known = sorted(set(names or fleet) - waiting)
        found = {name: fleet[name].current for name in known if fleet[name].previous is None}
        candidates = [
            self._candidate(name, container)
            for name, container in found.items()
            if container is not None and container.state == "running"
        ]
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            list(pool.map(self._look, candidates))
            for candidate in candidates:
                self._judge(candidate, before.get(candidate.name))
            if not self._settings.check_mode:
                self._records.remember(self._looks)
                self._records.forget(set(before) - set(fleet))
            due = [one for one in candidates if one.minutes and one.result["idle_seconds"] >= 60 * one.minutes]
            list(pool.map(self._stop, due))
        return [candidate.result for candidate in candidates if candidate.seen or candidate.result.get("error")]

    def _candidate(self, name: str, container: Container) -> _Candidate:
        asked = SecretsStore(self._settings.state_dir, name).asked() or container.configuration
        minutes = int(asked.get("idle_minutes") or self._settings.after)
        result = {
            "name": name, "idle_minutes": minutes, "idle_seconds": 0, "active_because": "", "stopped": False,
        }  # fmt: skip
        return _Candidate(name, container, minutes, result)

    def _look(self, candidate: _Candidate) -> None:
        try:
            candidate.seen = self._reader.look(candidate.container)
        except WorkspacesError as error:
            candidate.result["error"] = str(error)

    def _judge(self, candidate: _Candidate, before: Optional[Look]) -> None:
        if candidate.seen is None:
            return
        seen = candidate.seen
        in_use = seen.in_use or ("it is starting" if candidate.container.health == "starting" else "")
        verdict = judge(before, seen.sample, in_use, self._settings.cpu_percent)
        candidate.result.update(idle_seconds=int(verdict.idle), active_because=verdict.active_because)
        if verdict.keep:
            last_active = time.time() if verdict.active_because or before is None else before.last_active
            self._looks[candidate.name] = Look(seen.sample, verdict.idle, last_active)

    def _stop(self, candidate: _Candidate) -> None:
        """Stop a workspace, unless somebody came meanwhile."""
        result = candidate.result
        if self._settings.check_mode:
            result["stopped"] = True
            return
        try:
            with lock_one(self._settings.state_dir, candidate.name, _PURPOSE) as lease:
                if lease is None:
                    result["active_because"] = "another run works on it"
                    return
                seen = self._reader.look(candidate.container)
                if seen is None or candidate.seen is None or seen.sample.started != candidate.seen.sample.started:
                    result["active_because"] = "it was stopped or started meanwhile"
                    return
                if seen.in_use:
                    result["active_because"] = seen.in_use
                    return
                lease.check()
                cause = f"idle for {int(result['idle_seconds'] // 60)} minutes"
                self._journal.move(candidate.name, states.STOPPING, cause)
                with engine_words(f"Stopping {candidate.container.name}"):
                    self._api.stop(candidate.container.id, timeout=self._settings.stop_timeout)
                # A run that dies here leaves a workspace that is stopped like any other, which the next one starts.
                self._records.fall_asleep(candidate.name)
                self._journal.move(candidate.name, states.STOPPED, cause)
                result["stopped"] = True
        except WorkspacesError as error:
            result["error"] = str(error)
