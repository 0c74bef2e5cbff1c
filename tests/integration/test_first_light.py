# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newcomer's way: ``make up``, a second time, one beside it, ``make down``, with the catalogue's real images."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.catalogue]

ROOT = Path(__file__).resolve().parents[2]
STATE = Path("/var/lib/codeopen/workspaces")


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person does."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("FLAVOR", "ADDONS", "TIER", "NAME")
    }
    # Nested in `make test`, the outer make's settings must not reach the inner one.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PURGE"):
        environment.pop(name, None)
    command = ["make", *arguments, *(f"{name}={value}" for name, value in variables.items())]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def as_root(*command: str) -> str:
    """Run a command that may read what only root may."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    return subprocess.run([*sudo, *command], check=True, capture_output=True, text=True).stdout


def status(url: str, authorization: str = "") -> int:
    """The HTTP status of a request."""
    request = urllib.request.Request(url, headers={"Authorization": authorization} if authorization else {})
    try:
        # Proxies are not for this machine's own addresses.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def changed(run: subprocess.CompletedProcess[str]) -> int:
    """The number of changes in the recap."""
    found = re.search(r"^localhost\s.*changed=(\d+)", run.stdout, re.MULTILINE)
    assert found, run.stdout
    return int(found.group(1))


def address(run: subprocess.CompletedProcess[str], service: str) -> str:
    """The address of a service in the table."""
    found = re.search(rf"\b{service}\s+(http://127\.0\.0\.1:\d+)", run.stdout)
    assert found, run.stdout
    return found.group(1)


@pytest.fixture(scope="module")
def engine() -> docker.DockerClient:
    """The engine of this machine."""
    return docker.from_env()


@pytest.fixture(scope="module")
def name(prefix: str) -> Iterator[str]:
    """A workspace's name; what was made under it is gone in the end."""
    try:
        yield prefix
    finally:
        for workspace in (prefix, f"{prefix}-two"):
            make("down", NAME=workspace, PURGE="1")


@pytest.fixture(scope="module")
def up(name: str) -> subprocess.CompletedProcess[str]:
    """The first run."""
    run = make("up", NAME=name)
    assert run.returncode == 0, run.stdout
    return run


def test_check_mode_says_what_would_be_done_and_does_nothing(
    name: str, playbook: Any, engine: docker.DockerClient
) -> None:
    workspace = {"name": name, "flavor": "python", "addons": ["code-server"], "tier": "builder"}
    run = playbook("site", "--check", "--diff", variables={"codeopen_workspaces": [workspace]})
    assert run.status == 0, run.output
    assert run.count("changed") >= 1, run.output
    assert name in run.output
    assert not engine.containers.list(all=True, filters={"name": f"codeopen-{name}"})
    assert not (STATE / name).exists()


def test_a_run_ends_with_a_healthy_workspace_and_says_where(
    name: str, up: subprocess.CompletedProcess[str], engine: docker.DockerClient
) -> None:
    container = engine.containers.get(f"codeopen-{name}")
    assert container.attrs["State"]["Health"]["Status"] == "healthy"
    for service in ("opencode", "acp", "code-server"):
        assert status(address(up, service)) < 500
    assert f"{STATE}/{name}/secrets/password" in up.stdout
    assert f"make down NAME={name}" in up.stdout


def test_nothing_answers_without_the_password(name: str, up: subprocess.CompletedProcess[str]) -> None:
    password = as_root("cat", f"{STATE}/{name}/secrets/password").strip()
    basic = "Basic " + base64.b64encode(f"opencode:{password}".encode()).decode()
    opencode = address(up, "opencode")
    assert status(opencode + "/global/health") == 401
    assert status(opencode + "/global/health", "Basic " + base64.b64encode(b"opencode:wrong").decode()) == 401
    assert status(opencode + "/global/health", basic) == 200
    gateway = address(up, "acp")
    assert status(gateway + "/info") == 401
    assert status(gateway + "/info", f"Bearer {password}") == 200


