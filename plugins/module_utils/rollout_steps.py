# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The single steps by which rollouts change a workspace's containers, each of them noted in the record."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_news import ContainerNews
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import NOT_FOUND, engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import Interrupted, wait_healthy
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE, container_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.retry import backoff, retrying
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore

if TYPE_CHECKING:
    from docker import DockerClient

HEALTHY = "it is healthy"
# What the engine answers, as HTTP does, where a name is taken.
_CONFLICT = 409

T = TypeVar("T")


@dataclass(frozen=True)
class RolloutSettings:
    """How patient a rollout is; both in seconds."""

    health_timeout: float
    stop_timeout: int


@dataclass
class RolloutContext:
    """What all rollouts of a run share.

    :ivar stop: set by whoever wants the run to end; each step looks at it.
    :ivar journal: where states are written down.
    :ivar news: tells when a container may be healthy.
    :ivar starts: held while the engine starts a container. One that starts many more at once than its host has CPUs
        takes longer over all of them.
    """

    client: DockerClient
    timeouts: RolloutSettings
    stop: threading.Event
    journal: Journal
    news: ContainerNews
    starts: threading.Semaphore = field(default_factory=threading.Semaphore)


class RolloutSteps:
    """The steps of one workspace.

    :param gate: checks of the workspace after its health, if it has any; raises RolloutError.
    """

    def __init__(
        self,
        context: RolloutContext,
        workspace: str,
        store: SecretsStore,
        gate: Optional[Callable[[str], None]] = None,
    ) -> None:
        self._context = context
        self._api: Any = context.client.api
        self._workspace = workspace
        self._name = container_name(workspace)
        self._store = store
        self._gate = gate

    def wait(self, container_id: str, was_paused: bool = False) -> None:
        """Wait until it is healthy and passes its checks."""
        self._wait(container_id, was_paused)
        self._note(states.RUNNING, HEALTHY)

    def _wait(self, container_id: str, was_paused: bool = False, checks: bool = True) -> None:
        context = self._context
        self._tell("waits to be healthy")
        try:
            with engine_words(f"Waiting for {self._name}"):
                wait_healthy(
                    context.client,
                    container_id,
                    context.timeouts.health_timeout,
                    context.stop,
                    context.news,
                    was_paused,
                )
                if checks and self._gate is not None:
                    self._tell("healthy, its checks begin")
                    self._gate(container_id)
        except Interrupted:
            raise
        except RolloutError as error:
            self._note_if_possible(error.state or states.FAILED, str(error).split("\n", 1)[0], error.details)
            raise

    def remove_container(self, container_id: str) -> None:
        """Remove a container with its nameless volumes; named ones stay."""

        def remove() -> None:
            with engine_words(f"Removing a container of {self._name}"), suppress(*NOT_FOUND):
                self._api.remove_container(container_id, force=True, v=True)

        # Somebody else may just be removing it.
        retrying(
            remove,
            backoff(8, first=0.2),
            self._context.stop.wait,
            lambda error: "already in progress" in str(error),
            lambda error, pause: None,
        )

    def _write_files(self, network: str) -> None:
        self._store.ensure_password()
        self._store.write_network(network)

    def _create(self, request: Mapping[str, Any], cause: str) -> str:
        self._check_stop()

        def create() -> str:
            with engine_words(f"Creating {self._name}"):
                return str(self._api.create_container_from_config(request, self._name)["Id"])

        container_id = self._taking_its_name(create)
        self._note(states.CREATED, cause)
        return container_id

    def _take_name_back(self, container_id: str) -> None:
        """Give the workspace's name to a container that had another one."""

        def rename() -> None:
            with engine_words(f"Putting back {self._name}"):
                self._api.rename(container_id, self._name)

        self._taking_its_name(rename)

    def _taking_its_name(self, request: Callable[[], T]) -> T:
        """Do what gives a container the workspace's name, though a run that was killed may have asked for one, too.

        The engine goes on with what it was asked for, so that such a container may come to be at any time.
        """
        return retrying(
            request, backoff(8, first=0.2), self._context.stop.wait, self._makes_room, lambda error, pause: None
        )

    def _makes_room(self, error: Exception) -> bool:
        """Whether the name was taken by a container of this workspace that was never started; it is removed."""
        if getattr(error.__cause__, "status_code", 0) != _CONFLICT:
            return False
        with engine_words(f"Looking at {self._name}"):
            try:
                found = self._api.inspect_container(self._name)
            except NOT_FOUND:
                # The engine holds the name for one that it is about to make.
                return True
        ours = (found["Config"].get("Labels") or {}).get(LABEL_WORKSPACE) == self._workspace
        if not ours or found["State"]["Status"] != "created":
            return False
        self.remove_container(str(found["Id"]))
        return True

    def _start_container(self, container_id: str) -> None:
        with self._context.starts, engine_words(f"Starting {self._name}"):
            self._api.start(container_id)

    def _stop_container(self, container_id: str, cause: str) -> None:
        # One that has failed stays failed, whoever sweeps up after it.
        failed = self._context.journal.state(self._workspace) == states.FAILED
        if not failed:
            self._note(states.STOPPING, cause)
        with engine_words(f"Stopping {self._name}"):
            self._api.stop(container_id, timeout=self._context.timeouts.stop_timeout)
        if not failed:
            self._note(states.STOPPED, cause)

    def _tell(self, line: str) -> None:
        self._context.journal.tell(f"{self._workspace}: {line}")

    def _note(self, state: str, cause: str, details: Optional[dict[str, Any]] = None) -> None:
        self._context.journal.move(self._workspace, state, cause, details)

    def _note_if_possible(self, state: str, cause: str, details: Optional[dict[str, Any]] = None) -> None:
        """Note what counts for more than that it is written down."""
        with suppress(WorkspacesError):
            self._note(state, cause, details)

    def _check_stop(self) -> None:
        if self._context.stop.is_set():
            raise Interrupted("the run was interrupted before it was its turn; the next run goes on.")
