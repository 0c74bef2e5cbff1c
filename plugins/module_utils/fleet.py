# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings all workspaces of a list to their states, in parallel, with one listing of containers to start from."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import decision as decisions
from ansible_collections.codeopen.workspaces.plugins.module_utils import host_ports, network_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import (
    ContainerSpec,
    Settings,
    build,
    problems_of,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import (
    PlanError,
    RolloutError,
    WorkspacesError,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import (
    Item,
    describe,
    describe_secrets,
    first_result,
    found_state,
    keeps_its_ports,
    mark_changed,
    port_request,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_WORKSPACE,
    Observed,
    by_workspace,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import (
    Assignment,
    assign,
    parse_range,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout import (
    NOT_FOUND,
    Rollout,
    RolloutSettings,
    engine_words,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import (
    SecretsStore,
    problems_of_secrets,
)

if TYPE_CHECKING:
    from docker import DockerClient

LABEL_RECIPE = "codeopen.recipe"


@dataclass(frozen=True)
class FleetSettings:
    """How a run goes about it.

    :ivar network: what the user set about proxies, mirrors and CA, as the network file's text.
    :ivar port_range: where free host ports are chosen.
    :ivar secrets: values by workspace and file name; None leaves what there is.
    """

    state_dir: str
    network: str
    parallel: int
    purge: bool
    port_range: str
    rollout: RolloutSettings
    check_mode: bool
    secrets: Optional[Mapping[str, Mapping[str, str]]] = None


@dataclass(frozen=True)
class Image:
    """An image of the host."""

    id: str
    recipe: str


def list_containers(client: DockerClient, only_workspaces: bool = True) -> list[dict[str, Any]]:
    """The engine's rows for all containers, running or not."""
    filters = {"label": LABEL_WORKSPACE} if only_workspaces else None
    with engine_words("Listing containers"):
        return list(client.api.containers(all=True, filters=filters))


class Fleet:
    """A run over a list of workspaces.

    :param stop: set by whoever wants the run to end early.
    """

    def __init__(self, client: DockerClient, settings: FleetSettings, stop: threading.Event) -> None:
        self._client = client
        self._api: Any = client.api
        self._settings = settings
        self._stop = stop
        self._images: dict[str, Optional[Image]] = {}
        self._network_text = ""
        self._cpus = 0

    def converge(self, workspaces: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Bring every workspace to its state; each has its own result, with ``error`` where it failed.

        :raises PlanError: with every mistake of the list and every port that cannot be had; nothing was touched then.
        :raises WorkspacesError: the engine or the state directory cannot be used.
        """
        problems = problems_of(workspaces) + problems_of_secrets(self._settings.secrets or {})
        if problems:
            raise PlanError(problems)
        fleet = by_workspace(list_containers(self._client))
        items = [
            Item(
                entry,
                fleet.get(str(entry["name"]), Observed()),
                SecretsStore(self._settings.state_dir, str(entry["name"])),
            )
            for entry in workspaces
        ]
        present = [item for item in items if item.state != "absent"]
        absent = [item for item in items if item.state == "absent"]
        if present:
            self._cpus = self._host_cpus()
            self._network_text = network_file.file_text(self._settings.network)
            assignment = self._assign_ports(present, absent, fleet)
            for item in present:
                item.ports = assignment.ports[item.name]
                item.notes.extend(assignment.notes[item.name])
            for name in sorted({str(item.entry["image"]) for item in present}):
                self._images[name] = self._inspect_image(name)
        # Those that go make room for those that come.
        self._in_parallel(absent, self._remove)
        self._in_parallel(present, self._bring_up)
        return [item.result for item in items]

    def _in_parallel(self, items: Sequence[Item], work: Callable[[Item], None]) -> None:
        def guarded(item: Item) -> None:
            item.result = first_result(item)
            try:
                work(item)
            except (WorkspacesError, OSError) as error:
                item.result.update(error=str(error), state="failed")

        if not items:
            return
        with ThreadPoolExecutor(max_workers=max(1, min(self._settings.parallel, len(items)))) as pool:
            list(pool.map(guarded, items))

    def _host_cpus(self) -> int:
        with engine_words("Asking the engine about its host"):
            return int(self._api.info()["NCPU"])

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

    def _rollout(self, item: Item) -> Rollout:
        return Rollout(self._client, item.name, item.store, self._settings.rollout, self._stop)

    def _remove(self, item: Item) -> None:
        decision = decisions.decide("absent", item.observed)
        rollout = self._rollout(item)
        purges: list[str] = []
        if self._settings.purge:
            purges = [f"volume {name}" for name in rollout.volumes()]
            purges += [item.store.path] if item.store.exists else []
        if decision.action == decisions.NONE and not purges:
            return
        before = {"state": found_state(item.observed)}
        if purges:
            before["kept"] = ", ".join(purges)
        mark_changed(item, decisions.REMOVE, before, {"state": "absent"})
        if self._settings.check_mode:
            return
        rollout.remove(item.observed)
        if self._settings.purge:
            rollout.purge()

    def _bring_up(self, item: Item) -> None:
        spec = None
        if item.state == "started" or not item.observed.exists:
            spec = self._spec(item)
            item.notes.extend(spec.notes)
        decision = decisions.decide(item.state, item.observed, spec.digest if spec else "")
        describe(item, decision, spec)
        wished = None if self._settings.secrets is None else self._settings.secrets.get(item.name, {})
        if wished is not None:
            describe_secrets(item, wished)
        if self._settings.check_mode:
            return
        if wished is not None:
            item.store.write_user_secrets(wished)
        if item.ports and decision.action != decisions.UPDATE and spec is not None:
            item.store.write_ports(item.ports)
        self._act(item, decision, spec)
        if decision.action == decisions.UPDATE:
            item.store.write_ports(item.ports)

    def _spec(self, item: Item) -> ContainerSpec:
        image = self._image(item)
        if not self._settings.check_mode:
            item.store.ensure_password()
        # In check mode there may be no password yet; fingerprints made with a random key give nothing away.
        key = item.store.password() or secrets.token_hex()
        settings = Settings(self._cpus, image.id, item.store.secrets_dir, key, self._settings.network)
        return build(item.entry, item.ports, settings)

    def _image(self, item: Item) -> Image:
        """The image to run, which has to be there and built from the planned recipe."""
        name = str(item.entry["image"])
        recipe = str(item.entry.get("recipe") or "")
        image = self._images[name]
        if image is not None and (not recipe or image.recipe == recipe):
            return image
        problem = "is not on this host" if image is None else "was built from another recipe than the planned one"
        if not self._settings.check_mode:
            raise RolloutError(f"Image {name} {problem}: the role codeopen.workspaces.images builds it.")
        item.notes.append(f"Image {name} {problem}; this is check mode, so it may only not have been built.")
        return Image(f"(to be built from recipe {recipe[:12]})", recipe)

    def _act(self, item: Item, decision: decisions.Decision, spec: Optional[ContainerSpec]) -> None:
        rollout = self._rollout(item)
        observed, base = item.observed, decision.base
        if decision.settle == decisions.DROP_PREVIOUS and observed.previous:
            rollout.remove_container(observed.previous.id)
        elif decision.settle == decisions.PUT_BACK and observed.previous:
            rollout.restore_previous(observed.previous, observed.current)
        if decision.action == decisions.CREATE and spec:
            rollout.create(spec, self._network_text, start=item.state == "started")
        elif decision.settle == decisions.RESUME and spec and observed.current and observed.previous:
            rollout.resume(observed.current, observed.previous, spec, self._network_text)
        elif base is None:
            return
        elif decision.action == decisions.UPDATE and spec:
            rollout.update(base, spec, self._network_text, decision.was_serving)
        elif decision.action == decisions.STOP:
            rollout.halt(base.id)
        elif decision.action == decisions.START and base.state == "paused":
            rollout.unpause(base.id)
        elif decision.action in (decisions.START, decisions.RESTART):
            item.store.write_network(self._network_text)
            rollout.start(base.id, restart=decision.action == decisions.RESTART)
        elif item.state == "started" and base.health == "starting":
            rollout.wait(base.id)