def test_the_password_is_nowhere_else(
    name: str, up: subprocess.CompletedProcess[str], engine: docker.DockerClient
) -> None:
    password = as_root("cat", f"{STATE}/{name}/secrets/password").strip()
    container = engine.containers.get(f"codeopen-{name}")
    assert len(password) >= 16
    assert password not in up.stdout
    assert password not in str(container.attrs)
    assert password not in container.logs().decode()


def test_a_second_run_changes_nothing(
    name: str, up: subprocess.CompletedProcess[str], engine: docker.DockerClient
) -> None:
    before = engine.containers.get(f"codeopen-{name}").attrs
    run = make("up", NAME=name)
    assert run.returncode == 0, run.stdout
    assert changed(run) == 0, run.stdout
    after = engine.containers.get(f"codeopen-{name}").attrs
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert address(run, "opencode") == address(up, "opencode")


def test_the_playbook_alone_does_the_same(name: str, up: subprocess.CompletedProcess[str], playbook: Any) -> None:
    workspace = {"name": name, "flavor": "python", "addons": ["code-server"], "tier": "builder"}
    for which in ("site", "deploy"):
        run = playbook(which, variables={"codeopen_workspaces": [workspace]})
        assert run.status == 0, run.output
        assert run.count("changed") == 0, run.output
        assert address(up, "opencode") in run.output
        assert f"codeopen_remove={name}" in run.output


def test_another_workspace_comes_up_beside_it(
    name: str, up: subprocess.CompletedProcess[str], engine: docker.DockerClient
) -> None:
    before = engine.containers.get(f"codeopen-{name}").attrs
    run = make("up", NAME=f"{name}-two", ADDONS="", TIER="starter")
    assert run.returncode == 0, run.stdout
    assert address(run, "opencode") != address(up, "opencode")
    after = engine.containers.get(f"codeopen-{name}").attrs
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert make("down", NAME=f"{name}-two", PURGE="1").returncode == 0
    assert engine.containers.get(f"codeopen-{name}").status == "running"


def test_down_keeps_the_volumes_and_purge_does_not(
    name: str, up: subprocess.CompletedProcess[str], engine: docker.DockerClient
) -> None:
    container = engine.containers.get(f"codeopen-{name}")
    assert container.exec_run(["sh", "-c", "echo kept >/workspace/note"], user="developer").exit_code == 0
    password = as_root("cat", f"{STATE}/{name}/secrets/password")

    run = make("down", NAME=name)
    assert run.returncode == 0, run.stdout
    assert not engine.containers.list(all=True, filters={"name": f"codeopen-{name}"})
    assert engine.volumes.list(filters={"name": f"codeopen-{name}-workspace"})
    assert changed(make("down", NAME=name)) == 0

    assert make("up", NAME=name).returncode == 0
    container = engine.containers.get(f"codeopen-{name}")
    assert container.exec_run(["cat", "/workspace/note"]).output == b"kept\n"
    assert as_root("cat", f"{STATE}/{name}/secrets/password") == password

    assert make("down", NAME=name, PURGE="1").returncode == 0
    assert not engine.volumes.list(filters={"name": f"codeopen-{name}"})
    assert not (STATE / name).exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"FLAVOR": "pyton"}, "python"),
        ({"ADDONS": "code-sever"}, "code-server"),
        ({"TIER": "bilder"}, "builder"),
        ({"NAME": "../demo"}, "is not a workspace's name"),
        ({"NAME": "a b;id"}, "is not a workspace's name"),
    ],
)
def test_mistakes_are_named_before_anything_is_touched(variables: dict[str, str], message: str) -> None:
    run = make("up", **variables)
    assert run.returncode != 0
    assert message in run.stdout
    # The role engine, which comes first of all that touches a host, did not begin.
    assert "codeopen.workspaces.engine" not in run.stdout


def test_down_asks_for_a_name() -> None:
    run = make("down")
    assert run.returncode != 0
    assert "make down NAME=demo" in run.stdout
