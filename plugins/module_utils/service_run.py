# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings one workspace of a list to its state in a Swarm: what is to be done, the doing, and the waiting."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import decision as decisions
from ansible_collections.codeopen.workspaces.plugins.module_utils import service_verdict as verdicts
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_insist import (
    change_seen,
    go_back,
    keep_stopped,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_item import (
    ServiceItem,
    describe,
    mark,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import (
    check_home,
    follow,
    waits,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_purge import VolumePurge
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_secrets import (
    SecretFiles,
    names_needed,
    names_of,
    wished_files,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import (
    ServiceSettings,
    ServiceSpec,
    VolumeDriver,
    build_service,
    swarm_network,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_verdict import judge
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_watch import ServiceWatch
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Record, Swarm, SwarmState


@dataclass(frozen=True)
class SwarmSettings:
    """How a run over a Swarm goes about it; times in seconds.

    :ivar network: what the user set about proxies, mirrors and CA, as the network file's text.
    :ivar secrets: values by workspace and file name; None leaves what there is.
    :ivar placement: labels that nodes have to have, for workspaces that ``placements`` does not name.
    :ivar engines: addresses of nodes' engines, by the node's name, which are asked to remove volumes.
    """

    state_dir: str
    health_timeout: float = 180
    stop_timeout: int = 10
    monitor: float = 5
    parallel: int = 8
    purge: bool = False
    port_range: str = "20000-29999"
    network: str = ""
    secrets: Optional[Mapping[str, Mapping[str, str]]] = None
    placement: Mapping[str, str] = field(default_factory=dict)
    placements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    driver: VolumeDriver = field(default_factory=VolumeDriver)
    engines: Mapping[str, str] = field(default_factory=dict)
    check_mode: bool = False


@dataclass
class SwarmContext:
    """What all workspaces of a run share."""

    swarm: Swarm
    settings: SwarmSettings
    stop: threading.Event
    tell: Callable[[str], None]
    state: SwarmState
    networks: dict[str, str] = field(default_factory=dict)


class ServiceRun:
    """The run over one workspace."""

    def __init__(self, item: ServiceItem, context: SwarmContext) -> None:
        self.item = item
        self._context = context
        self._settings = context.settings
        self._swarm = context.swarm
        self._action = decisions.NONE
        self._files = SecretFiles()
        self._names = {node.id: node.name for node in context.state.nodes}
        self._watch = ServiceWatch(
            item,
            context.swarm,
            context.settings.health_timeout,
            context.settings.stop_timeout,
            context.stop,
            context.tell,
        )

    def prepare(self) -> None:
        """Find out what is to be done, and say what it changes."""
        item = self.item
        if item.state == "absent":
            self._prepare_removal()
            return
        given = self._settings.secrets
        self._files = wished_files(
            item.name,
            item.record.key,
            item.store,
            self._settings.network,
            None if given is None else given.get(item.name, {}),
            self._context.state.secrets.get(item.name, ()),
            names_of(item.service["Spec"]) if item.service else (),
        )
        spec = self._spec()
        item.notes.extend(spec.notes)
        self._action = describe(item, spec)
        if item.store.password() or self._files.new_password:
            item.result["password_file"] = item.store.password_file
        if item.home is not None and item.end_state == "started" and item.service is not None:
            try:
                check_home(item.home, self._replaces)
            except RolloutError:
                item.result.update(changed=False, action=decisions.NONE)
                item.result.pop("diff", None)
                raise

    def carry_out(self) -> None:
        """Do it, and wait until it is done."""
        item = self.item
        if item.state == "absent":
            if item.result["changed"]:
                self._remove()
            return
        self._write_record()
        if self._action != decisions.NONE:
            self._files.make(self._swarm, item.name, item.store)
        service_id = self._apply(self._spec().request)
        try:
            if item.end_state == "stopped":
                self._watch.gone(service_id)
            else:
                if not self._served_already:
                    self._wait_serving(service_id)
                self._settle()
        finally:
            if not self._context.stop.is_set():
                self._remove_old_secrets(names_needed(self._swarm.inspect(service_id)))

    def _apply(self, request: dict[str, Any]) -> str:
        """Let the Swarm know; the id of the service."""
        item = self.item
        if item.service is None:
            return self._swarm.create(request)
        if self._action == decisions.UPDATE and not item.runs(self._context.state.nodes):
            # Nothing of it runs, so there is nothing to replace: the Swarm would wait for what never began to stop.
            self._swarm.remove(item.service)
            return self._swarm.create(request)
        if self._action != decisions.NONE:
            change_seen(self._swarm, item.service, request)
        return str(item.service["ID"])

    def _spec(self) -> ServiceSpec:
        item, settings = self.item, self._settings
        return build_service(
            item.entry,
            ServiceSettings(
                network_id=self._context.networks.get(
                    swarm_network(str(item.entry.get("owner") or "")), "(to be made)"
                ),
                key=item.record.key,
                node=item.home.id if item.home else "",
                node_name=item.home.name if item.home else "",
                constraints=item.placement,
                secrets=self._files.files,
                ports=item.ports,
                driver=settings.driver,
                stop_timeout=settings.stop_timeout,
                monitor=settings.monitor,
                restarts=item.restarts + (1 if item.state == "restarted" and item.service else 0),
            ),
        )

    def _write_record(self) -> None:
        """Before there is a service, so that the node is known whatever becomes of it."""
        item = self.item
        node = item.home.id if item.home else item.record.node
        wished = dataclasses.replace(item.record, node=node, ports=item.ports)
        if wished != item.record or not item.record.id:
            item.record = self._swarm.write_record(item.name, wished)

    @property
    def _served_already(self) -> bool:
        """Whether nothing is done to it, and it ran when the run began."""
        item = self.item
        if self._action != decisions.NONE or item.service is None:
            return False
        before = {str(task["ID"]) for task in item.tasks}
        return judge(item.service, item.tasks, before, self._names, item.home, False).kind == verdicts.SERVES

    def _settle(self) -> None:
        """Note that its files are on its node now."""
        item = self.item
        if item.home is not None and not item.record.settled:
            item.record = self._swarm.write_record(item.name, dataclasses.replace(item.record, settled=True))

    def _wait_serving(self, service_id: str) -> None:
        item = self.item
        found_updating = self._action == decisions.NONE and verdicts.under_way(item.service)
        before = {str(task["ID"]) for task in item.tasks}
        if item.service is not None and found_updating:
            # What another run began, which was interrupted or is not done yet: its failures are to be told here, too.
            before = verdicts.older_tasks(item.service, item.tasks)
        updated = self._replaces or found_updating
        verdict = self._watch.verdict(service_id, before, updated, quiet=self._action == decisions.NONE)
        if verdict.kind == verdicts.SERVES:
            return
        if verdict.kind == verdicts.NODE_AWAY:
            raise waits(verdict.words)
        placed = verdict.task and verdict.kind != verdicts.UNPLACED
        lines = self._swarm.log_lines(verdict.task) if placed else []
        ending = "\nLast lines of its log:\n" + "\n".join(lines) if lines else ""
        reason = f"{verdict.words}.{ending}"
        if updated:
            if verdict.kind not in (verdicts.ROLLED_BACK, verdicts.STUCK):
                # The Swarm itself would wait for ever.
                go_back(self._swarm, service_id)
                item.result["changed"] = True
            if self._watch.serves_again(service_id):
                raise RolloutError(
                    f"The update failed: {reason}\nThe Swarm went back to what it was before, which serves again.",
                    rolled_back=reason,
                )
            raise RolloutError(
                f"The update failed: {reason}\nWhat it was before did not get healthy either: "
                f"'docker service ps codeopen-{item.name}' on a manager shows its tasks."
            )
        if verdict.kind == verdicts.UNPLACED:
            raise RolloutError(
                f"no node takes it now: {verdict.words}. It is kept, and starts as soon as there is room.", "pending"
            )
        if self._action != decisions.NONE:
            # Let it not start again and again.
            keep_stopped(self._swarm, service_id)
            reason += "\nIt is stopped and kept."
        raise RolloutError(reason)

    @property
    def _replaces(self) -> bool:
        """Whether a new container takes the place of one that runs."""
        return self._action in (decisions.UPDATE, decisions.RESTART) and self.item.runs(self._context.state.nodes)

    def _remove_old_secrets(self, used: Collection[str]) -> None:
        """Remove those of its secrets that nothing uses, among them those of an update that was rolled back."""
        for secret in {*self._context.state.secrets.get(self.item.name, ()), *self._files.files}:
            if secret.name not in used:
                self._swarm.remove_secret(secret)

    @property
    def _purges(self) -> bool:
        return self._settings.purge or bool(self.item.entry.get("purge"))

    def _prepare_removal(self) -> None:
        item = self.item
        before = {"state": item.found_state}
        secrets = self._context.state.secrets.get(item.name, ())
        if self._purges and (item.record.id or item.store.exists):
            kept = [f"volumes on {self._node_words(item.record)}"] if item.record.node else []
            before["kept"] = ", ".join([*kept, "record", *([item.store.path] if item.store.exists else [])])
        elif item.service is None and not (self._purges and secrets):
            return
        mark(item, decisions.REMOVE, before, {"state": "absent"})

    def _node_words(self, record: Record) -> str:
        node = follow(record.node, self._context.state.nodes)
        return node.name if node else f"a node that is gone ({record.node})"

    def _remove(self) -> None:
        item = self.item
        if item.service is not None:
            self._swarm.remove(item.service)
            self._watch.gone(str(item.service["ID"]))
        if not self._purges:
            return
        if item.record.node:
            VolumePurge(item, self._context.state, self._settings.engines, self._swarm, self._context.stop).run()
        else:
            item.notes.append("Its volumes belong to no single node, and stay.")
        self._remove_old_secrets(())
        if item.record.id:
            self._swarm.remove_record(item.record)
        item.store.purge()
