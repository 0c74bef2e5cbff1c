# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks of fleets share: playbooks whose time is taken, and the two sides that are compared."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker

ROOT = Path(__file__).resolve().parents[2]
# Quick until healthy, then quiet, so that what is measured is not the checks of the others.
PACE = "--interval=60s --start-period=60s --start-interval=300ms"
FIRST_PORT = 31000
UNCHANGED_RUNS = 3
NOTHING = {"ansible.builtin.debug": {"msg": "nothing"}}
# What Ansible takes to bring any module to its host and to run it.
EMPTY_MODULE: dict[str, Any] = {"ansible.builtin.ping": {}}


def load_helpers() -> Any:
    """The integration tests' helpers, under a name that no other folder's have."""
    path = ROOT / "tests" / "integration" / "workspaces" / "conftest.py"
    sys.path.insert(0, str(path.parents[1]))
    spec = importlib.util.spec_from_file_location("workspace_helpers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Playbooks:
    """Runs playbooks of one task on this machine and takes their time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,"]
        self._command += ["-e", f"ansible_python_interpreter={sys.executable}"]

    def seconds(self, task: dict[str, Any], changed: bool) -> float:
        """How long it takes, having made sure that it changes something, or nothing."""
        task = dict(task, name="Measured")
        plays = [{"name": "P", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]
        path = self._folder / "playbook.yml"
        path.write_text(json.dumps(plays))
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*self._command, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1"),
            start_new_session=True,
        )
        try:
            output, _unused = process.communicate()
        except BaseException:
            # With its workers, or they would go on making containers.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        taken = time.perf_counter() - begin
        wanted = "changed=1" if changed else "changed=0"
        if process.returncode or wanted not in output:
            raise RuntimeError(f"expected {wanted}:\n{output[-3000:]}")
        return taken


def ours(image: str, prefix: str, state_dir: Path, count: int, text: str = "hello") -> dict[str, Any]:
    """One task for all.

    :param text: what the first is told.
    """
    workspaces = [
        {
            "name": f"{prefix}-{number}",
            "image": image,
            "cpus": 0.5,
            "memory": 64 * 1024 * 1024,
            "ports": [{"name": "web", "container": 4096, "host": FIRST_PORT + number}],
            "volumes": [{"name": "home", "path": "/home/developer"}],
            "environment": {"TEXT": "hello" if number else text},
        }
        for number in range(count)
    ]
    return {"codeopen.workspaces.workspace": {"workspaces": workspaces, "state_dir": str(state_dir)}}


def theirs(image: str, prefix: str, state: str, count: int) -> dict[str, Any]:
    """A loop over the same."""
    return {
        "community.docker.docker_container": {
            "name": f"{prefix}-loop-{{{{ item }}}}",
            "hostname": "loop",
            "image": image,
            "pull": "never",
            "state": state,
            "cpus": 0.5,
            "memory": "64M",
            "pids_limit": 4096,
            "restart_policy": "unless-stopped",
            "log_driver": "json-file",
            "log_options": {"max-size": "10m", "max-file": "3"},
            "env": {"TEXT": "hello"},
            "published_ports": [f"127.0.0.1:{{{{ {FIRST_PORT + 1000} + item }}}}:4096"],
            "mounts": [{"type": "volume", "source": f"{prefix}-loop-{{{{ item }}}}-home", "target": "/home/developer"}],
        },
        "loop": f"{{{{ range({count}) | list }}}}",
    }


def remove(client: docker.DockerClient, prefix: str) -> None:
    """Remove what was measured."""
    for container in client.api.containers(all=True, filters={"name": prefix}):
        client.api.remove_container(container["Id"], force=True, v=True)
    for volume in client.api.volumes(filters={"name": prefix})["Volumes"] or []:
        client.api.remove_volume(volume["Name"], force=True)
    for network in client.api.networks():
        if prefix in network["Name"]:
            client.api.remove_network(network["Id"])


def print_figures(measure: Callable[[docker.DockerClient, str, Path, str], dict[str, Any]]) -> None:
    """Print what is measured as one JSON dictionary.

    :param measure: gets a client, a small image, a folder and the prefix of all names; what it starts is removed.
    """
    # What was started has to go, however this ends.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    helpers = load_helpers()
    client = docker.from_env(timeout=300)
    prefix = f"b{secrets.token_hex(3)}"
    folder = Path(tempfile.mkdtemp(prefix="codeopen-bench-"))
    try:
        with helpers.small_image(client, PACE) as image:
            try:
                print(json.dumps(measure(client, image, folder, prefix)))
            finally:
                remove(client, prefix)
    finally:
        shutil.rmtree(folder)
        client.close()
