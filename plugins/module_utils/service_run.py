# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings one workspace of a list to its state in a Swarm: what is to be done, the doing, and the waiting."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import decision as decisions
from ansible_collections.codeopen.workspaces.plugins.module_utils import service_verdict as verdicts
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_item import (
    ServiceItem,
    describe,
    mark,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import HOLDING, Node, follow
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_purge import VolumePurge
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_secrets import SecretFiles, wished_files
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import (
    ServiceSettings,
    ServiceSpec,
    VolumeDriver,
    build_service,
    swarm_network,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_verdict import Verdict, judge
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Record, Swarm, SwarmState

_POLL = 0.5
# What is to hold has to be seen for so long: a container without a health check may die at once, and what is freed on
# a node is not given away at once.
_LASTING = 3.0
_REMOVAL_PATIENCE = 30.0


@dataclass(frozen=True)
class SwarmSettings:
    """How a run over a Swarm goes about it; times in seconds.

    :ivar network: what the user set about proxies, mirrors and CA, as the network file's text.
    :ivar secrets: values by workspace and file name; None leaves what there is.
    :ivar placement: labels that nodes have to have, for workspaces that ``placements`` does not name.
    :ivar engines: addresses of nodes' engines, by the node's name, which are asked to remove volumes.
    :ivar only_unchanged: whether to leave off, with nothing done, where there is something to change.
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
    only_unchanged: bool = False


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
            _used_secrets(item.service),
        )
        spec = self._spec()
        item.notes.extend(spec.notes)
        self._action = describe(item, spec)
        if item.store.password() or self._files.new_password:
            item.result["password_file"] = item.store.password_file
        away = item.home is not None and not item.home.takes_services
        if away and item.end_state == "started" and item.service is not None:
            item.result.update(changed=False, action=decisions.NONE)
            item.result.pop("diff", None)
            raise self._waits_for_node()

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
        before = {str(task["ID"]) for task in item.tasks}
        request = self._spec().request
        if self._action == decisions.CREATE:
            service_id = self._swarm.create(request)
        else:
            if item.service is None:
                return
            service_id = str(item.service["ID"])
            if self._action != decisions.NONE:
                self._swarm.update(item.service, request)
        if item.end_state == "stopped":
            self._wait_gone(service_id)
        else:
            if not self._served_already:
                self._wait_serving(service_id, request, before)
            self._settle()
        self._remove_old_secrets(self._files)

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

    def _waits_for_node(self) -> RolloutError:
        home = self.item.home
        name, trouble = (home.name, home.trouble) if home else ("", "")
        return RolloutError(
            f"it waits for its node {name}, which is {trouble}: its files are there, so it is started nowhere else.",
            "waiting",
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

    def _wait_serving(self, service_id: str, request: dict[str, Any], before: set[str]) -> None:
        updated = self._action in (decisions.UPDATE, decisions.RESTART) and self.item.found_state == "started"
        verdict = self._watch(service_id, before, updated)
        if verdict.kind == verdicts.SERVES:
            return
        if verdict.kind == verdicts.NODE_AWAY:
            raise self._waits_for_node()
        lines = self._swarm.log_lines(verdict.task) if verdict.task else []
        ending = "\nLast lines of its log:\n" + "\n".join(lines) if lines else ""
        reason = f"{verdict.words}.{ending}"
        if updated and verdict.kind in (verdicts.UNPLACED, verdicts.FAILED, verdicts.WAITING):
            # The Swarm itself would wait for ever.
            found = self._swarm.inspect(service_id)
            if str((found.get("UpdateStatus") or {}).get("State")) == "updating":
                self._context.tell(f"{self.item.name}: going back to what it was")
                self._swarm.update(found, found["Spec"], back=True)
                back = self._watch(service_id, before | {verdict.task}, updated)
                verdict = Verdict(
                    verdicts.ROLLED_BACK if back.kind == verdicts.ROLLED_BACK else verdicts.STUCK, verdict.words
                )
        if verdict.kind == verdicts.ROLLED_BACK:
            raise RolloutError(
                f"The update failed: {reason}\nThe Swarm went back to what it was before, which serves again.",
                rolled_back=reason,
            )
        if verdict.kind == verdicts.STUCK:
            raise RolloutError(
                f"The update failed: {reason}\nWhat it was before did not get healthy either: "
                f"'docker service ps codeopen-{self.item.name}' on a manager shows its tasks."
            )
        if verdict.kind == verdicts.UNPLACED:
            raise RolloutError(
                f"no node takes it now: {verdict.words}. It is kept, and starts as soon as there is room.", "pending"
            )
        self._halt(service_id, request)
        raise RolloutError(f"{reason}\nIt is stopped and kept.")

    def _halt(self, service_id: str, request: dict[str, Any]) -> None:
        """Let it not start again and again."""
        if self._action in (decisions.CREATE, decisions.START) or self.item.found_state == "stopped":
            still = dict(request, Mode={"Replicated": {"Replicas": 0}})
            self._swarm.update(self._swarm.inspect(service_id), still)

    def _watch(self, service_id: str, before: set[str], updated: bool) -> Verdict:
        """Look until there is a verdict that lasts, or no time left."""
        end = time.monotonic() + self._settings.health_timeout
        said = ""
        since, seen = time.monotonic(), Verdict(verdicts.WAITING, "")
        while True:
            service = self._swarm.inspect(service_id)
            tasks = self._swarm.tasks(service_id)
            verdict = judge(service, tasks, before, self._names, self._home_now(), updated)
            now = time.monotonic()
            if (verdict.kind, verdict.task) != (seen.kind, seen.task):
                since, seen = now, verdict
            # Until the Swarm begins with an update, what was before it serves.
            proven = self._action == decisions.NONE or (service.get("UpdateStatus") or {}).get("State") == "completed"
            lasting = verdict.kind == verdicts.UNPLACED or (verdict.kind == verdicts.SERVES and not proven)
            if verdict.kind != verdicts.WAITING and (not lasting or now - since >= _LASTING):
                return verdict
            if verdict.words != said and self._action != decisions.NONE:
                said = verdict.words
                self._context.tell(f"{self.item.name}: {said}")
            if now >= end:
                words = f"it was not healthy within {self._settings.health_timeout:g} seconds ({verdict.words})"
                return Verdict(verdicts.WAITING, words, verdict.task)
            if self._context.stop.wait(_POLL):
                raise RolloutError(
                    "the run was interrupted while it waited; the Swarm goes on, and so does the next run."
                )

    def _home_now(self) -> Optional[Node]:
        return follow(self.item.home.id, self._swarm.nodes()) if self.item.home else None

    def _wait_gone(self, service_id: str) -> None:
        """Wait until no container of a service runs on a node that can be asked."""
        end = time.monotonic() + self._settings.stop_timeout + _REMOVAL_PATIENCE
        while time.monotonic() < end:
            ready = {node.id for node in self._swarm.nodes() if node.state == "ready"}
            held = [task for task in self._swarm.tasks(service_id) if task["Status"]["State"] in HOLDING]
            if not any(str(task.get("NodeID")) in ready for task in held):
                if held:
                    self.item.notes.append("Its node is away: its container stops when that is back.")
                return
            if self._context.stop.wait(_POLL):
                raise RolloutError("the run was interrupted while it waited for it to stop.")
        raise RolloutError("its container did not stop: 'docker service ps' on a manager says on which node it is.")

    def _remove_old_secrets(self, files: SecretFiles) -> None:
        current = {secret.name for secret in files.files}
        for secret in self._context.state.secrets.get(self.item.name, ()):
            if secret.name not in current:
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
            self._wait_gone(str(item.service["ID"]))
        if not self._purges:
            return
        if item.record.node:
            VolumePurge(item, self._context.state, self._settings.engines, self._swarm, self._context.stop).run()
        else:
            item.notes.append("Its volumes belong to no single node, and stay.")
        self._remove_old_secrets(SecretFiles())
        if item.record.id:
            self._swarm.remove_record(item.record)
        item.store.purge()


def _used_secrets(service: Optional[Mapping[str, Any]]) -> list[str]:
    if service is None:
        return []
    files = service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Secrets") or []
    return [str(file["SecretName"]) for file in files]
