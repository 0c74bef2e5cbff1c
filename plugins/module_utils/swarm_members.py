# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a Swarm and who should be: what has to be done for the hosts of an inventory to be one Swarm. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import ProblemsError

ROLES = ("manager", "worker")
AVAILABILITIES = ("active", "pause", "drain")
# On a node: the ids that the same machine had in the Swarm before it was reset. What is pinned to one of them, with
# its volumes there, is pinned to this node.
LABEL_FORMER = "codeopen.former"

_RESOURCE = re.compile(r"[A-Za-z0-9_.-]+=[A-Za-z0-9_.:-]+")
# Local states of an engine that is part of a Swarm, or believes so.
_MEMBER_STATES = ("active", "pending", "error")


class ClusterError(ProblemsError):
    """What stands against the hosts' being one Swarm."""

    heading = "in the Swarm"


def member_problems(member: Mapping[str, Any]) -> Iterable[str]:
    """Mistakes in what the inventory says of one host, in words."""
    name = member["name"]
    if member["role"] not in ROLES:
        yield f"{name}: the role in the Swarm is '{member['role']}': expected one of {', '.join(ROLES)}."
    if member["availability"] not in AVAILABILITIES:
        expected = ", ".join(AVAILABILITIES)
        yield f"{name}: the availability in the Swarm is '{member['availability']}': expected one of {expected}."
    for resource in member.get("resources") or []:
        if not _RESOURCE.fullmatch(str(resource)):
            yield f"{name}: generic resource {resource!r}: expected kind=value, such as NVIDIA-GPU=GPU-0123abcd."
    if LABEL_FORMER in (member.get("labels") or {}):
        yield f"{name}: the node label {LABEL_FORMER} is the collection's own; choose another."


def choose_primary(members: Sequence[Mapping[str, Any]], force_new: bool = False) -> dict[str, Any]:
    """The host whose engine speaks for the Swarm, as ``primary``, and whether it is to ``init`` it or to ``force`` it.

    :param members: a host each, with ``name``, ``role``, ``availability``, ``labels``, ``resources``,
        ``live_restore``, and ``swarm``, what its engine says of it (``Swarm`` of the engine's information).
    :param force_new: whether a manager that lost the quorum may begin anew with what it knows.
    :raises ClusterError: with all that stands against it.
    """
    problems = [text for member in members for text in member_problems(member)]
    managers = [member for member in members if member["role"] == "manager"]
    if not managers:
        problems.append("No host is a manager: give one of them the role manager.")
    for member in members:
        if _state(member) == "locked":
            problems.append(f"{member['name']}: its part of the Swarm is locked: 'docker swarm unlock' there opens it.")
        if member.get("live_restore") and _state(member) == "inactive":
            problems.append(
                f"{member['name']}: live-restore is on, which Swarm excludes: engine_live_restore: false in the role "
                "engine turns it off, and so does 'live-restore': false in the engine's configuration."
            )
    leading = [member for member in members if _leads(member)]
    swarms = {_swarm_id(member): str(member["name"]) for member in reversed(leading)}
    if len(swarms) > 1:
        names = " and ".join(sorted(swarms.values()))
        problems.append(f"{names} manage different Swarms: 'docker swarm leave --force' on those that are to join.")
    if problems:
        raise ClusterError(problems)
    return _choose(members, leading, force_new)


def _choose(
    members: Sequence[Mapping[str, Any]], leading: Sequence[Mapping[str, Any]], force_new: bool
) -> dict[str, Any]:
    fitting = [str(member["name"]) for member in leading if member["role"] == "manager"]
    if fitting:
        return {"primary": fitting[0], "init": False, "force": False}
    if leading:
        raise ClusterError(
            [
                f"{leading[0]['name']} manages the Swarm, and the inventory has it as a worker while none of its "
                "managers is one yet: leave it a manager for one run, in which the others become managers."
            ]
        )
    lost = [member for member in members if member["swarm"].get("ControlAvailable")]
    if lost and not force_new:
        raise ClusterError([_quorum_words(member) for member in lost])
    if lost:
        return {"primary": str(lost[0]["name"]), "init": True, "force": True}
    orphans = [str(member["name"]) for member in members if _state(member) in _MEMBER_STATES]
    if orphans:
        raise ClusterError(
            [
                f"{', '.join(orphans)}: in a Swarm none of whose managers is among the hosts of this run. Run it with "
                "a manager of it, or 'docker swarm leave --force' on each of these, if that Swarm is gone."
            ]
        )
    first = next(str(member["name"]) for member in members if member["role"] == "manager")
    return {"primary": first, "init": True, "force": False}


