# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings all workspaces of a list to their states, in parallel, with one listing of containers to start from."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import (
    disk_quota,
    gpus_host,
    host_mounts,
    host_ports,
    limits,
    network_file,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.asleep import Sleepers, problems_of_wake
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_news import ContainerNews
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import problems_of
from ansible_collections.codeopen.workspaces.plugins.module_utils.disk_limits import DiskLimits
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import NOT_FOUND, engine_words, list_containers
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import (
    PlanError,
    RolloutError,
    WorkspacesError,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import (
    Item,
    first_result,
    keeps_its_ports,
    mark_failed,
    port_request,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.mounts import is_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import network_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.networks import Networks
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_RECIPE,
    Observed,
    by_workspace,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_book import enter_members
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import (
    Assignment,
    assign,
    parse_range,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout_steps import RolloutContext
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import (
    SecretsStore,
    problems_of_secrets,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook, forget_purged
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_owners import owners_of
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import parse_volumes
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_run import (
    Context,
    FleetSettings,
    Image,
    WorkspaceRun,
)

if TYPE_CHECKING:
    from docker import DockerClient

# How many containers an engine starts at once in the least time for all: with fewer, CPUs wait, and with many more,
# the starts wait for each other. What `make bench` measures with a hundred.
STARTS_PER_CPU = 3


class Fleet:
    """A run over a list of workspaces.

    :param journal: where states are written down.
    :param stop: set by whoever wants the run to end early.
    :param locks: None in check mode, which changes nothing.
    :ivar unfinished: why it could not tidy up in the end; empty where it could.
    """

    def __init__(
        self,
        client: DockerClient,
        settings: FleetSettings,
        journal: Journal,
        stop: threading.Event,
        locks: Optional[WorkspaceLocks],
    ) -> None:
        self._api: Any = client.api
        self._client = client
        self._settings = settings
        self._news = ContainerNews(client)
        self._journal = journal
        self._context = Context(RolloutContext(client, settings.rollout, stop, journal, self._news), settings)
        self._locks = locks
        self._items: list[Item] = []
        self._disks: Optional[DiskLimits] = None
        self._sleepers = Sleepers(client, settings.state_dir, settings.wake)
        self._networks = Networks(client, settings.state_dir)
        self.unfinished = ""

    def converge(self, workspaces: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Bring every workspace to its state; each has its own result, with ``error`` where it failed.

        :raises PlanError: with every mistake of the list and every port that cannot be had; nothing was touched then.
        :raises WorkspacesError: the engine or the state directory cannot be used.
        """
        problems = problems_of(workspaces) + problems_of_secrets(self._settings.secrets or {})
        problems += problems_of_wake(self._settings.wake, workspaces)
        if problems:
            raise PlanError(problems)
        locks = self._locks
        if locks is None:
            self._plan(workspaces)
        else:
            with locks.planning([str(entry["name"]) for entry in workspaces]):
                self._journal.look_again()
                runs = self._plan(enter_members(self._settings.state_dir, workspaces))
                changing = sum(1 for item in self._items if item.result["changed"])
                self._reserve(locks)
                self._sleepers.forget_others(self._items)
                runs = self._let_go_of_members(runs, locks)
            with closing(self._news):
                self._carry_out(runs, changing, locks)
        return [item.result for item in self._items]

    def _plan(self, workspaces: Sequence[Mapping[str, Any]]) -> list[WorkspaceRun]:
        """Find out what is to be done, and say what it changes."""
        fleet = by_workspace(list_containers(self._client))
        items = [
            Item(
                entry,
                fleet.get(str(entry["name"]), Observed()),
                SecretsStore(self._settings.state_dir, str(entry["name"]), self._settings.memory, self._journal.check),
            )
            for entry in workspaces
        ]
        self._items = items
        self._sleepers.mark(items)
        self._check_mounts(workspaces)
        present = [item for item in items if item.state != "absent"]
        absent = [item for item in items if item.state == "absent"]
        if present:
            info = self._host_info()
            book = VolumeBook(self._settings.state_dir)
            self._disks = DiskLimits(self._client, disk_quota.of_host(book), book, str(info.get("DockerRootDir") or ""))
            self._context.cpus = int(info["NCPU"])
            self._context.unlimited = limits.impossible(info)
            self._context.rollouts.starts = threading.Semaphore(STARTS_PER_CPU * self._context.cpus)
            if any(item.entry.get("gpus") for item in present):
                self._context.gpus = gpus_host.look(info)
            self._context.network_text = network_file.file_text(self._settings.network)
            assignment = self._assign_ports(present, absent, fleet)
            for item in present:
                item.ports = assignment.ports[item.name]
                item.notes.extend(assignment.notes[item.name])
            self._context.networks = self._networks.ids()
            for name in sorted({str(item.entry["image"]) for item in present}):
                self._context.images[name] = self._inspect_image(name)
        for item in items:
            item.result = first_result(item)
        runs = [WorkspaceRun(item, self._context) for item in (*absent, *present)]
        self._in_parallel(runs, WorkspaceRun.prepare)
        if self._disks is not None:
            self._disks.describe(items)
        return runs

    def _reserve(self, locks: WorkspaceLocks) -> None:
        """Tell other runs what is about to be taken, and make the networks."""
        present = [item for item in self._items if item.state != "absent"]
        owners = {item.name: str(item.entry.get("owner") or "") for item in present}
        locks.reserve(
            {item.name: host_ports.of_entry(item.entry, item.ports) for item in present},
            {name: network_name(owner) for name, owner in owners.items()},
        )
        if present:
            self._networks.ensure(owners.values())

    def _let_go_of_members(self, runs: Sequence[WorkspaceRun], locks: WorkspaceLocks) -> list[WorkspaceRun]:
        """Let members of pools be claimed that this run has nothing to do with; the other runs."""
        members = [run for run in runs if run.item.entry.get("pool")]
        ready = [run for run in members if run.item.serves and not run.item.result["changed"]]
        locks.let_go(run.item.name for run in ready)
        return [run for run in runs if run not in ready]

    def _carry_out(self, runs: Sequence[WorkspaceRun], changing: int, locks: WorkspaceLocks) -> None:
        """Do what was planned."""
        if changing:
            self._journal.tell(f"{changing} of {len(runs)} workspaces to change")
        # Those that go make room for those that come.
        leaving = [run for run in runs if run.item.state == "absent"]
        self._in_parallel(leaving, WorkspaceRun.carry_out)
        self._roll_out([run for run in runs if run not in leaving])
        # One that is gone already may have left something behind, if the run that removed it was killed.
        if changing or leaving:
            try:
                self._tidy_up(leaving, locks)
            except WorkspacesError as error:
                # What became of the workspaces is to be told all the same.
                self.unfinished = str(error)

    def _tidy_up(self, leaving: Sequence[WorkspaceRun], locks: WorkspaceLocks) -> None:
        """See to what the host keeps for all of them."""
        with locks.host():
            purged = [run.item.name for run in leaving if run.purges and not run.item.failed]
            if purged:
                forget_purged(self._client, VolumeBook(self._settings.state_dir), purged)
            if self._disks is not None:
                self._disks.apply(self._items)
            self._networks.remove_unused(locks.reserved_networks())

    def _roll_out(self, runs: Sequence[WorkspaceRun]) -> None:
        """Change some first, then the others, and begin no other after too many failures."""
        changing = [run for run in runs if run.item.result["changed"] and not run.item.failed]
        canaries = changing[: self._settings.canary]
        self._in_parallel(canaries, WorkspaceRun.carry_out)
        others = [run for run in runs if run not in canaries]

        def unless_held_back(run: WorkspaceRun) -> None:
            failed = [other.item.name for other in canaries if other.item.failed]
            if not failed and self._settings.max_failures:
                all_failed = [other.item.name for other in runs if other.item.failed]
                failed = all_failed if len(all_failed) >= self._settings.max_failures else []
            if failed and run.item.result["changed"]:
                run.item.result.update(changed=False, held_back=True)
                run.item.result.pop("diff", None)
                raise RolloutError(f"it is as it was: held back, because of the failure of {', '.join(failed)}.")
            run.carry_out()

        self._in_parallel(others, unless_held_back)

    def _in_parallel(self, runs: Sequence[WorkspaceRun], work: Callable[[WorkspaceRun], None]) -> None:
        def guarded(run: WorkspaceRun) -> None:
            begun = time.monotonic()
            try:
                work(run)
            except (WorkspacesError, OSError) as error:
                mark_failed(run.item, error)
                self._journal.tell(f"{run.item.name}: failed: {str(error).splitlines()[0]}")
            else:
                if run.item.result["changed"] and work is not WorkspaceRun.prepare:
                    action = run.item.result["action"]
                    self._journal.tell(f"{run.item.name}: {action} done in {time.monotonic() - begun:.1f} s")

        runs = [run for run in runs if not run.item.failed]
        if not runs:
            return
        with ThreadPoolExecutor(max_workers=max(1, min(self._settings.parallel, len(runs)))) as pool:
            list(pool.map(guarded, runs))

    def _check_mounts(self, workspaces: Sequence[Mapping[str, Any]]) -> None:
        """Refuse directories and volumes of the host that no workspace of the list may have.

        :raises PlanError: with all of them.
        """
        sources = [mount["source"] for entry in workspaces for mount in entry.get("mounts") or []]
        if not sources:
            return
        owners: dict[str, Optional[str]] = {}
        if not all(is_path(source) for source in sources):
            with engine_words("Listing volumes"):
                rows = self._api.volumes().get("Volumes") or []
            book = VolumeBook(self._settings.state_dir).volumes()
            volumes = [
                volume
                for volume in parse_volumes(rows, []).values()
                if volume.ours and "unfinished" not in book.get(volume.name, {})
            ]
            owners = owners_of(volumes, book, self._settings.state_dir, workspaces)
        forbidden = [str(self._host_info().get("DockerRootDir") or ""), self._settings.state_dir]
        problems = host_mounts.host_problems(workspaces, owners, forbidden)
        if problems:
            raise PlanError(problems)

    def _host_info(self) -> dict[str, Any]:
        with engine_words("Asking the engine about its host"):
            return dict(self._api.info())

    def _inspect_image(self, name: str) -> Optional[Image]:
        try:
            with engine_words(f"Looking at image {name}"):
                found = self._api.inspect_image(name)
        except WorkspacesError as error:
            if isinstance(error.__cause__, NOT_FOUND):
                return None
            raise
        labels = (found.get("Config") or {}).get("Labels") or {}
        return Image(str(found["Id"]), str(labels.get(LABEL_RECIPE, "")))

    def _assign_ports(
        self, present: Sequence[Item], absent: Sequence[Item], fleet: Mapping[str, Observed]
    ) -> Assignment:
        requests = [port_request(item) for item in present]
        leaving = {item.name for item in absent}
        taken = host_ports.of_workspaces(fleet, leaving)
        if any(not keeps_its_ports(request) for request in requests):
            containers = [part for seen in fleet.values() for part in (seen.current, seen.previous) if part is not None]
            rows = list_containers(self._client, only_workspaces=False)
            taken += host_ports.of_other_containers(rows, [container.id for container in containers])
            taken += host_ports.of_absent_workspaces(self._settings.state_dir, fleet)
            taken += self._locks.reserved_ports() if self._locks else []
        freed = {
            int(port["host"])
            for name in leaving & set(fleet)
            for part in (fleet[name].current, fleet[name].previous)
            if part is not None
            for port in part.ports.values()
        }
        return assign(
            requests,
            taken,
            parse_range(self._settings.port_range),
            lambda address, port: None if port in freed else host_ports.in_use(address, port),
        )
