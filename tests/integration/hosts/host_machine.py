# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to test on: privileged containers with an engine of their own, so that this machine's is left alone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[3]
STARTED_SECONDS = 120


def docker(*arguments, check=True, **options):
    """Run docker on this machine; what it printed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def host_image(suite):
    """Name of an image of a bare host of Debian's suite."""
    command = [str(ROOT / "scripts/host-image.sh"), suite]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Host:
    """A container that stands for a host.

    :param name: of the container.
    :param variables: that Ansible has for it, beside those to reach it.
    """

    def __init__(self, name, **variables):
        self.name = name
        self.variables = {
            "ansible_connection": "community.docker.docker",
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }

    def sh(self, script, check=True):
        """Run a shell script on the host; what it printed."""
        return docker("exec", self.name, "sh", "-c", script, check=check)

    def ansible(self, *arguments, program="ansible", inventory="", **variables):
        """Run Ansible against the host.

        :param inventory: the path of one, instead of one with this host alone.
        """
        environment = {
            **os.environ,
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
        }
        command = [
            program,
            "--inventory",
            inventory or f"{self.name},",
            "--extra-vars",
            json.dumps({**self.variables, **variables}),
            *arguments,
        ]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def module(self, name, *arguments, **options):
        """Run one module of the collection on the host; its result."""
        done = self.ansible(
            self.name,
            "--one-line",
            "--module-name",
            f"codeopen.workspaces.{name}",
            "--args",
            json.dumps(options),
            *arguments,
        )
        text = next((line for line in done.stdout.splitlines() if line.startswith(self.name) and " => {" in line), "")
        assert text, shlex.join(done.args) + done.stdout + done.stderr
        # Of the status, the line has the word only.
        return {"failed": "FAILED" in text.partition(" => ")[0], **json.loads(text.partition(" => ")[2])}

    def read(self, path):
        """The text of a file on the host, with all its blanks."""
        return subprocess.run(
            ["docker", "exec", self.name, "cat", path], capture_output=True, text=True, check=True
        ).stdout

    def packages(self):
        """Installed packages and their versions."""
        lines = self.sh("dpkg-query --show --showformat '${Package} ${Version}\\n'").splitlines()
        return dict(line.split(" ", 1) for line in lines)


@contextlib.contextmanager
def running_host(suite, *, systemd, **variables):
    """A bare host, removed in the end.

    :param systemd: whether systemd is its first process, or a command that starts nothing.
    """
    name = f"codeopen-test-{secrets.token_hex(4)}"
    try:
        # An engine inside needs the privileges, and storage that is no overlay of its own.
        docker(
            *(
                "run",
                "--detach",
                "--privileged",
                "--cgroupns",
                "private",
                "--name",
                name,
                "--volume",
                "/var/lib/docker",
            ),
            *("--tmpfs", "/run", "--tmpfs", "/tmp:exec"),
            *(() if systemd else ("--init",)),
            host_image(suite),
            *(() if systemd else ("sleep", "infinity")),
        )
        host = Host(name, **variables)
        deadline = time.monotonic() + STARTED_SECONDS
        while systemd and host.sh("systemctl is-system-running", check=False) not in ("running", "degraded"):
            assert time.monotonic() < deadline, docker("logs", name)
            time.sleep(0.5)
        yield host
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


@dataclasses.dataclass(frozen=True)
class Converged:
    """What the role engine did on bare hosts, all in one play.

    :param before: packages and versions of each host, by its name.
    :param check: the run in check mode on the bare hosts.
    :param after_check: packages after it.
    :param first: the run that installs.
    :param second: the same again.
    """

    before: dict
    check: object
    after_check: dict
    first: object
    second: object


def inventory_of(hosts, folder):
    """Write an inventory of these hosts; its path."""
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"codeopen": {"hosts": {host.name: host.variables for host in hosts}}}))
    return inventory


def run_engine(playbook, inventory, *arguments):
    """Run the role engine; what it did."""
    done = playbook("engine", *arguments, inventory=inventory)
    assert done.status == 0, done.output
    return done


def converge(playbook, folder, hosts):
    """Run the role engine three times on all hosts at once."""
    inventory = inventory_of(hosts, folder)

    def packages():
        return {host.name: host.packages() for host in hosts}

    before = packages()
    check = run_engine(playbook, inventory, "--check")
    after_check = packages()
    return Converged(before, check, after_check, run_engine(playbook, inventory), run_engine(playbook, inventory))