def _quorum_words(member: Mapping[str, Any]) -> str:
    said = " ".join(str(member["swarm"].get("Error") or "").split())
    return (
        f"{member['name']}: it is a manager, and the Swarm has no quorum ({said}). Bring the other managers back: "
        "services keep running meanwhile. If more than half of them are gone for good, cluster_force_new_cluster: "
        "true makes a Swarm of one manager out of what this one knows, once, and the others join again."
    )


def find_strangers(members: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Hosts that have to ``leave`` before they can join, and those that are to ``join``, by name.

    :param nodes: the Swarm's nodes, as its manager tells.
    :raises ClusterError: some are part of another Swarm.
    """
    ids = {str(node["ID"]) for node in nodes}
    ours = {str(node["ManagerStatus"].get("Addr")) for node in nodes if node.get("ManagerStatus")}
    leave, join, problems = [], [], []
    for member in members:
        name = str(member["name"])
        if _node_id(member) in ids:
            continue
        join.append(name)
        if _state(member) not in _MEMBER_STATES:
            continue
        leave.append(name)
        remote = {str(peer.get("Addr")) for peer in member["swarm"].get("RemoteManagers") or []}
        if not remote & ours:
            where = ", ".join(sorted(remote)) or "unknown managers"
            problems.append(
                f"{name}: in another Swarm ({where}): 'docker swarm leave --force' there, if it is to join this one."
            )
    if problems:
        raise ClusterError(problems)
    return {"leave": leave, "join": join}


def node_settings(members: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each host's node is to be: ``name``, ``id``, ``role``, ``availability``, ``labels``, and ``stale``, what is
    left in the Swarm of the same machine: ``id``, and whether it was a ``manager``.

    Hosts that are not in the Swarm are left out. An entry is stale when it is down and has both the name and the
    address of a host's node: two machines may have one name.
    """
    current = {_node_id(member) for member in members}
    by_id = {str(node["ID"]): node for node in nodes}
    settings = []
    for member in members:
        node = by_id.get(_node_id(member))
        if node is None:
            continue
        stale = [other for other in nodes if str(other["ID"]) not in current and _same_machine(node, other)]
        labels = {str(key): str(value) for key, value in (member.get("labels") or {}).items()}
        former = former_ids(node)
        for gone in stale:
            former += [*former_ids(gone), str(gone["ID"])]
        if former:
            labels[LABEL_FORMER] = ",".join(dict.fromkeys(former))
        settings.append(
            {
                "name": str(member["name"]),
                "id": _node_id(member),
                "role": member["role"],
                "availability": member["availability"],
                "labels": labels,
                "stale": [{"id": str(one["ID"]), "manager": _manages(one)} for one in stale],
            }
        )
    return settings


def former_ids(node: Mapping[str, Any]) -> list[str]:
    """The ids that a node's machine had before, oldest first."""
    text = str(((node.get("Spec") or {}).get("Labels") or {}).get(LABEL_FORMER) or "")
    return [part for part in text.split(",") if part]


def manager_addresses(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where nodes join, ``address:port``, those of managers that answer."""
    statuses = [node.get("ManagerStatus") or {} for node in nodes]
    return sorted(str(status["Addr"]) for status in statuses if status.get("Reachability") == "reachable")


def _same_machine(node: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (
        (other.get("Status") or {}).get("State") == "down"
        and _hostname(node) == _hostname(other)
        and _address(node) == _address(other)
    )


def _manages(node: Mapping[str, Any]) -> bool:
    return bool((node.get("Spec") or {}).get("Role") == "manager")


def _hostname(node: Mapping[str, Any]) -> str:
    return str((node.get("Description") or {}).get("Hostname") or "")


def _address(node: Mapping[str, Any]) -> Optional[str]:
    """The engine tells a leader's own address as that of its manager only."""
    address = str((node.get("Status") or {}).get("Addr") or "")
    manager = str((node.get("ManagerStatus") or {}).get("Addr") or "")
    return manager.rpartition(":")[0] if manager and address in ("", "0.0.0.0", "127.0.0.1") else address


def _state(member: Mapping[str, Any]) -> str:
    return str(member["swarm"].get("LocalNodeState") or "inactive")


def _node_id(member: Mapping[str, Any]) -> str:
    return str(member["swarm"].get("NodeID") or "")


def _leads(member: Mapping[str, Any]) -> bool:
    """Whether it is a manager whose Swarm has a quorum."""
    return bool(member["swarm"].get("ControlAvailable")) and not member["swarm"].get("Error")


def _swarm_id(member: Mapping[str, Any]) -> str:
    return str((member["swarm"].get("Cluster") or {}).get("ID") or "")
