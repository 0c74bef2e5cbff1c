# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to machines by Ansible: the roles in a play, and the module as Ansible runs it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from swarm_machines import IMAGE, RECIPE, Machine

ROOT = Path(__file__).resolve().parents[3]


class Cluster:
    """Machines, and what is done to them by Ansible.

    :ivar asked: name of the manager that is asked what there is.
    """

    def __init__(self, members: list[Machine], folder: Path) -> None:
        self.members = {machine.name: machine for machine in members}
        self.folder = folder
        self.asked = members[0].name
        self.variables: dict[str, dict[str, Any]] = {
            machine.name: {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "codeopen_docker_host": machine.url,
                "codeopen_swarm_address": machine.address,
                "codeopen_state_dir": str(folder / "state" / machine.name),
                "cluster_daemon_config_file": str(machine.config),
                "cluster_apply": "none",
            }
            for machine in members
        }
        self.checked: Optional[subprocess.CompletedProcess[str]] = None
        self.first: Optional[subprocess.CompletedProcess[str]] = None

    @property
    def manager(self) -> Machine:
        """The machine that manages; where several do, the one that is asked now."""
        return self.members[self.asked]

    def __getitem__(self, name: str) -> Machine:
        return self.members[name]

    def play(self, role: str, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run a role on all machines."""
        plays = [{"name": "Test", "hosts": "all", "gather_facts": False, "roles": [f"codeopen.workspaces.{role}"]}]
        playbook = self.folder / "playbook.json"
        playbook.write_text(json.dumps(plays))
        return self.playbook(playbook, *options, **variables)

    def playbook(self, playbook: Path, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook, for which all machines are in the group codeopen."""
        inventory = self.folder / "inventory.json"
        hosts = {"codeopen": {"hosts": self.variables}}
        inventory.write_text(json.dumps({"all": {"children": hosts, "vars": variables}}))
        command = shutil.which("ansible-playbook")
        assert command is not None
        return subprocess.run(
            [command, "-i", str(inventory), *options, str(playbook)],
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1"),
        )

    def form(self, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run the role cluster, which must succeed."""
        done = self.play("cluster", *options, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def nodes(self) -> list[dict[str, Any]]:
        """What the manager says of the nodes."""
        return list(self.manager.docker.api.nodes())

    def node(self, name: str, state: str = "ready") -> dict[str, Any]:
        """The node of a machine; there must be one in this state."""
        (found,) = [
            node
            for node in self.nodes()
            if node["Description"]["Hostname"] == name and node["Status"]["State"] == state
        ]
        return found

    def until(self, what: Callable[[], Any], seconds: float = 90) -> Any:
        """What a function gives as soon as that is something."""
        deadline = time.monotonic() + seconds
        while True:
            found = what()
            if found:
                return found
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.3)

    def wait_state(self, name: str, state: str) -> None:
        """Wait until the manager sees a node so."""
        self.until(
            lambda: any(
                node["Description"]["Hostname"] == name and node["Status"]["State"] == state for node in self.nodes()
            )
        )


def changed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tasks of a play changed something, on all machines."""
    return sum(int(part.split("=")[1]) for part in done.stdout.split() if part.startswith("changed="))


class Services:
    """Workspaces with names of one test."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.prefix = f"t{secrets.token_hex(3)}"
        self.state_dir = folder / "state"
        self.state_dir.mkdir()

    def name(self, name: str) -> str:
        """The workspace's name."""
        return f"{self.prefix}-{name}"

    def entry(self, name: str, mode: str = "", **changes: Any) -> dict[str, Any]:
        """A workspace as the plan has it; ``mode`` is how its container behaves."""
        entry: dict[str, Any] = {
            "name": self.name(name),
            "image": IMAGE,
            "recipe": RECIPE,
            "tier": "starter",
            "cpus": 0.1,
            "memory": 32 * 1024 * 1024,
            "volumes": [{"name": "home", "path": "/home/developer"}],
            "environment": {"MODE": mode} if mode else {},
        }
        entry.update(changes)
        return entry

    def run(self, *entries: dict[str, Any], on: str = "", **options: Any) -> dict[str, Any]:
        """The module's result, failed or not.

        :param on: the machine that it asks instead of the manager.
        """
        return self._module("workspace_service", self._given(entries, on=on, **options))

    @contextlib.contextmanager
    def running(self, *entries: dict[str, Any], **options: Any) -> Iterator[None]:
        """While the module runs, which is killed in the end."""
        command, text = self._command("workspace_service", self._given(entries, **options))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            try:
                process.stdin.write(text.encode())
                process.stdin.close()
                yield
                assert process.poll() is None, "it has ended by itself"
            finally:
                process.kill()

    def info(self, *names: str) -> list[dict[str, Any]]:
        """What ``workspace_service_info`` tells of workspaces, in check mode as well as out of it."""
        given = {"names": [self.name(name) for name in names], "docker_host": self.cluster.manager.url}
        for _attempt in range(10):
            found, checked, again = (
                self._module("workspace_service_info", {**given, "check_mode": mode}) for mode in (False, True, False)
            )
            assert not found.get("failed"), found["msg"]
            # The Swarm may be about to change something.
            if found["workspaces"] == again["workspaces"]:
                break
        assert found["workspaces"] == checked["workspaces"]
        return list(found["workspaces"])

    def _given(self, entries: Sequence[dict[str, Any]], on: str = "", **options: Any) -> dict[str, Any]:
        machine = self.cluster[on] if on else self.cluster.manager
        return {
            "workspaces": list(entries),
            "state_dir": str(self.state_dir),
            "docker_host": machine.url,
            "health_timeout": 60,
            "stop_timeout": 8,
            "monitor": 1,
            "engines": {name: machine.url for name, machine in self.cluster.members.items()},
            **options,
        }

    def _command(self, module: str, given: dict[str, Any]) -> tuple[list[str], str]:
        """The command that runs a module, and its input."""
        check_mode = given.pop("check_mode", False)
        given.update(_ansible_check_mode=check_mode, _ansible_diff=True, _ansible_remote_tmp=str(self.state_dir))
        command = [sys.executable, "-m", f"ansible_collections.codeopen.workspaces.plugins.modules.{module}"]
        return command, json.dumps({"ANSIBLE_MODULE_ARGS": given})

    def _module(self, module: str, given: dict[str, Any]) -> dict[str, Any]:
        command, text = self._command(module, given)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert "{" in done.stdout, done.stdout + done.stderr
        return dict(json.loads(done.stdout[done.stdout.index("{") :]))

    def ok(self, *entries: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The module's result, which must be a success."""
        result = self.run(*entries, **options)
        assert not result.get("failed"), result["msg"]
        return result

    def converged(self, *entries: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The result of a run that changes something, as the check mode before it and that after it say."""
        before = self.run(*entries, check_mode=True, **options)
        assert before["changed"], before
        result = self.ok(*entries, **options)
        assert result["changed"]
        actions = [one["action"] for one in result["workspaces"]]
        assert [one["action"] for one in before["workspaces"]] == actions
        for again in (self.ok(*entries, check_mode=True, **options), self.ok(*entries, **options)):
            assert not again["changed"], again["plan_text"]
        return result

    def service(self, name: str) -> dict[str, Any]:
        """What the manager says of a workspace's service."""
        return dict(self.cluster.manager.docker.api.inspect_service(f"codeopen-{self.name(name)}"))

    def where(self, name: str) -> list[str]:
        """The machines on which containers of a workspace run, once for each."""
        return [one.name for one in self.cluster.members.values() for _each in one.containers(self.name(name))]

    def only(self, name: str) -> Any:
        """The one container that a workspace has."""
        (found,) = [each for one in self.cluster.members.values() for each in one.containers(self.name(name))]
        return found

    def clean(self) -> None:
        """Remove what is left of them."""
        api = self.cluster.manager.docker.api
        for service in api.services():
            if service["Spec"]["Name"].startswith(f"codeopen-{self.prefix}"):
                api.remove_service(service["ID"])
        for secret in api.secrets():
            if secret["Spec"]["Name"].startswith(f"codeopen-{self.prefix}"):
                api.remove_secret(secret["ID"])
        for config in api.configs():
            if config["Spec"]["Name"].startswith(f"codeopen-{self.prefix}"):
                api.remove_config(config["ID"])
