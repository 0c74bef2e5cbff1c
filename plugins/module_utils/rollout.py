# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to one workspace's containers, step by step, such that every step can be the last.

An update cannot run old and new beside each other: both hold the same ports and volumes. So the old one is stopped and
renamed to ``--previous``; it is removed only when the new one is healthy, and comes back if it is not. Whatever run
comes next after an interruption finds both and goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import ContainerSpec
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import explain
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError, RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import (
    Interrupted,
    wait_healthy,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_WORKSPACE,
    PREVIOUS_SUFFIX,
    Container,
    Observed,
    container_name,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore

try:
    import docker.errors
    import requests.exceptions
except ImportError:
    # engine.connect says it; nothing here runs without a client.
    ENGINE_ERRORS: tuple[type[Exception], ...] = ()
    NOT_FOUND: tuple[type[Exception], ...] = ()
else:
    ENGINE_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException)
    NOT_FOUND = (docker.errors.NotFound,)

if TYPE_CHECKING:
    from docker import DockerClient


@contextmanager
def engine_words(doing: str) -> Iterator[None]:
    """Turn the docker SDK's exceptions into an EngineError that says what was being done."""
    try:
        yield
    except ENGINE_ERRORS as error:
        raise EngineError(f"{doing} failed: {explain(error)}") from error


@dataclass(frozen=True)
class RolloutSettings:
    """How patient a rollout is; all in seconds."""

    health_timeout: float
    stop_timeout: int


class Rollout:
    """Changes to the containers of one workspace.

    :param stop: set by whoever wants the run to end; each step looks at it.
    """

    def __init__(
        self,
        client: DockerClient,
        workspace: str,
        store: SecretsStore,
        settings: RolloutSettings,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._api: Any = client.api
        self._workspace = workspace
        self._name = container_name(workspace)
        self._store = store
        self._settings = settings
        self._stop = stop

    def create(self, spec: ContainerSpec, network: str, start: bool) -> None:
        """A new container, healthy if it is to be started.

        One that does not get healthy is stopped and kept: its log is all that its owner has.
        """
        self._write_files(network)
        container_id = self._create(spec)
        if start:
            self.start(container_id)

    def start(self, container_id: str, restart: bool = False) -> None:
        """Start a container that is there and wait until it is healthy; stop it if it is not."""
        self._check_stop()
        try:
            with engine_words(f"Starting {self._name}"):
                if restart:
                    self._api.restart(container_id, timeout=self._settings.stop_timeout)
                else:
                    self._api.start(container_id)
            self.wait(container_id)
        except Interrupted:
            raise
        except RolloutError as error:
            self._stop_container(container_id)
            raise RolloutError(
                f"{error}\nIt is stopped and kept: 'docker logs {self._name}' shows all of it."
            ) from error

    def unpause(self, container_id: str) -> None:
        """Let a paused container go on, and wait until it is healthy."""
        with engine_words(f"Unpausing {self._name}"):
            self._api.unpause(container_id)
        self.wait(container_id)

    def wait(self, container_id: str) -> None:
        """Wait until it is healthy."""
        with engine_words(f"Waiting for {self._name}"):
            wait_healthy(self._client, container_id, self._settings.health_timeout, self._stop)

    def update(self, old: Container, spec: ContainerSpec, network: str, was_serving: bool) -> None:
        """Put a new container in the place of ``old``, which comes back if the new one does not get healthy.

        :param was_serving: whether ``old`` is to run again if it has to come back.
        """
        self._check_stop()
        network_before = self._store.network()
        self._stop_container(old.id)
        with engine_words(f"Renaming {self._name}"):
            self._api.rename(old.id, self._name + PREVIOUS_SUFFIX)
        self._prove(None, old, spec, network, network_before, was_serving)

    def resume(self, new: Container, old: Container, spec: ContainerSpec, network: str) -> None:
        """Go on with an update that was interrupted after its new container had been created."""
        self._check_stop()
        self._prove(new.id, old, spec, network, self._store.network(), was_serving=True)

    def _prove(
        self,
        new_id: Optional[str],
        old: Container,
        spec: ContainerSpec,
        network: str,
        network_before: str,
        was_serving: bool,
    ) -> None:
        try:
            self._write_files(network)
            if new_id is None:
                new_id = self._create(spec)
            with engine_words(f"Starting {self._name}"):
                self._api.start(new_id)
            self.wait(new_id)
        except Interrupted:
            raise
        except (RolloutError, EngineError) as error:
            reason = f"The update failed: {error}"
            try:
                self._store.write_network(network_before)
                self._put_back(new_id, old, was_serving)
            except Interrupted:
                raise
            except (RolloutError, EngineError) as second:
                raise RolloutError(
                    f"{reason}\nThe previous container could not be put back: {second}\n"
                    f"It is kept as {self._name} or {self._name}{PREVIOUS_SUFFIX}; the next run tries again."
                ) from error
            state = "put back and healthy again" if was_serving else "put back, stopped as it was"
            raise RolloutError(f"{reason}\nThe previous container is {state}.") from error
        self.remove_container(old.id)

    def _put_back(self, new_id: Optional[str], old: Container, was_serving: bool) -> None:
        if new_id is not None:
            self.remove_container(new_id)
        with engine_words(f"Putting back {self._name}"):
            self._api.rename(old.id, self._name)
            if was_serving:
                self._api.start(old.id)
        if was_serving:
            self.wait(old.id)

    def restore_previous(self, previous: Container, unproven: Optional[Container]) -> None:
        """Give the previous container its name back, after an interrupted update; it stays as it is, stopped."""
        if unproven is not None:
            self.remove_container(unproven.id)
        with engine_words(f"Putting back {self._name}"):
            self._api.rename(previous.id, self._name)

    def halt(self, container_id: str) -> None:
        """Stop a container that runs."""
        self._check_stop()
        self._stop_container(container_id)

    def remove(self, observed: Observed) -> None:
        """Stop and remove all containers of the workspace; volumes stay."""
        self._check_stop()
        for container in (observed.current, observed.previous):
            if container is not None:
                if container.state in ("running", "restarting", "paused"):
                    self._stop_container(container.id)
                self.remove_container(container.id)

    def volumes(self) -> list[str]:
        """The workspace's volumes on this engine."""
        with engine_words("Listing volumes"):
            found = self._api.volumes(filters={"label": f"{LABEL_WORKSPACE}={self._workspace}"})
        return sorted(volume["Name"] for volume in found.get("Volumes") or [])

    def purge(self) -> None:
        """Remove the workspace's volumes and all that the host keeps about it."""
        for volume in self.volumes():
            with engine_words(f"Removing volume {volume}"):
                self._api.remove_volume(volume)
        self._store.purge()

    def remove_container(self, container_id: str) -> None:
        """Remove a container with its nameless volumes; named ones stay."""
        with engine_words(f"Removing a container of {self._name}"), suppress(*NOT_FOUND):
            self._api.remove_container(container_id, force=True, v=True)

    def _write_files(self, network: str) -> None:
        self._store.ensure_password()
        self._store.write_network(network)

    def _create(self, spec: ContainerSpec) -> str:
        self._check_stop()
        with engine_words(f"Creating {self._name}"):
            return str(self._api.create_container_from_config(spec.request, self._name)["Id"])

    def _stop_container(self, container_id: str) -> None:
        with engine_words(f"Stopping {self._name}"):
            self._api.stop(container_id, timeout=self._settings.stop_timeout)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Interrupted("the run was interrupted before it was its turn; the next run goes on.")
