# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a workspace of the plan a Swarm has no word for: refused, or left out and said so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import container_spec, decision, gpus
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import WILDCARDS

STATES = tuple(state for state in decision.STATES if state not in ("present", "paused"))


def service_problems(workspaces: Sequence[Mapping[str, Any]], pools: Iterable[Mapping[str, Any]] = ()) -> list[str]:
    """Every mistake in the list, and everything in it that a Swarm has no word for."""
    problems = container_spec.problems_of(workspaces)
    problems.extend(
        f"Pool '{pool['name']}': pools are not for a Swarm: leave it out, or deploy it on a host." for pool in pools
    )
    for entry in workspaces:
        if entry.get("state") != "absent":
            problems.extend(f"Workspace '{entry.get('name')}': {text}" for text in _unsupported(entry))
    return problems


def _unsupported(entry: Mapping[str, Any]) -> Iterable[str]:
    state = entry.get("state")
    if state in ("present", "paused"):
        yield f"state is '{state}', which a Swarm does not know: expected one of {', '.join(STATES)}."
    if entry.get("mounts"):
        yield "mounts are not for a Swarm, whose manager cannot look at other nodes' directories and volumes."
    runtime = entry.get("runtime") or {}
    for key, value in (("devices", runtime.get("devices")), ("privileged", runtime.get("privileged"))):
        if value:
            yield f"its components need {key}, which a Swarm cannot give: the module workspace runs it on one host."
    if "systempaths=unconfined" in (runtime.get("security_opt") or []):
        yield "its components need systempaths=unconfined, which a Swarm cannot give."
    try:
        wish = gpus.parse(entry.get("gpus"))
    except gpus.GpuError:
        # Told with the other mistakes.
        return
    if wish.devices or wish.cdi:
        named = ", ".join(wish.devices or wish.cdi)
        yield f"gpus names {named}: in a Swarm the manager chooses which ones; expected a number of them."
    if wish.count == -1:
        yield "gpus asks for all of them, which a Swarm does not know: expected a number of them."


def published(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of its ports that a Swarm publishes, which can do it on all addresses only."""
    return [port for port in entry.get("ports") or [] if str(port.get("address") or "") in WILDCARDS]


def notes_of(entry: Mapping[str, Any]) -> Iterable[str]:
    """What is left out, in words."""
    reachable = {str(port["name"]) for port in published(entry)}
    inner = sorted(str(port["name"]) for port in entry.get("ports") or [] if str(port["name"]) not in reachable)
    if inner:
        yield (
            f"Not published: {', '.join(inner)}. A Swarm publishes ports on all addresses only; "
            "the address 0.0.0.0 in the workspace's ports asks for that."
        )
    if entry.get("checks"):
        yield "Its checks are not carried out in a Swarm; its health check is."
    if entry.get("idle_minutes"):
        yield "Its idle_minutes are not watched in a Swarm."
