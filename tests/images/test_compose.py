# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workspace of the catalogue as the real ``docker compose`` runs it: healthy, behind its password, its home kept."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import make_plan
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import component_files, find_catalogue
from compose_project import Compose
from running_workspace import docker, image_of

pytestmark = pytest.mark.catalogue


def status(name: str, port: int, *options: str) -> str:
    """The HTTP status of one of its services, asked in the container."""
    url = f"http://127.0.0.1:{port}/"
    command = ["curl", "-s", "-m", "30", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", *options, url]
    return docker("exec", "--user", "1000", f"codeopen-{name}", *command).stdout


def test_an_exported_workspace_is_healthy_and_asks_for_its_password(tmp_path: Path) -> None:
    name = f"t{secrets.token_hex(3)}"
    definition = {"name": name, "flavor": "python", "addons": ["code-server"], "tier": "starter"}
    (entry,) = make_plan(find_catalogue(), [definition], component_files)["workspaces"]
    entry["image"] = image_of("code-server")
    compose = Compose(tmp_path, name, tmp_path / "state")
    try:
        compose.write(entry, host_cpus=1)
        compose.ok("up", "--detach", "--wait")
        assert compose.health() == {name: "healthy", "codeopen_passwords": ""}
        password = (tmp_path / "state/workspaces" / name / "secrets/password").read_text().strip()
        assert status(name, 4096) == "401"
        assert status(name, 4096, "--user", f"opencode:{password}") == "200"
        docker("exec", "--user", "1000", f"codeopen-{name}", "sh", "-c", "echo mine >~/kept")
        compose.ok("up", "--detach", "--wait", "--force-recreate")
        assert docker("exec", "--user", "1000", f"codeopen-{name}", "sh", "-c", "cat ~/kept").stdout == "mine\n"
        assert password not in docker("inspect", f"codeopen-{name}").stdout
    finally:
        compose.run("down", "--volumes", "--timeout", "1")
        subprocess.run(["docker", "rm", "--force", "--volumes", f"codeopen-{name}"], capture_output=True, check=False)
