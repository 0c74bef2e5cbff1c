# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker Compose's side of the comparisons: the same containers, by its command and by Ansible's module for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_export import (
    PASSWORDS_SERVICE,
    ExportSettings,
    to_project,
)
from fleet_parts import ROOT, Playbooks, ours

# The one that scripts/compose.sh fetches.
COMMAND = ROOT / ".build" / "compose" / "docker-compose"


class Compose:
    """A Compose project with the containers that the module makes of the same list.

    It is what the filter C(to_compose) says of them, but for the service that makes their passwords: they are there
    already.

    :param folder: for the project's files.
    :param prefix: of all names.
    :param first_port: of the host; each container has the next one.
    """

    def __init__(self, folder: Path, image: str, prefix: str, count: int, first_port: int) -> None:
        self._folder = folder / "compose"
        self._file = self._folder / "compose.yml"
        state_dir = self._folder / "state"
        workspaces = ours(image, f"{prefix}-compose", state_dir, count)["codeopen.workspaces.workspace"]["workspaces"]
        for number, entry in enumerate(workspaces):
            entry["ports"][0]["host"] = first_port + number
        settings = ExportSettings(f"{prefix}-compose", str(state_dir))
        project = to_project(workspaces, settings)
        del project["services"][PASSWORDS_SERVICE]
        for service in project["services"].values():
            del service["depends_on"]
        for entry in workspaces:
            secrets = Path(settings.secrets_dir(entry["name"]))
            secrets.mkdir(parents=True)
            (secrets / "password").write_text("of the bench\n")
        self._file.write_text(json.dumps(project))
        # Where the command docker finds Compose.
        plugins = self._folder / "docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(COMMAND)

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment so that C(docker compose) works in it."""
        return {"DOCKER_CONFIG": str(self._folder / "docker")}

    @property
    def task(self) -> dict[str, Any]:
        """What Ansible's users write for it."""
        return {
            "community.docker.docker_compose_v2": {"project_src": str(self._folder), "wait": True, "pull": "never"},
            "environment": self.variables,
        }

    def up(self) -> float:
        """How many seconds the command takes to bring all up."""
        return self._seconds("up", "--detach", "--wait")

    def down(self) -> None:
        """Remove all, with volumes."""
        self._seconds("down", "--volumes", "--timeout", "1")

    def task_seconds(self, books: Playbooks, changed: bool) -> float:
        """How many seconds a playbook with the task takes."""
        return books.seconds(self.task, changed)

    def _seconds(self, *arguments: str) -> float:
        begin = time.perf_counter()
        subprocess.run(
            [str(COMMAND), "--file", str(self._file), "--progress", "quiet", *arguments],
            check=True,
            stdout=sys.stderr,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.variables},
        )
        return time.perf_counter() - begin
