# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Swarm's tasks say about how far a service has got. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import HOLDING, Node

WAITING = "waiting"
SERVES = "serves"
FAILED = "failed"
# No node may have it, in the Swarm's words.
UNPLACED = "unplaced"
# The node with its files runs nothing now.
NODE_AWAY = "node away"
ROLLED_BACK = "rolled back"
# The way back failed, too, or stood still.
STUCK = "stuck"

_ENDED = ("failed", "rejected", "complete")
_GONE = ("shutdown", "remove", "orphaned", "complete", "failed", "rejected")
_UNASSIGNED = ("new", "allocated", "pending")


@dataclass(frozen=True)
class Verdict:
    """How far a service has got.

    :ivar words: the Swarm's, for people.
    :ivar task: id of the task that failed, whose log may say more.
    """

    kind: str
    words: str
    task: str = ""


def judge(
    service: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    before: Collection[str],
    nodes: Mapping[str, str],
    home: Optional[Node],
    updated: bool,
) -> Verdict:
    """How far a service with one container has got.

    :param service: as the manager tells it.
    :param tasks: those of this service.
    :param before: ids of tasks that were there before the change, whose failures count for nothing.
    :param nodes: names by id.
    :param home: the node that it is bound to, as it is now; None where it may run anywhere.
    :param updated: whether the outcome of an update is that of this run, which began it or found it under way.
    """
    status = str((service.get("UpdateStatus") or {}).get("State") or "")
    if not updated and status not in ("updating", "rollback_started"):
        status = ""
    failed = _last([task for task in tasks if task["ID"] not in before and task["Status"]["State"] in _ENDED])
    if status in ("rollback_completed", "rollback_paused", "paused"):
        kind = ROLLED_BACK if status == "rollback_completed" else STUCK
        said = " ".join(str((service.get("UpdateStatus") or {}).get("Message") or status).split())
        return Verdict(kind, _ending(failed, nodes) if failed else said, str(failed["ID"]) if failed else "")
    live = _last([task for task in tasks if task["DesiredState"] not in _GONE])
    state = str(live["Status"]["State"]) if live else ""
    if home is not None and not home.takes_services:
        return Verdict(NODE_AWAY, home.waiting)
    if live and state in _UNASSIGNED and live["Status"].get("Err"):
        # While its predecessor stops, that one's place is not free.
        if any(task is not live and task["Status"]["State"] in HOLDING for task in tasks):
            return Verdict(WAITING, "its predecessor stops")
        if "port already in use" in str(live["Status"]["Err"]):
            # Another one that had the number has still to stop.
            return Verdict(WAITING, str(live["Status"]["Err"]), str(live["ID"]))
        return Verdict(UNPLACED, str(live["Status"]["Err"]), str(live["ID"]))
    if status == "rollback_started":
        return Verdict(WAITING, "it goes back to what it was")
    if failed and status != "updating":
        return Verdict(FAILED, _ending(failed, nodes), str(failed["ID"]))
    if live and state == "running" and live["DesiredState"] == "running" and status != "updating":
        return Verdict(SERVES, f"it runs on {nodes.get(str(live.get('NodeID')), 'a node')}", str(live["ID"]))
    return Verdict(WAITING, state or "it has no task yet", str(live["ID"]) if live else "")


def assigned_node(tasks: Sequence[Mapping[str, Any]]) -> str:
    """Id of the node that the newest task which has one was given to; empty where none was."""
    newest = _last([task for task in tasks if task.get("NodeID")])
    return str(newest["NodeID"]) if newest else ""


def under_way(service: Optional[Mapping[str, Any]]) -> bool:
    """Whether the Swarm puts a container of what the service is to be in place of what it was, and may yet go back."""
    return ((service or {}).get("UpdateStatus") or {}).get("State") == "updating"


def older_tasks(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> set[str]:
    """Ids of the tasks from before the update of a service; of all where nobody tells when it began."""
    begun = str((service.get("UpdateStatus") or {}).get("StartedAt") or "").rstrip("Z")
    return {str(task["ID"]) for task in tasks if not begun or str(task.get("CreatedAt") or "").rstrip("Z") < begun}


def _ending(task: Mapping[str, Any], nodes: Mapping[str, str]) -> str:
    status = task["Status"]
    where = nodes.get(str(task.get("NodeID")), "a node")
    words = " ".join(str(status.get("Err") or status.get("Message") or status["State"]).split())
    if "No such image" in words or (status["State"] == "rejected" and "image" in words.lower()):
        image = ((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Image") or "its image"
        return f"{where} has not got {image} ({words}): the role codeopen.workspaces.images builds it there"
    if status["State"] == "complete":
        return f"on {where} it ended with exit code 0: by itself, or stopped by the Swarm since it was not healthy"
    return f"on {where}: {words}"


def _last(tasks: Sequence[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    return (
        max(tasks, key=lambda task: (str(task.get("CreatedAt") or "").rstrip("Z"), str(task["ID"]))) if tasks else None
    )
