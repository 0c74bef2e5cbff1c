# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives members of a pool to people, and takes them back.

A claim is in the book before anything else happens, so that a run that is killed leaves a member that is somebody's,
and the same claim again finishes what is left to do.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import aliases
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_news import ContainerNews
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import (
    engine_words,
    guard_changes,
    list_containers,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError, PlanError, RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle_records import IdleRecords
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import network_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.networks import Networks
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container, Observed, by_workspace
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_book import PoolBook
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_names import Member
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import urls
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout import Rollout
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout_steps import (
    RolloutContext,
    RolloutSettings,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import MEMORY_PATH, SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook, forget_purged
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks, lock_one

if TYPE_CHECKING:
    from docker import DockerClient

_PURPOSE = "a claim of a workspace"


@dataclass(frozen=True)
class ClaimSettings:
    """Who wants what.

    :ivar owner: whose network the workspace comes into; where it is empty that stays as it is, and is the claimant's
        in the beginning.
    :ivar memory: the folder in memory for secrets; empty where the host has none.
    :ivar secrets: values of the claimant's secrets by file name; None leaves what there is.
    :ivar lock_timeout: seconds to wait for another claim of the pool.
    """

    state_dir: str
    pool: str
    claimant: str
    owner: str
    purge: bool
    memory: str
    secrets: Optional[Mapping[str, str]]
    lock_timeout: float
    rollout: RolloutSettings
    check_mode: bool


class Claims:
    """The claims of one person on one pool of a host."""

    def __init__(self, client: DockerClient, settings: ClaimSettings, journal: Journal) -> None:
        self._client = client
        self._api: Any = client.api
        self._settings = settings
        self._journal = journal
        self._book = PoolBook(settings.state_dir)
        self._owners_networks = Networks(client, settings.state_dir)
        self._fleet: Mapping[str, Observed] = {}

    def take(self) -> dict[str, Any]:
        """Give the claimant a workspace of the pool, the same one each time.

        :raises PlanError: there is no such pool, or nobody can be given one now.
        :raises WorkspacesError: the engine refuses, or what the claimant has does not start.
        """
        settings = self._settings
        with self._alone():
            members = self._members()
            mine = [member for member in members if member.claimant == settings.claimant and not member.returned]
            if not mine:
                return self._give_one(members)
        # It may have to be started, and other claims need not wait for that.
        member = replace(mine[0], owner=settings.owner or mine[0].owner)
        with self._lock(member):
            return self._keep(member)

    def _give_one(self, members: list[Member]) -> dict[str, Any]:
        settings = self._settings
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for member in members:
            container = self._ready(member)
            if container is None:
                continue
            claimed = replace(
                member, claimant=settings.claimant, owner=settings.owner or settings.claimant, since=since
            )
            if settings.check_mode:
                return self._result(claimed, container, changed=True)
            with lock_one(settings.state_dir, member.name, _PURPOSE, network_name(claimed.owner)) as lease:
                # Another run may have begun to replace or remove it.
                if lease is not None and self._still_ready(member):
                    guard_changes(self._client, lease.check)
                    return self._give(claimed, container)
        raise PlanError([self._nothing_to_give(members)])

    def give_back(self) -> dict[str, Any]:
        """Take back what the claimant has of the pool; nobody else ever gets it.

        :raises PlanError: there is no such pool.
        :raises WorkspacesError: another run works on it, or the engine refuses.
        """
        settings = self._settings
        mine = [
            member
            for member in self._members()
            if member.claimant == settings.claimant and (settings.purge or not member.returned)
        ]
        for member in mine if not settings.check_mode else ():
            with self._lock(member):
                self._remove(member)
        if mine and not settings.check_mode:
            self._tidy([member.name for member in mine])
        return {"changed": bool(mine), "removed": [member.name for member in mine]}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One claim of a pool at a time, so that nobody gets two and no two get one."""
        if self._settings.check_mode:
            yield
            return
        path = os.path.join(self._settings.state_dir, "locks", "pools", f"{self._settings.pool}.lock")
        with host_lock(path, _PURPOSE, self._settings.lock_timeout):
            yield

    def _members(self) -> list[Member]:
        everything = self._book.members().values()
        pools = {member.pool for member in everything}
        if self._settings.pool not in pools:
            raise PlanError([f"{unknown('pool', self._settings.pool, pools)}: is it in codeopen_pools?"])
        self._fleet = by_workspace(list_containers(self._client))
        return sorted(
            (member for member in everything if member.pool == self._settings.pool), key=lambda member: member.number
        )

    def _ready(self, member: Member) -> Optional[Container]:
        """The container of a member that can be given away at once, or None."""
        seen = self._fleet.get(member.name, Observed())
        ready = member.free and seen.previous is None and seen.current is not None and seen.current.serves
        return seen.current if ready else None

    def _still_ready(self, member: Member) -> bool:
        self._fleet = by_workspace(list_containers(self._client))
        return self._book.member(member.name) == member and self._ready(member) is not None

    @contextmanager
    def _lock(self, member: Member) -> Iterator[None]:
        if self._settings.check_mode:
            yield
            return
        network = network_name(member.owner)
        with lock_one(self._settings.state_dir, member.name, _PURPOSE, network) as lease:
            if lease is None:
                raise RolloutError(f"Another run works on workspace '{member.name}': try again when it is done.")
            guard_changes(self._client, lease.check)
            # Another run may have changed it until now.
            self._fleet = by_workspace(list_containers(self._client))
            yield

    def _give(self, member: Member, container: Container) -> dict[str, Any]:
        self._ensure_network(member)
        self._book.write(member)
        self._move(member, container)
        self._write_secrets(member, container)
        return self._result(member, container, changed=True)

    def _keep(self, member: Member) -> dict[str, Any]:
        """See that what the claimant has already is there and runs."""
        seen = self._fleet.get(member.name, Observed())
        container = seen.current
        if container is None:
            raise RolloutError(
                f"Workspace '{member.name}', which {member.claimant} has, has no container any more. Give it back "
                "(state: absent), which keeps its volumes, and claim another."
            )
        asleep = container.state not in ("running", "restarting")
        changed = (
            asleep
            or self._networks(container) != {network_name(member.owner)}
            or self._secrets_differ(member, container)
        )
        if changed and not self._settings.check_mode:
            self._ensure_network(member)
            self._book.write(member)
            self._move(member, container)
            self._write_secrets(member, container)
            if container.state == "paused":
                self._rollout(member).unpause(container.id)
            elif asleep:
                self._rollout(member).start(container.id)
        return self._result(member, container, changed)

    def _ensure_network(self, member: Member) -> None:
        try:
            self._owners_networks.ensure([member.owner])
        except EngineError:
            # Another claim may have made it in this moment.
            if network_name(member.owner) not in self._owners_networks.ids():
                raise

    def _look_at(self, container: Container) -> dict[str, Any]:
        with engine_words(f"Looking at {container.name}"):
            return dict(self._api.inspect_container(container.id))

    def _networks(self, container: Container) -> set[str]:
        return set(self._look_at(container)["NetworkSettings"].get("Networks") or {})

    def _store(self, member: Member, container: Container) -> SecretsStore:
        """Where its secrets are: in memory where its container finds them there."""
        binds = self._look_at(container)["HostConfig"].get("Binds") or []
        in_memory = any(MEMORY_PATH in str(bind).split(":") for bind in binds)
        return SecretsStore(self._settings.state_dir, member.name, self._settings.memory if in_memory else "")

    def _secrets_differ(self, member: Member, container: Container) -> bool:
        wished = self._settings.secrets
        if wished is None:
            return False
        store = self._store(member, container)
        return store.user_secrets() != wished or bool(store.misplaced(wished))

    def _write_secrets(self, member: Member, container: Container) -> None:
        if self._settings.secrets is not None:
            self._store(member, container).write_user_secrets(self._settings.secrets)

    def _move(self, member: Member, container: Container) -> None:
        """Take a container from the pool's network to its owner's, while it runs."""
        network = network_name(member.owner)
        there = self._networks(container)
        if network not in there:
            names = aliases.names_of(member.name, container.configuration.get("aliases"))
            with engine_words(f"Connecting {container.name} to network {network}"):
                self._api.connect_container_to_network(container.id, network, aliases=names)
        for other in sorted(there - {network}):
            with engine_words(f"Disconnecting {container.name} from network {other}"):
                self._api.disconnect_container_from_network(container.id, other)
        store = SecretsStore(self._settings.state_dir, member.name)
        store.write_asked(dict(store.asked() or container.configuration, owner=member.owner))

    def _remove(self, member: Member) -> None:
        rollout = self._rollout(member)
        # One whose container somebody took away is removed by the record, too.
        rollout.remove(self._fleet.get(member.name, Observed()))
        if self._settings.purge:
            rollout.purge()
        else:
            SecretsStore(self._settings.state_dir, member.name, self._settings.memory).write_user_secrets({})
            self._book.write(replace(member, returned=True))
        IdleRecords(self._settings.state_dir).forget([member.name])

    def _tidy(self, names: list[str]) -> None:
        """Forget budgets of volumes that are gone, and remove networks that nobody uses."""
        settings = self._settings
        locks = WorkspaceLocks(settings.state_dir, _PURPOSE, settings.lock_timeout)
        with locks.host():
            if settings.purge:
                forget_purged(self._client, VolumeBook(settings.state_dir), names)
            self._owners_networks.remove_unused(locks.reserved_networks())

    def _rollout(self, member: Member) -> Rollout:
        store = SecretsStore(self._settings.state_dir, member.name, self._settings.memory)
        news = ContainerNews(self._client)
        context = RolloutContext(self._client, self._settings.rollout, threading.Event(), self._journal, news)
        # The checks of the pool's description are not the claim's to know.
        return Rollout(context, member.name, store)

    def _nothing_to_give(self, members: list[Member]) -> str:
        free = [member for member in members if member.free]
        claimed = [member for member in members if not member.free and not member.returned]
        return (
            f"Pool '{self._settings.pool}' has no workspace to give now: {len(claimed)} claimed, {len(free)} unclaimed "
            "that are being made, changed or mended. Run the play that deploys (playbooks/site.yml), which brings the "
            "pool back to its size, and claim again; a larger size in codeopen_pools makes this rarer."
        )

    def _result(self, member: Member, container: Container, changed: bool) -> dict[str, Any]:
        return {
            "changed": changed,
            "name": member.name,
            "owner": member.owner,
            "urls": urls(container.ports),
            "ports": {name: port["host"] for name, port in container.ports.items()},
            "password_file": SecretsStore(self._settings.state_dir, member.name).password_file,
            "container": container.name,
        }
