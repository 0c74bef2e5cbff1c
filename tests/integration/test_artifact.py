# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as people install it: built, installed elsewhere, and run from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKSPACES = [{"name": "demo", "flavor": "python", "addons": ["code-server"], "tier": "builder"}]


def run(folder: Path, program: str, *arguments: str) -> str:
    """Run one of Ansible's programs with the installed collection only; what it printed."""
    hidden = ("PYTHONPATH", "ANSIBLE_CONFIG")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment.update(ANSIBLE_COLLECTIONS_PATH=str(folder / "collections"), ANSIBLE_NOCOLOR="1")
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the collection installed in ``collections`` from its artifact."""
    folder = tmp_path_factory.mktemp("artifact")
    subprocess.run([str(ROOT / "scripts" / "build-collection.sh"), str(folder)], check=True, capture_output=True)
    (artifact,) = folder.glob("codeopen-workspaces-*.tar.gz")
    # Its dependency is there already, and Galaxy is not reached from everywhere.
    run(folder, "ansible-galaxy", "collection", "install", "--no-deps", "-p", "collections", str(artifact))
    return folder


def test_the_artifact_holds_the_catalogue_and_nothing_local(installed: Path) -> None:
    (artifact,) = installed.glob("codeopen-workspaces-*.tar.gz")
    with tarfile.open(artifact) as archive:
        names = archive.getnames()
    assert "images/catalogue.yml" in names
    assert "images/base/Dockerfile" in names
    local = (".venv", ".git", ".collections", ".ansible", ".build", ".mypy_cache")
    assert not [name for name in names if name.split("/")[0] in local or "__pycache__" in name]
    assert artifact.stat().st_size < 20 * 2**20


def test_the_plan_is_made_from_the_installed_catalogue(installed: Path) -> None:
    expression = "{{ workspaces | codeopen.workspaces.plan | to_json }}"
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.copy": {"content": expression, "dest": str(installed / "plan.json")}}],
        }
    ]
    (installed / "play.yml").write_text(json.dumps(play))
    variables = json.dumps({"workspaces": WORKSPACES, "ansible_python_interpreter": sys.executable})
    run(installed, "ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml", "-e", variables)
    plan = json.loads((installed / "plan.json").read_text())
    assert [layer["target"] for layer in plan["layers"]] == ["base", "python", "python-code-server"]
    for layer in plan["layers"]:
        assert layer["context"].startswith(str(installed))
        assert (Path(layer["context"]) / "Dockerfile").is_file()


def test_a_playbook_of_the_installed_collection_runs_by_its_name(installed: Path) -> None:
    (installed / "hosts.yml").write_text("codeopen: {hosts: {localhost: {ansible_connection: local}}}\n")
    listed = run(installed, "ansible-playbook", "-i", "hosts.yml", "codeopen.workspaces.site", "--list-tasks")
    assert "Build the images" in listed
