# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which node of a Swarm a workspace's files are to be: chosen once, for they stay there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import format_size
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import reservation
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import nearest
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_members import former_ids

# States of a task that holds what was set aside for it.
HOLDING = ("assigned", "accepted", "preparing", "ready", "starting", "running")


@dataclass(frozen=True)
class Amounts:
    """CPUs in billionths, memory in bytes, and generic resources by kind."""

    cpus: int = 0
    memory: int = 0
    generic: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: Amounts) -> Amounts:
        """Both together."""
        kinds = {*self.generic, *other.generic}
        generic = {kind: self.generic.get(kind, 0) + other.generic.get(kind, 0) for kind in kinds}
        return Amounts(self.cpus + other.cpus, self.memory + other.memory, generic)

    def minus(self, other: Amounts) -> Amounts:
        """What is left of it without the other."""
        generic = {kind: count - other.generic.get(kind, 0) for kind, count in self.generic.items()}
        return Amounts(self.cpus - other.cpus, self.memory - other.memory, generic)

    def or_more(self, other: Amounts) -> Amounts:
        """The larger one of both in each part."""
        kinds = {*self.generic, *other.generic}
        generic = {kind: max(self.generic.get(kind, 0), other.generic.get(kind, 0)) for kind in kinds}
        return Amounts(max(self.cpus, other.cpus), max(self.memory, other.memory), generic)

    def fits_in(self, whole: Amounts) -> bool:
        """Whether it is no more than ``whole`` in any part."""
        return (
            self.cpus <= whole.cpus
            and self.memory <= whole.memory
            and all(count <= whole.generic.get(kind, 0) for kind, count in self.generic.items())
        )


@dataclass(frozen=True)
class Node:
    """A node of the Swarm.

    :ivar former: ids that its machine had before.
    """

    id: str
    name: str
    address: str
    state: str
    availability: str
    labels: Mapping[str, str]
    whole: Amounts
    former: tuple[str, ...] = ()

    @property
    def takes_services(self) -> bool:
        """Whether a service that is bound to it runs, or will do soon."""
        return self.state == "ready" and self.availability != "drain"

    @property
    def trouble(self) -> str:
        """Why it runs nothing; empty where it does."""
        if self.state != "ready":
            return self.state
        return "drained" if self.availability == "drain" else ""

    @property
    def waiting(self) -> str:
        """What a workspace does whose files are on it, in words."""
        return f"it waits for its node {self.name}, which is {self.trouble}"


def parse_node(row: Mapping[str, Any]) -> Node:
    """A node of the manager's list."""
    described = row.get("Description") or {}
    resources = described.get("Resources") or {}
    status = row.get("Status") or {}
    address = str(status.get("Addr") or "")
    manager = str((row.get("ManagerStatus") or {}).get("Addr") or "")
    if manager and address in ("", "0.0.0.0", "127.0.0.1"):
        address = manager.rpartition(":")[0]
    spec = row.get("Spec") or {}
    return Node(
        id=str(row["ID"]),
        name=str(described.get("Hostname") or row["ID"]),
        address=address,
        state=str(status.get("State") or "unknown"),
        availability=str(spec.get("Availability") or "active"),
        labels={str(key): str(value) for key, value in (spec.get("Labels") or {}).items()},
        whole=_amounts(resources),
        former=tuple(former_ids(row)),
    )


def _amounts(resources: Mapping[str, Any]) -> Amounts:
    generic: dict[str, int] = {}
    for part in resources.get("GenericResources") or []:
        named, counted = part.get("NamedResourceSpec"), part.get("DiscreteResourceSpec")
        if named:
            generic[str(named["Kind"])] = generic.get(str(named["Kind"]), 0) + 1
        elif counted:
            generic[str(counted["Kind"])] = generic.get(str(counted["Kind"]), 0) + int(counted["Value"])
    return Amounts(int(resources.get("NanoCPUs") or 0), int(resources.get("MemoryBytes") or 0), generic)


def needs_of(entry: Mapping[str, Any]) -> Amounts:
    """What of its node a workspace takes."""
    return _amounts(reservation(entry))


def held(tasks: Iterable[Mapping[str, Any]], but: Iterable[str] = ()) -> dict[str, Amounts]:
    """What is set aside for tasks, by node.

    :param but: ids of services that count for nothing, since they go.
    """
    going = set(but)
    found: dict[str, Amounts] = {}
    for task in tasks:
        node = str(task.get("NodeID") or "")
        if not node or task["Status"]["State"] not in HOLDING or task.get("ServiceID") in going:
            continue
        resources = ((task.get("Spec") or {}).get("Resources") or {}).get("Reservations") or {}
        found[node] = found.get(node, Amounts()).plus(_amounts(resources))
    return found


