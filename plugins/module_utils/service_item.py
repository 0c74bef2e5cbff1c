# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One workspace on its way through a run over a Swarm, and what people are told about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import decision as decisions
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import difference
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_CONFIGURATION, json_object
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import urls
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_drift import drifted
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_limits import published
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import HOLDING, Node
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import ServiceSpec
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Record

_REPLICAS = "Mode.Replicated.Replicas"
_RESTARTS = "TaskTemplate.ForceUpdate"


@dataclass
class ServiceItem:
    """One workspace; ``result`` is what its user gets to see.

    :ivar service: as found; None where there is none.
    :ivar home: the node with its volumes, or with them to be; None where it may run anywhere.
    :ivar ports: numbers that it publishes, and that of its fence.
    """

    entry: Mapping[str, Any]
    service: Optional[Mapping[str, Any]]
    tasks: Sequence[Mapping[str, Any]]
    record: Record
    store: SecretsStore
    home: Optional[Node] = None
    placement: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The workspace's name."""
        return str(self.entry["name"])

    @property
    def state(self) -> str:
        """The state that is wished."""
        return str(self.entry.get("state") or "started")

    @property
    def end_state(self) -> str:
        """The state that it is in when that is done."""
        return "started" if self.state == "restarted" else self.state

    @property
    def failed(self) -> bool:
        """Whether it did not get there."""
        return "error" in self.result

    @property
    def found_state(self) -> str:
        """The found state in the words of the wished ones."""
        if self.service is None:
            return "absent"
        replicas = ((self.service["Spec"].get("Mode") or {}).get("Replicated") or {}).get("Replicas")
        return "started" if replicas else "stopped"

    def runs(self, nodes: Sequence[Node]) -> bool:
        """Whether a container of it runs, or is about to, on one of these nodes."""
        ids = {node.id for node in nodes}
        return any(task.get("NodeID") in ids and task["Status"]["State"] in HOLDING for task in self.tasks)

    @property
    def restarts(self) -> int:
        """How often somebody asked for a restart of its service."""
        return int(self.service["Spec"]["TaskTemplate"].get("ForceUpdate") or 0) if self.service else 0


def first_result(item: ServiceItem, address: str) -> dict[str, Any]:
    """The result of a workspace that nothing is done to.

    :param address: where what may run on any node is reached.
    """
    result: dict[str, Any] = {"name": item.name, "changed": False, "state": item.end_state, "action": decisions.NONE}
    result["notes"] = item.notes
    if item.state == "absent":
        return result
    result["image"] = str(item.entry["image"])
    result["node"] = item.home.name if item.home else ""
    result["ports"] = {str(port["name"]): item.ports[str(port["name"])] for port in published(item.entry)}
    host = item.home.address if item.home else address
    result["urls"] = urls({name: {"host": port, "address": host} for name, port in result["ports"].items()})
    return result


def describe(item: ServiceItem, spec: ServiceSpec) -> str:
    """Say what changes before it is done, in check mode and out of it alike; the action."""
    if item.service is None:
        mark(item, decisions.CREATE, {"state": "absent"}, {"state": item.end_state, **spec.configuration})
        return decisions.CREATE
    found = item.service["Spec"]
    paths = [path for path in drifted(found, spec.request) if path not in (_REPLICAS, _RESTARTS)]
    was, end = item.found_state, item.end_state
    if paths:
        configuration = json_object((found.get("Labels") or {}).get(LABEL_CONFIGURATION))
        before, after = difference(configuration, spec.configuration)
        if not after:
            # Somebody changed it by other means.
            after = {"mended": sorted(paths)}
        mark(item, decisions.UPDATE, {"state": was, **before}, {"state": end, **after})
        return decisions.UPDATE
    if item.state == "restarted":
        mark(item, decisions.RESTART, {"state": was}, {"state": end})
        return decisions.RESTART
    if was != end:
        action = decisions.START if end == "started" else decisions.STOP
        mark(item, action, {"state": was}, {"state": end})
        return action
    return decisions.NONE


def mark(item: ServiceItem, action: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Note what is done, and what it changes."""
    item.result.update(changed=True, action=action, diff={"before": before, "after": after})


def mark_failed(item: ServiceItem, error: Exception) -> None:
    """Note that it did not get there, why, and whether its predecessor serves again."""
    item.result.update(error=str(error), state="failed")
    if isinstance(error, RolloutError):
        if error.state:
            item.result["state"] = error.state
        item.result["rolled_back"] = bool(error.rolled_back)
        if error.rolled_back:
            item.result["reason"] = error.rolled_back
