# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real ``docker compose``, for tests of what is exported to it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_export import ExportSettings, to_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import memory_folder

PLUGIN = Path(__file__).parents[2] / ".build/compose/docker-compose"


class Compose:
    """``docker compose`` with a project and a file of its own.

    :param state_dir: where workspaces' secrets are on this host.
    """

    def __init__(self, folder: Path, project: str, state_dir: Path) -> None:
        assert PLUGIN.exists(), f"{PLUGIN} is missing: run scripts/compose.sh"
        self.project = project
        self.state_dir = str(state_dir)
        self.file = folder / "compose.yml"
        plugins = folder / "docker/cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(PLUGIN)
        self.environment = {**os.environ, "DOCKER_CONFIG": str(folder / "docker")}

    def write(self, *entries: dict[str, Any], **settings: Any) -> None:
        """Export workspaces of a plan."""
        memory = str(Path(memory_folder(self.state_dir)).parent)
        given = ExportSettings(project=self.project, state_dir=self.state_dir, memory=memory, **settings)
        project = to_project(entries, given)
        self.file.write_text(yaml.safe_dump(project))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """How a command of Compose ended."""
        command = ["docker", "compose", "--file", str(self.file), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def ok(self, *arguments: str) -> str:
        """What a command that must succeed printed."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def health(self) -> dict[str, str]:
        """The health of each service that has a container, by name."""
        rows = [json.loads(line) for line in self.ok("ps", "--all", "--format", "json").splitlines()]
        return {str(row["Service"]): str(row["Health"]) for row in rows}
