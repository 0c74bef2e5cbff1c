# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine's one listing of containers says about the workspaces of a host. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

LABEL_WORKSPACE = "codeopen.workspace"
LABEL_OWNER = "codeopen.owner"
LABEL_RECIPE = "codeopen.recipe"
LABEL_SPEC = "codeopen.spec"
LABEL_IMAGE = "codeopen.image"
LABEL_TIER = "codeopen.tier"
LABEL_PORTS = "codeopen.ports"
LABEL_CONFIGURATION = "codeopen.configuration"
PREVIOUS_SUFFIX = "--previous"


def container_name(workspace: str) -> str:
    """The name of a workspace's container."""
    return f"codeopen-{workspace}"


@dataclass(frozen=True)
class Container:
    """One container of a workspace.

    :ivar state: the engine's word: created, running, paused, restarting, exited or dead.
    :ivar health: healthy, unhealthy, starting, or none for a container without a health check or not running.
    :ivar exit_code: of one that ended.
    """

    id: str
    name: str
    image_id: str
    state: str
    health: str
    labels: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0

    @property
    def workspace(self) -> str:
        """The workspace's name."""
        return self.labels.get(LABEL_WORKSPACE, "")

    @property
    def spec(self) -> str:
        """The SHA-256 of the configuration that it was made with."""
        return self.labels.get(LABEL_SPEC, "")

    @property
    def serves(self) -> bool:
        """Whether it runs, and its health check, if it has one, says healthy."""
        return self.state == "running" and self.health in ("healthy", "none")

    @property
    def ports(self) -> dict[str, Any]:
        """Its ports by name: ``{container, host, address}``."""
        return json_object(self.labels.get(LABEL_PORTS))

    @property
    def configuration(self) -> dict[str, Any]:
        """The configuration that it was made with, for people to compare."""
        return json_object(self.labels.get(LABEL_CONFIGURATION))


@dataclass(frozen=True)
class Observed:
    """A workspace's containers as found."""

    current: Optional[Container] = None
    previous: Optional[Container] = None

    @property
    def exists(self) -> bool:
        """Whether there is any container of it."""
        return self.current is not None or self.previous is not None


def parse_container(row: Mapping[str, Any]) -> Container:
    """A row of the engine's listing as a container."""
    names = [name.lstrip("/") for name in row.get("Names") or [""]]
    return Container(
        id=str(row["Id"]),
        # Links give a container further names, which have a slash in them.
        name=next((name for name in names if "/" not in name), names[0]),
        image_id=str(row.get("ImageID", "")),
        state=str(row.get("State", "")),
        health=_health(str(row.get("Status", ""))),
        labels=row.get("Labels") or {},
        exit_code=_exit_code(str(row.get("Status", ""))),
    )


def by_workspace(rows: Iterable[Mapping[str, Any]]) -> dict[str, Observed]:
    """The workspaces of a listing, by name.

    A container that bears the label without the name that goes with it (a copy that somebody made) is not a workspace.
    """
    current: dict[str, Container] = {}
    previous: dict[str, Container] = {}
    for row in rows:
        container = parse_container(row)
        if container.name == container_name(container.workspace):
            current[container.workspace] = container
        elif container.name == container_name(container.workspace) + PREVIOUS_SUFFIX:
            previous[container.workspace] = container
    names = sorted(set(current) | set(previous))
    return {name: Observed(current.get(name), previous.get(name)) for name in names}


def _health(status: str) -> str:
    for text, health in (("(healthy)", "healthy"), ("(unhealthy)", "unhealthy"), ("(health: starting)", "starting")):
        if status.endswith(text):
            return health
    return "none"


def _exit_code(status: str) -> int:
    match = re.match(r"(?:Exited|Restarting) \((\d+)\)", status)
    return int(match.group(1)) if match else 0


def json_object(text: Optional[str]) -> dict[str, Any]:
    """What a label holds; empty where it holds no JSON object."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