def follow(node_id: str, nodes: Sequence[Node]) -> Optional[Node]:
    """The node with this id, or the one that its machine has become; None where neither is in the Swarm."""
    for node in nodes:
        if node.id == node_id:
            return node
    for node in nodes:
        if node_id in node.former:
            return node
    return None


def choose_node(
    needs: Amounts, wanted: Mapping[str, str], nodes: Sequence[Node], taken: Mapping[str, Amounts], now: str = ""
) -> Node:
    """The node for a workspace: one with room for it, and the most memory left among those.

    Where none has room it is the one whose parts are large enough, and the Swarm says what is missing.

    :param wanted: labels that the node has to have.
    :param now: id of the node that it would be on without a better one.
    :raises RolloutError: no node may have it.
    """
    labelled = [node for node in nodes if all(node.labels.get(key) == value for key, value in wanted.items())]
    if not labelled:
        raise RolloutError(f"no node fits its placement {_words(wanted)}: {_labels_there(wanted, nodes)}.")
    open_ones = [node for node in labelled if node.state == "ready" and node.availability == "active"]
    if not open_ones:
        states = ", ".join(f"{node.name} is {node.trouble or 'paused'}" for node in labelled)
        placement = f" of its placement {_words(wanted)}" if wanted else ""
        raise RolloutError(f"no node{placement} takes services now: {states}.")

    def order(node: Node) -> tuple[Any, ...]:
        used = taken.get(node.id, Amounts())
        has_room = used.plus(needs).fits_in(node.whole)
        left = node.whole.memory - used.memory
        return (not has_room, not needs.fits_in(node.whole), not has_room and node.id != now, -left, node.name, node.id)

    return min(open_ones, key=order)


def waits(words: str) -> RolloutError:
    """The error of a workspace whose node is away, from the words that say so."""
    return RolloutError(f"{words}: its files are there, so it is started nowhere else.", "waiting")


def check_home(node: Node, replaces: bool) -> None:
    """See that the node with its files can run a workspace.

    :param replaces: whether a new container is to take the place of one that runs there. The old one stops first, so
        it is better known before whether the node starts a new one.
    :raises RolloutError: it cannot.
    """
    if not node.takes_services:
        raise waits(node.waiting)
    if replaces and node.availability != "active":
        raise RolloutError(
            f"its node {node.name} is paused and starts no container, so none would take the place of the one that "
            "runs there. It is as it was: let the node be active again (cluster_availability), then run again."
        )


def check_growth(needs: Amounts, own: Amounts, node: Node, taken: Amounts) -> Amounts:
    """See that a node has room for what a workspace that runs there is to have now.

    An update stops the old container first, so it is better known before.

    :param own: what it holds there; nothing where it does not run.
    :param taken: what all hold there, itself included, and are to hold after this run.
    :return: the same with what this one is to hold, and what it goes back to where that fails.
    :raises RolloutError: the node has not.
    """
    others = taken.minus(own)
    fits = others.plus(needs).fits_in(node.whole)
    if fits or needs.fits_in(own):
        return others.plus(needs.or_more(own))
    if own == Amounts():
        # It waits for room, as what is new does.
        return taken
    left = node.whole.minus(others)
    gpus = [f"{needs.generic[kind]} of {left.generic.get(kind, 0)} {kind}" for kind in sorted(needs.generic)]
    parts = [
        f"{needs.cpus / 1e9:g} of {left.cpus / 1e9:g} CPUs",
        f"{format_size(needs.memory)} of {format_size(max(0, left.memory))}",
    ]
    raise RolloutError(
        f"{node.name}, where it runs, has no room for it: it is to have {', '.join([*parts, *gpus])} that are left "
        "there. It is as it was."
    )


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _labels_there(wanted: Mapping[str, str], nodes: Sequence[Node]) -> str:
    for key, value in sorted(wanted.items()):
        values = {node.labels[key] for node in nodes if key in node.labels}
        if not values:
            keys = {name for node in nodes for name in node.labels}
            guess = nearest(key, keys)
            hint = f"; did you mean '{guess}'?" if guess else ""
            return f"no node has the label '{key}'{hint} (there are: {', '.join(sorted(keys)) or 'none'})"
        if value not in values:
            there = ", ".join(f"{node.name} has {node.labels[key]}" for node in nodes if key in node.labels)
            return f"no node has {key}={value} ({there})"
    return "no node has all of these labels"
