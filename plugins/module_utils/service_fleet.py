# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings all workspaces of a list to their states in a Swarm, in parallel, from one look at what there is."""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import (
    PlanError,
    RolloutError,
    WorkspacesError,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_file import file_text
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import parse_range
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import (
    SecretsStore,
    problems_of_secrets,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_item import (
    ServiceItem,
    first_result,
    mark_failed,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_limits import published, service_problems
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import (
    Amounts,
    check_growth,
    choose_node,
    follow,
    held,
    needs_of,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_ports import assign_numbers
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_run import (
    ServiceRun,
    SwarmContext,
    SwarmSettings,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import (
    FENCE,
    LABEL_NODE,
    is_pinned,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_verdict import assigned_node
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Record, Swarm, SwarmState

if TYPE_CHECKING:
    from docker import DockerClient


class ServiceFleet:
    """A run over a list of workspaces in a Swarm.

    :param client: of an engine that manages the Swarm.
    :param stop: set by whoever wants the run to end early.
    :param tell: takes a line about each step, for people who wait.
    :ivar unfinished: why it could not tidy up in the end; empty where it could.
    """

    def __init__(
        self, client: DockerClient, settings: SwarmSettings, stop: threading.Event, tell: Callable[[str], None]
    ) -> None:
        self._swarm = Swarm(client)
        self._settings = dataclasses.replace(settings, network=file_text(settings.network))
        self._stop = stop
        self._tell = tell
        self._items: list[ServiceItem] = []
        self._recipes: dict[str, Any] = {}
        self.unfinished = ""

    def converge(
        self, workspaces: Sequence[Mapping[str, Any]], pools: Sequence[Mapping[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """Bring every workspace to its state; each has its own result, with ``error`` where it failed.

        :param pools: which are refused.
        :raises PlanError: with every mistake of the list; nothing was touched then.
        :raises WorkspacesError: the engine does not manage a Swarm, or cannot be used.
        """
        problems = service_problems(workspaces, pools) + problems_of_secrets(self._settings.secrets or {})
        if problems:
            raise PlanError(problems)
        state = self._swarm.look()
        context = SwarmContext(self._swarm, self._settings, self._stop, self._tell, state, dict(state.networks))
        self._items = [self._item(entry, state) for entry in workspaces]
        present = [item for item in self._items if item.state != "absent"]
        self._assign_ports(present, state)
        taken = held(
            [task for tasks in state.tasks.values() for task in tasks],
            but=[str(item.service["ID"]) for item in self._items if item.service and item.end_state != "started"],
        )
        address = next((node.address for node in state.nodes if node.id == state.own_node), "")
        for item in self._items:
            item.result = first_result(item, address)
        self._each(present, lambda item: self._place(item, state, taken), parallel=1)
        for item in present:
            item.result.update({key: first_result(item, address)[key] for key in ("node", "urls")})
        runs = {item.name: ServiceRun(item, context) for item in self._items}
        self._each(self._items, lambda item: runs[item.name].prepare())
        changing = [item for item in self._items if item.result["changed"] and not item.failed]
        if not self._settings.check_mode:
            self._carry_out(runs, changing, context)
        return [item.result for item in self._items]

    def _item(self, entry: Mapping[str, Any], state: SwarmState) -> ServiceItem:
        name = str(entry["name"])
        service = state.service(name)
        record = state.records.get(name) or Record(secrets.token_hex(32))
        placement = self._settings.placements.get(name, self._settings.placement)
        return ServiceItem(
            entry,
            service,
            state.tasks_of(service),
            record,
            SecretsStore(self._settings.state_dir, name),
            placement={str(key): str(value) for key, value in placement.items()},
        )

    def _assign_ports(self, present: Sequence[ServiceItem], state: SwarmState) -> None:
        """Give each workspace the numbers that it publishes, which stay its own."""
        ours = {item.name for item in present}
        taken = {
            number for name, record in state.records.items() if name not in ours for number in record.ports.values()
        }
        own = {str(item.service["ID"]) for item in present if item.service}
        for service in state.services.values():
            if str(service["ID"]) not in own:
                taken.update(_published_numbers(service))
        wishes: dict[str, dict[str, Any]] = {}
        for item in present:
            wishes[item.name] = {str(port["name"]): port.get("host") for port in published(item.entry)}
            if is_pinned(item.entry, self._settings.driver):
                wishes[item.name][FENCE] = None
        recorded = {item.name: item.record.ports for item in present}
        numbers = assign_numbers(wishes, recorded, taken, parse_range(self._settings.port_range))
        for item in present:
            item.ports = numbers[item.name]

    def _place(self, item: ServiceItem, state: SwarmState, taken: dict[str, Amounts]) -> None:
        """Find the node of its files, or choose one, and see that its image is what was planned."""
        self._check_image(item)
        needs = needs_of(item.entry)
        if not is_pinned(item.entry, self._settings.driver):
            choose_node(needs, item.placement, state.nodes, taken)
            return
        labels = (item.service["Spec"].get("Labels") or {}) if item.service else {}
        known = item.record.node or str(labels.get(LABEL_NODE) or "")
        node = follow(known, state.nodes) if known else None
        # A service that no node has taken yet has left no files anywhere.
        settled = item.record.settled or item.service is None or bool(assigned_node(item.tasks))
        if known and settled:
            if node is None:
                raise RolloutError(
                    f"its files are on a node ({known}) that is not in the Swarm any more: the role "
                    "codeopen.workspaces.cluster brings it back. To do without them: state absent with purge first."
                )
            unfit = [f"{key}={value}" for key, value in item.placement.items() if node.labels.get(key) != value]
            if unfit:
                raise RolloutError(
                    f"its files are on {node.name}, which has not got {', '.join(unfit)} of its placement, and a "
                    "workspace never moves by itself: give that node the label, or this workspace another placement."
                )
            item.home = node
            if item.end_state == "started":
                own = held(item.tasks).get(node.id, Amounts())
                taken[node.id] = check_growth(needs, own, node, taken.get(node.id, Amounts()))
            return
        item.home = choose_node(needs, item.placement, state.nodes, taken, now=node.id if node else "")
        taken[item.home.id] = taken.get(item.home.id, Amounts()).plus(needs)

    def _check_image(self, item: ServiceItem) -> None:
        """What other nodes have of images only they can tell; this one is asked."""
        image, planned = str(item.entry["image"]), str(item.entry.get("recipe") or "")
        if image not in self._recipes:
            self._recipes[image] = self._swarm.recipe(image)
        found = self._recipes[image]
        if found is None or not planned or found == planned:
            return
        problem = f"Image {image} of this manager was built from another recipe than the planned one"
        if not self._settings.check_mode:
            raise RolloutError(f"{problem}: the role codeopen.workspaces.images builds it on every node.")
        item.notes.append(f"{problem}; this is check mode, so it may only not have been built.")

    def _carry_out(
        self, runs: Mapping[str, ServiceRun], changing: Sequence[ServiceItem], context: SwarmContext
    ) -> None:
        if changing:
            self._tell(f"{len(changing)} of {len(runs)} workspaces to change")
            owners = [str(item.entry.get("owner") or "") for item in changing if item.state != "absent"]
            context.networks = self._swarm.ensure_networks(owners, context.networks)
        # Those that go, or stop, make room for those that come.
        leaving = [item for item in self._items if item.end_state != "started"]
        self._each(leaving, lambda item: runs[item.name].carry_out())
        self._each([item for item in self._items if item not in leaving], lambda item: runs[item.name].carry_out())
        if changing:
            try:
                self._swarm.remove_unused_networks()
            except WorkspacesError as error:
                # What became of the workspaces is to be told all the same.
                self.unfinished = str(error)

    def _each(self, items: Iterable[ServiceItem], work: Callable[[ServiceItem], None], parallel: int = 0) -> None:
        """Do this with each that has not failed."""

        def guarded(item: ServiceItem) -> None:
            begun = time.monotonic()
            try:
                work(item)
            except (WorkspacesError, OSError) as error:
                mark_failed(item, error)
                self._tell(f"{item.name}: failed: {str(error).splitlines()[0]}")
            else:
                took = time.monotonic() - begun
                if item.result["changed"] and took > 1:
                    self._tell(f"{item.name}: {item.result['action']} done in {took:.1f} s")

        left = [item for item in items if not item.failed]
        if not left:
            return
        with ThreadPoolExecutor(max_workers=max(1, min(parallel or self._settings.parallel, len(left)))) as pool:
            list(pool.map(guarded, left))


def _published_numbers(service: Mapping[str, Any]) -> list[int]:
    parts = [service.get("Endpoint") or {}, service["Spec"].get("EndpointSpec") or {}]
    ports = [port for part in parts for port in part.get("Ports") or []]
    return [int(port["PublishedPort"]) for port in ports if port.get("PublishedPort")]
