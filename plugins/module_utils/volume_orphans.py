# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes are left over from workspaces that are gone. What is not known is not gone: a host that loses its
record, or never had one of a workspace, loses no files by that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import engine_seconds
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.states import REMOVED
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import Volume

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True)
class Knowledge:
    """What a host knows about workspaces that may be gone.

    :ivar here: those that have a container.
    :ivar swarm: those that the engine's Swarm knows of; None where there is a Swarm and this engine cannot list them.
    :ivar removed: when those were removed whose record ends so, in seconds since 1970.
    """

    here: Collection[str] = ()
    swarm: Optional[Collection[str]] = ()
    removed: Mapping[str, float] = field(default_factory=dict)


def is_orphan(volume: Volume, known: Knowledge) -> bool:
    """Whether a volume is left over from a workspace that was removed. Pure.

    One whose container is lost, but which nobody removed, is not gone: the next run makes it anew with its volumes.
    Nor is one of whose name something lives on in a Swarm, whose services nobody records here.
    """
    name = volume.workspace
    if not volume.ours or not name or volume.used_by or name in known.here:
        return False
    if known.swarm is None or name in known.swarm or name not in known.removed:
        return False
    try:
        made = engine_seconds(volume.created)
    except ValueError:
        return False
    # What is younger than the removal is of another workspace with the name.
    return made <= known.removed[name]


def gather(client: DockerClient, state_dir: str, here: Collection[str]) -> Knowledge:
    """What a host knows.

    :param here: the workspaces that have a container.
    """
    return Knowledge(here, _swarm_workspaces(client), Records(state_dir).since(REMOVED))


def _swarm_workspaces(client: DockerClient) -> Optional[frozenset[str]]:
    api: Any = client.api
    with engine_words("Asking the engine about its Swarm"):
        swarm = api.info().get("Swarm") or {}
    if str(swarm.get("LocalNodeState") or "inactive") == "inactive":
        return frozenset()
    if not swarm.get("ControlAvailable"):
        return None
    try:
        with engine_words("Listing what is in the Swarm"):
            # One that was removed without its files has a config, though no service.
            filters = {"label": [LABEL_WORKSPACE]}
            rows = [*api.services(filters=filters), *api.configs(filters=filters)]
    except EngineError:
        # It has no quorum, and can tell when it has one again.
        return None
    return frozenset(str(row["Spec"]["Labels"][LABEL_WORKSPACE]) for row in rows)
