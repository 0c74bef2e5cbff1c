# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to one workspace's containers, step by step, such that every step can be the last.

An update cannot run old and new beside each other: both hold the same ports and volumes. So the old one is renamed to
``--previous`` and stopped; it is removed only when the new one is healthy, and comes back if it is not. Whatever run
comes next after an interruption finds both and goes on. The name comes first, so that a run after one that was killed
knows that the old one served.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import ENGINE_ERRORS, engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import (
    LockLost,
    RolloutError,
    WorkspacesError,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import Interrupted
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_WORKSPACE,
    PREVIOUS_SUFFIX,
    Container,
    Observed,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.retry import backoff, retrying
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout_steps import HEALTHY, RolloutSteps


class Rollout(RolloutSteps):
    """Changes to the containers of one workspace."""

    def create(self, request: Mapping[str, Any], network: str, start: bool) -> str:
        """A new container, healthy if it is to be started; its id.

        One that does not get healthy is stopped and kept: its log is all that its owner has.
        """
        self._write_files(network)
        container_id = self._create(request, "asked for")
        if start:
            self.start(container_id)
        return container_id

    def start(self, container_id: str, restart: bool = False) -> None:
        """Start a container that is there and wait until it is healthy; stop it if it is not."""
        self._check_stop()
        try:
            self._note(states.RESTARTING if restart else states.STARTING, "asked for")
            if restart:
                with engine_words(f"Restarting {self._name}"):
                    self._api.restart(container_id, timeout=self._context.timeouts.stop_timeout)
            else:
                self._start_container(container_id)
            self.wait(container_id)
        except Interrupted:
            raise
        except RolloutError as error:
            self._stop_container(container_id, "it did not get healthy")
            raise RolloutError(
                f"{error}\nIt is stopped and kept: 'docker logs {self._name}' shows all of it.",
                error.state,
                error.details,
            ) from error

    def pause(self, container_id: str) -> None:
        """Freeze the processes of a container that runs."""
        self._check_stop()

        def freeze() -> None:
            with engine_words(f"Pausing {self._name}"):
                self._api.pause(container_id)

        # The kernel cannot freeze a group whose processes are just being made, as health checks are.
        retrying(
            freeze,
            backoff(5, first=0.2),
            self._context.stop.wait,
            lambda error: "freeze" in str(error),
            lambda error, pause: None,
        )
        self._note(states.PAUSED, "asked for")

    def unpause(self, container_id: str) -> None:
        """Let a paused container go on, and wait until it is healthy."""
        with engine_words(f"Unpausing {self._name}"):
            self._api.unpause(container_id)
        self.wait(container_id, was_paused=True)

    def apply(self, container_id: str, changes: dict[str, Any]) -> None:
        """Change limits of a container, whether it runs or not, without another start of it.

        :param changes: in the words of the engine's request.
        """
        self._check_stop()
        # The SDK's own method has no word for some of them.
        with engine_words(f"Changing limits of {self._name}"):
            answer = self._api._post_json(self._api._url("/containers/{0}/update", container_id), data=changes)
            self._api._raise_for_status(answer)

    def attach(self, container_id: str, network: str, names: list[str]) -> None:
        """Connect a container to the network that it was made for, which somebody took away or made anew.

        :param names: what it is called there.
        """
        self._check_stop()
        with engine_words(f"Connecting {self._name} to network {network}"):
            with suppress(*ENGINE_ERRORS):
                # What it knows is a network that is gone.
                self._api.disconnect_container_from_network(container_id, network, force=True)
            self._api.connect_container_to_network(container_id, network, aliases=names)

    def update(self, old: Container, request: Mapping[str, Any], network: str, was_serving: bool) -> None:
        """Put a new container in the place of ``old``, which comes back if the new one does not get healthy.

        :param was_serving: whether ``old`` is to run again if it has to come back.
        """
        self._check_stop()
        self._store.keep_network()
        with engine_words(f"Renaming {self._name}"):
            self._api.rename(old.id, self._name + PREVIOUS_SUFFIX)
        self._prove(None, old, request, network, was_serving)

    def resume(self, new: Container, old: Container, request: Mapping[str, Any], network: str) -> None:
        """Go on with an update that was interrupted after its new container had been created."""
        self._check_stop()
        self._prove(new.id, old, request, network, was_serving=True)

    def _prove(
        self,
        new_id: Optional[str],
        old: Container,
        request: Mapping[str, Any],
        network: str,
        was_serving: bool,
    ) -> None:
        try:
            if new_id is None:
                self._stop_container(old.id, "its successor comes")
            self._write_files(network)
            if new_id is None:
                new_id = self._create(request, "an update")
            self._note(states.STARTING, "an update")
            self._start_container(new_id)
            self.wait(new_id)
        except (Interrupted, LockLost):
            raise
        except (WorkspacesError, OSError) as error:
            reason = f"The update failed: {error}"
            details = error.details if isinstance(error, RolloutError) else {}
            try:
                # What a full disk keeps from being written now, it kept from being changed before.
                with suppress(WorkspacesError, OSError):
                    self._store.restore_network()
                self._put_back(new_id, old, was_serving)
            except (Interrupted, LockLost):
                raise
            except (WorkspacesError, OSError) as second:
                raise RolloutError(
                    f"{reason}\nThe previous container could not be put back: {second}\n"
                    f"It is kept as {self._name} or {self._name}{PREVIOUS_SUFFIX}; the next run tries again.",
                    states.FAILED,
                    details,
                ) from error
            state = "put back and healthy again" if was_serving else "put back, stopped as it was"
            raise RolloutError(
                f"{reason}\nThe previous container is {state}.", states.FAILED, details, rolled_back=str(error)
            ) from error
        self.remove_container(old.id)
        self._store.forget_network()

    def _put_back(self, new_id: Optional[str], old: Container, was_serving: bool) -> None:
        if new_id is not None:
            self.remove_container(new_id)
        self._take_name_back(old.id)
        if not was_serving:
            self._note_if_possible(states.STOPPED, "the update failed: its predecessor is put back, stopped as it was")
            return
        self._note_if_possible(states.STARTING, "the update failed: its predecessor is put back")
        self._start_container(old.id)
        # The checks are those of the configuration that failed, which it need not pass.
        self._wait(old.id, checks=False)
        self._note_if_possible(states.RUNNING, HEALTHY)

    def restore_previous(self, previous: Container, unproven: Optional[Container]) -> None:
        """Give the previous container its name back, after an interrupted update; it stays as it is, stopped."""
        if unproven is not None:
            if unproven.state == "running":
                self._stop_container(unproven.id, "its predecessor is put back")
            self.remove_container(unproven.id)
        self._store.restore_network()
        self._take_name_back(previous.id)

    def halt(self, container_id: str) -> None:
        """Stop a container that runs."""
        self._check_stop()
        self._stop_container(container_id, "asked for")

    def remove(self, observed: Observed) -> None:
        """Stop and remove all containers of the workspace; volumes stay."""
        self._check_stop()
        for container in (observed.current, observed.previous):
            if container is not None:
                if container.state in ("running", "restarting", "paused"):
                    self._stop_container(container.id, "it is to be removed")
                self._note(states.REMOVING, "asked for")
                self.remove_container(container.id)
        self._note(states.REMOVED, "asked for")

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
