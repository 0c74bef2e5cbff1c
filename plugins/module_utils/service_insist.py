# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to a service that the Swarm itself may be changing just now, as it does during an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import ServiceChanged, Swarm

_TRIES = 10


def change_seen(swarm: Swarm, seen: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Change a service that is to be what it was when it was looked at; how far the Swarm has got with it may differ.

    :raises ServiceChanged: somebody else has changed it since.
    """
    found = seen
    for tries_left in reversed(range(_TRIES)):
        try:
            swarm.update(found, request)
            return
        except ServiceChanged:
            if not tries_left:
                raise
        found = swarm.inspect(str(seen["ID"]))
        if found["Spec"] != seen["Spec"]:
            raise ServiceChanged(
                f"the service {request['Name']} is not what it was when this run looked at it: somebody else has "
                "changed it, or the Swarm went back to what it was before. Nothing was changed by this run; run again."
            )


def go_back(swarm: Swarm, service_id: str) -> None:
    """Return a service to what it was before its last change, unless the Swarm itself does that by now."""
    _insist(swarm, service_id, lambda found: None if _goes_back(found) else found["Spec"], back=True)


def keep_stopped(swarm: Swarm, service_id: str) -> None:
    """Keep a service without a container."""
    none = {"Replicated": {"Replicas": 0}}
    _insist(swarm, service_id, lambda found: {**found["Spec"], "Mode": none})


def _insist(
    swarm: Swarm,
    service_id: str,
    wished: Callable[[Mapping[str, Any]], Optional[Mapping[str, Any]]],
    back: bool = False,
) -> None:
    """Change a service, looking at it anew where it was changed in between.

    :param wished: what it is to be, from what it is; None where there is nothing left to do.
    :raises ServiceChanged: it changes all the time.
    """
    for tries_left in reversed(range(_TRIES)):
        found = swarm.inspect(service_id)
        request = wished(found)
        if request is None:
            return
        try:
            swarm.update(found, request, back)
            return
        except ServiceChanged:
            if not tries_left:
                raise


def _goes_back(service: Mapping[str, Any]) -> bool:
    """Whether the Swarm returns a service to what it was before, or has done so, or tried."""
    return str((service.get("UpdateStatus") or {}).get("State") or "").startswith("rollback_")
