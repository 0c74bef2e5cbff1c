# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to test on: privileged containers with an engine of their own, so that this machine's is left alone."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import shlex
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[3]
PACKAGES = "docker.io,docker-cli,iptables,iproute2,procps,python3,python3-apt,busybox-static,util-linux"
# An image made before, to save its making. Without it, one is made for the run and removed.
IMAGE_VARIABLE = "CODEOPEN_TEST_ENGINE_IMAGE"


def docker(*arguments, check=True, **options):
    """Run docker on this machine; what it printed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def engine_image():
    """Name of an image of Debian 13 with its engine, made from Debian's archive."""
    if os.environ.get(IMAGE_VARIABLE):
        yield os.environ[IMAGE_VARIABLE]
        return
    name = f"codeopen-test-{secrets.token_hex(4)}"
    make = [
        "mmdebstrap",
        "--variant=minbase",
        '--aptopt=APT::Install-Recommends "false"',
        f"--include={PACKAGES}",
        "trixie",
    ]
    with subprocess.Popen(make, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as archive:
        docker("import", "-", name, stdin=archive.stdout)
        errors = archive.stderr.read().decode()
    try:
        assert archive.returncode == 0, errors
        yield name
    finally:
        docker("rmi", "--force", name, check=False)


class Host:
    """A container that stands for a host.

    :param name: of the container.
    """

    def __init__(self, name):
        self.name = name

    def sh(self, script, check=True):
        """Run a shell script on the host; what it printed."""
        return docker("exec", self.name, "sh", "-c", script, check=check)

    def start_engine(self):
        """Start the engine as the role engine does where there is no init."""
        self.sh("setsid --fork dockerd </dev/null >>/var/log/dockerd.log 2>&1")
        for _attempt in range(300):
            if self.sh("docker version --format '{{.Server.Version}}'", check=False):
                return
            time.sleep(0.2)
        raise AssertionError(self.sh("tail -n 30 /var/log/dockerd.log"))

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
        settings = {
            "ansible_connection": "community.docker.docker",
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        command = [
            program,
            "--inventory",
            inventory or f"{self.name},",
            "--extra-vars",
            json.dumps(settings),
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


@pytest.fixture(scope="module")
def host(engine_image):
    """A host with a running engine, for one module of tests."""
    name = f"codeopen-test-{secrets.token_hex(4)}"
    docker("volume", "create", name)
    try:
        docker(
            *("run", "--detach", "--init", "--privileged", "--network", "none", "--name", name),
            *("--volume", f"{name}:/var/lib/docker", engine_image, "sleep", "infinity"),
        )
        found = Host(name)
        found.start_engine()
        yield found
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("volume", "rm", "--force", name, check=False)
