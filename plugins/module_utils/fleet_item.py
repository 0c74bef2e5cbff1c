# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One workspace on its way through a run, and what people are told about it. Pure, but for the store it asks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import decision as decisions
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import (
    ContainerSpec,
    difference,
    fingerprint,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import PortRequest, PortWish, urls
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore

# What a new workspace becomes that only has to be present.
_NEW = {"present": "stopped"}


@dataclass
class Item:
    """One workspace on its way through a run; ``result`` is what its user gets to see.

    :ivar asleep: the idle policy stopped it, and nobody has asked for it since then.
    """

    entry: Mapping[str, Any]
    observed: Observed
    store: SecretsStore
    ports: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    asleep: bool = False

    @property
    def name(self) -> str:
        """The workspace's name."""
        return str(self.entry["name"])

    @property
    def state(self) -> str:
        """The state that is wished: one that is asleep stays stopped, one that is to be present stays what it is."""
        wished = "stopped" if self.asleep else str(self.entry.get("state") or "started")
        return found_state(self) if wished == "present" and self.observed.exists else _NEW.get(wished, wished)

    @property
    def end_state(self) -> str:
        """The state that it is in when that is done."""
        return "asleep" if self.asleep else "started" if self.state == "restarted" else self.state

    @property
    def serves(self) -> bool:
        """Whether it ran and was healthy when the run began, with no update left unfinished."""
        current = self.observed.current
        return current is not None and current.serves and self.observed.previous is None

    @property
    def failed(self) -> bool:
        """Whether it did not get there."""
        return "error" in self.result


def port_request(item: Item) -> PortRequest:
    """What it wants of the host's ports, and what it has."""
    wishes = [
        PortWish(str(port["name"]), int(port["container"]), port.get("host"), str(port.get("address") or "127.0.0.1"))
        for port in item.entry.get("ports") or []
    ]
    containers = [part for part in (item.observed.current, item.observed.previous) if part is not None]
    labelled = {name: int(port["host"]) for part in containers for name, port in part.ports.items()}
    own = {
        int(port["host"])
        for part in containers
        # A stopped one that stays stopped binds nothing, and nothing has to be free for it.
        if part.state in ("running", "restarting", "paused") or item.state == "stopped"
        for port in part.ports.values()
    }
    return PortRequest(item.name, wishes, item.store.ports() or labelled, frozenset(own))


def keeps_its_ports(request: PortRequest) -> bool:
    """Whether it has all its ports already, so that nobody else need be asked."""
    return all((wish.host or request.recorded.get(wish.name)) in request.own for wish in request.wishes)


def found_state(item: Item) -> str:
    """The found state in the words of the wished ones."""
    if not item.observed.exists:
        return "absent"
    if item.asleep:
        return "asleep"
    found = {part.state for part in (item.observed.current, item.observed.previous) if part is not None}
    return "started" if "running" in found else "paused" if "paused" in found else "stopped"


def first_result(item: Item) -> dict[str, Any]:
    """The result of a workspace that nothing is done to."""
    result: dict[str, Any] = {"name": item.name, "changed": False, "state": item.end_state, "action": decisions.NONE}
    result["notes"] = item.notes
    if item.entry.get("pool"):
        result["pool"] = str(item.entry["pool"])
    if item.state == "absent":
        return result
    result["image"] = str(item.entry["image"])
    result["ports"] = item.ports
    result["urls"] = urls(
        {
            str(port["name"]): {"host": item.ports[str(port["name"])], "address": port.get("address") or "127.0.0.1"}
            for port in item.entry.get("ports") or []
        }
    )
    result["password_file"] = item.store.password_file
    return result


def describe(item: Item, decision: decisions.Decision, spec: Optional[ContainerSpec]) -> None:
    """Say what changes before it is done, in check mode and out of it alike."""
    action = decision.action
    if action == decisions.NONE:
        return
    found = found_state(item)
    before: dict[str, Any] = {"state": found}
    after: dict[str, Any] = {"state": item.end_state}
    if action == decisions.CREATE and spec:
        after.update(spec.configuration)
    elif action == decisions.UPDATE and spec:
        old = item.observed.previous if decision.settle == decisions.RESUME else decision.base
        changed_before, changed_after = difference(old.configuration if old else {}, spec.configuration)
        before.update(changed_before)
        after.update(changed_after)
    elif action == decisions.RESTART and decision.base and decision.base.health == "unhealthy":
        before["health"] = "unhealthy"
    if decision.settle != decisions.KEEP:
        before["update"] = "interrupted"
    mark_changed(item, action, before, after)


def describe_live(item: Item, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Say what changes without another start; a workspace that nothing else is done to is changed, too.

    :param before: limits and network of the container that there is, and what nothing of it depends on.
    """
    changed_before, changed_after = difference(before, after)
    if not changed_after:
        return
    if not item.result["changed"]:
        mark_changed(item, decisions.APPLY, {"state": found_state(item)}, {"state": item.end_state})
    item.result["diff"]["before"].update(changed_before)
    item.result["diff"]["after"].update(changed_after)


def describe_secrets(item: Item, wished: Mapping[str, str]) -> None:
    """Say which files of secrets change, by fingerprints; a workspace that nothing else is done to is changed, too."""
    # In check mode there may be no password yet; fingerprints made with a random key give nothing away.
    key = item.store.password() or secrets.token_hex()
    found = item.store.user_secrets()
    misplaced = item.store.misplaced(wished)
    names = sorted(name for name in {*found, *wished} if found.get(name) != wished.get(name) or name in misplaced)
    if not names:
        return
    if not item.result["changed"]:
        state = found_state(item)
        mark_changed(item, decisions.APPLY, {"state": state}, {"state": item.end_state})
    for side, values in (("before", found), ("after", wished)):
        told = {name: f"(value {fingerprint(key, values[name])})" for name in names if name in values}
        item.result["diff"][side]["secrets"] = told
    if misplaced:
        place = "memory" if item.store.memory_dir else "disk"
        item.result["diff"]["after"]["secrets_in"] = place


def describe_place(item: Item, before: str, after: str) -> None:
    """Say that an update makes a container that has its secrets from another place, even if there are none yet."""
    if before != after:
        item.result["diff"]["before"]["secrets_in"] = before
        item.result["diff"]["after"]["secrets_in"] = after


def mark_changed(item: Item, action: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Note what is done, and what it changes."""
    item.result.update(changed=True, action=action, diff={"before": before, "after": after})


def mark_failed(item: Item, error: Exception) -> None:
    """Note that it did not get there, why, and whether its predecessor serves again."""
    item.result.update(error=str(error), state="failed")
    if isinstance(error, RolloutError):
        item.result["rolled_back"] = bool(error.rolled_back)
        if error.rolled_back:
            item.result["reason"] = error.rolled_back
