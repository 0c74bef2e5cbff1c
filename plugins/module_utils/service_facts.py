# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told about a workspace of a Swarm: its service, its tasks, where its files are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import service_verdict as verdicts
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_CONFIGURATION,
    LABEL_IMAGE,
    LABEL_OWNER,
    LABEL_TIER,
    LABEL_WORKSPACE,
    json_object,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import urls
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import Node, follow
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import FENCE, LABEL_PLANNED_RECIPE
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_verdict import judge
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Record, SwarmState

_STATES = {
    verdicts.SERVES: "running",
    verdicts.WAITING: "starting",
    verdicts.NODE_AWAY: "waiting",
    verdicts.UNPLACED: "pending",
    verdicts.FAILED: "failed",
}


def known_workspaces(state: SwarmState) -> list[str]:
    """Names of the workspaces that have a service, or that the Swarm still knows where the files are of."""
    labels = [service["Spec"].get("Labels") or {} for service in state.services.values()]
    named = {str(found[LABEL_WORKSPACE]) for found in labels if found.get(LABEL_WORKSPACE)}
    return sorted(named | set(state.records))


def facts(name: str, state: SwarmState, history: int) -> dict[str, Any]:
    """What is told about one workspace.

    :param history: how many of its tasks.
    """
    record = state.records.get(name) or Record("")
    service = state.service(name)
    home = follow(record.node, state.nodes) if record.node else None
    files = {"node": home.name if home else record.node, "settled": record.settled} if record.node else {}
    if service is None:
        return {"name": name, "state": "absent", "files": files}
    tasks = sorted(state.tasks_of(service), key=lambda task: str(task.get("CreatedAt") or "").rstrip("Z"), reverse=True)
    names = {node.id: node.name for node in state.nodes}
    labels = service["Spec"].get("Labels") or {}
    where, word, detail = _condition(service, tasks, names, home)
    update = service.get("UpdateStatus") or {}
    ports = {port: number for port, number in record.ports.items() if port != FENCE}
    address = _address(state, where)
    return {
        "name": name,
        "state": word,
        "detail": detail,
        "node": where,
        "image": str(labels.get(LABEL_IMAGE, "")),
        "recipe": str(
            (service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Labels") or {}).get(LABEL_PLANNED_RECIPE, "")
        ),
        "owner": str(labels.get(LABEL_OWNER, "")),
        "tier": str(labels.get(LABEL_TIER, "")),
        "configuration": json_object(labels.get(LABEL_CONFIGURATION)),
        "ports": ports,
        "urls": urls({port: {"host": number, "address": address} for port, number in ports.items()}),
        "files": files,
        "secrets": sorted({secret.file for secret in state.secrets.get(name, ())}),
        "update": {"state": str(update.get("State") or ""), "message": str(update.get("Message") or "")},
        "tasks": [_task(task, names) for task in tasks[:history]],
    }


def _condition(
    service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], names: Mapping[str, str], home: Optional[Node]
) -> tuple[str, str, str]:
    """Where it runs, its state, and the Swarm's words about it."""
    replicas = ((service["Spec"].get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    if not replicas:
        return "", "stopped", ""
    # What became of former containers is history.
    former = [str(task["ID"]) for task in tasks[1:]]
    verdict = judge(service, tasks, former, names, home, False)
    running = [task for task in tasks if task["Status"]["State"] == "running" and task["DesiredState"] == "running"]
    where = names.get(str(running[0].get("NodeID")), "") if running else ""
    return where, _STATES.get(verdict.kind, "starting"), verdict.words


def _address(state: SwarmState, where: str) -> str:
    return next((node.address for node in state.nodes if node.name == where), "")


def _task(task: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    status = task["Status"]
    ended = (status.get("ContainerStatus") or {}).get("ExitCode")
    return {
        "time": str(task.get("CreatedAt") or ""),
        "state": str(status["State"]),
        "wished": str(task["DesiredState"]),
        "node": names.get(str(task.get("NodeID")), ""),
        "error": " ".join(str(status.get("Err") or "").split()),
        **({"exit_code": int(ended)} if ended is not None and status["State"] not in ("running", "starting") else {}),
    }
