# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role engine: it leaves a fit engine alone, and installs one on fresh systems, which containers stand in for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine


def docker(*arguments: str, **options: Any) -> str:
    """Run the Docker CLI and return its output."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, **options).stdout


def packages(container: str) -> dict[str, str]:
    """Installed packages and their versions."""
    lines = docker("exec", container, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\n").splitlines()
    return dict(line.split(" ", 1) for line in lines)


class System:
    """A fresh system of a suite, as a container that Ansible reaches."""

    def __init__(self, name: str, suite: str, folder: Path) -> None:
        self.name = name
        self.image = f"{name}:fresh"
        self.inventory = folder / "hosts.json"
        host = {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3"}
        self.inventory.write_text(json.dumps({"codeopen": {"hosts": {name: host}}}))
        archive = folder / "root.tar"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates,python3", suite, str(archive)],
            check=True,
        )
        docker("import", str(archive), self.image)
        archive.unlink()
        # An engine inside needs the privileges, and storage that is no overlay of its own.
        docker(
            "run",
            "--detach",
            "--privileged",
            "--volume",
            "/var/lib/docker",
            "--name",
            name,
            self.image,
            "sleep",
            "infinity",
        )

    def remove(self) -> None:
        """Leave nothing behind."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", "--force", self.image], capture_output=True, check=False)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def system(request: pytest.FixtureRequest, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system without an engine."""
    fresh = None
    name = f"{prefix}-{request.param}"
    try:
        fresh = System(name, request.param, tmp_path_factory.mktemp(request.param))
        yield fresh
    finally:
        if fresh is not None:
            fresh.remove()
        else:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def test_a_fit_engine_is_left_alone(playbook: Any) -> None:
    before = docker("info", "--format", "{{.ID}} {{.ServerVersion}}")
    run = playbook("engine")
    assert run.status == 0, run.output
    assert run.count("changed") == 0, run.output
    assert docker("info", "--format", "{{.ID}} {{.ServerVersion}}") == before


def test_an_engine_elsewhere_that_does_not_answer_is_named(playbook: Any) -> None:
    run = playbook("engine", variables={"engine_docker_host": "tcp://127.0.0.1:1"})
    assert run.status != 0
    assert "No engine answers at tcp://127.0.0.1:1" in " ".join(run.output.split())


def test_a_fresh_system_gets_an_engine_and_keeps_everything_else(playbook: Any, system: System) -> None:
    variables = {"engine_start": False}
    before = packages(system.name)

    check = playbook("engine", "--check", variables=variables, inventory=system.inventory)
    assert check.status == 0, check.output
    assert "Would install docker.io, docker-cli, docker-buildx" in " ".join(check.output.split())
    assert packages(system.name) == before

    first = playbook("engine", variables=variables, inventory=system.inventory)
    assert first.status == 0, first.output
    assert first.count("changed", system.name) == check.count("changed", system.name)
    after = packages(system.name)
    assert int(docker("exec", system.name, "dockerd", "--version").split()[2].split(".")[0]) >= 23
    assert "buildx" in docker("exec", system.name, "docker", "buildx", "version")
    assert {name: after.get(name) for name in before} == before
    assert "0 upgraded" in docker("exec", system.name, "apt-get", "--simulate", "dist-upgrade")

    second = playbook("engine", variables=variables, inventory=system.inventory)
    assert second.status == 0, second.output
    assert second.count("changed", system.name) == 0, second.output


def test_an_engine_that_does_not_run_is_started_without_an_init_too(playbook: Any, system: System) -> None:
    docker("exec", system.name, "sh", "-c", "printf '#!/bin/sh\\nexit 1\\n' >/etc/init.d/docker")
    first = playbook("engine", inventory=system.inventory)
    assert first.status == 0, first.output
    assert first.count("changed", system.name) == 1, first.output
    assert first.count("rescued", system.name) == 1, first.output
    assert docker("exec", system.name, "docker", "version", "--format", "{{.Server.Version}}")
    second = playbook("engine", inventory=system.inventory)
    assert second.status == 0, second.output
    assert second.count("changed", system.name) == 0, second.output


def test_a_system_that_is_not_known_is_refused_with_those_that_are(playbook: Any, system: System) -> None:
    docker("exec", system.name, "apt-get", "--yes", "purge", "docker-buildx")
    variables = {"engine_start": False, "engine_distributions": {"Debian-99": {"suite": "", "packages": []}}}
    run = playbook("engine", variables=variables, inventory=system.inventory)
    assert run.status != 0
    assert "it knows Debian 99" in " ".join(run.output.split())
