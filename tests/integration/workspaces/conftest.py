# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small image that behaves as told, and the module run as Ansible runs it: a process with JSON arguments."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import docker
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import memory_folder
from busybox_root import busybox_root

ENTRYPOINT = """#!/bin/sh
trap 'echo stopping; exit 0' TERM
echo "mode ${MODE:-healthy}"
[ "$MODE" = dies ] && { echo "fatal: no database"; exit 3; }
[ "$MODE" = flaps ] && { sleep 0.3; exit 4; }
[ "$MODE" = hungry ] && { head -c 200m /dev/zero | tail; exit 137; }
[ "$MODE" = late ] && { sleep 4; exit 3; }
mkdir -p /srv && echo "${MODE:-healthy} ${TEXT:-}" > /srv/index.html
httpd -f -p 4096 -h /srv &
[ "$MODE" = busy ] && { while :; do :; done & }
wait
"""

HEALTH = """#!/bin/sh
case ${MODE:-healthy} in
  never) echo "the database is away"; exit 1 ;;
  stuck|late|flaps|hungry) sleep 1000 ;;
  slow) [ -e /tmp/second ] || { touch /tmp/second; sleep 2; } ;;
esac
echo "web: healthy"
"""

DOCKERFILE = """FROM {base}
COPY entrypoint health /
ENTRYPOINT ["/entrypoint"]
HEALTHCHECK {pace} --timeout=60s --retries=3 CMD /health
LABEL codeopen.recipe={recipe}
"""

RECIPE = "a" * 64
# Often until healthy, then seldom, since each check is a process that costs the engine some 60 ms of CPU.
PACE = "--start-period=1s --start-interval=300ms --interval=1s"


class Host:
    """A host of workspaces with a state directory and a name prefix of its own."""

    def __init__(
        self, client: docker.DockerClient, image: str, state_dir: Path, prefix: str, docker_host: Optional[str] = None
    ) -> None:
        self.client = client
        self.docker_host = docker_host
        self.image = image
        self.state_dir = state_dir
        self.prefix = prefix

    def entry(self, name: str, **changes: Any) -> dict[str, Any]:
        """A workspace as the plan has it; ``mode`` is how its container behaves."""
        mode = changes.pop("mode", None)
        entry: dict[str, Any] = {
            "name": self.name(name),
            "image": self.image,
            "recipe": RECIPE,
            "tier": "starter",
            "cpus": 0.5,
            "memory": 64 * 1024 * 1024,
            "ports": [{"name": "web", "container": 4096}],
            "volumes": [{"name": "home", "path": "/home/developer"}],
            "environment": {"MODE": mode} if mode else {},
        }
        entry.update(changes)
        return entry

    def name(self, name: str) -> str:
        """The workspace's name with this test's prefix."""
        return f"{self.prefix}-{name}"

    def container(self, name: str, suffix: str = "") -> Optional[dict[str, Any]]:
        """What the engine says about a workspace's container."""
        try:
            return dict(self.client.api.inspect_container(f"codeopen-{self.name(name)}{suffix}"))
        except docker.errors.NotFound:
            return None

    def started(self, name: str) -> tuple[str, str]:
        """Which container it is, and since when it runs."""
        found = self.container(name) or {}
        return str(found["Id"]), str(found["State"]["StartedAt"])

    def arguments(self, *entries: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The module's arguments."""
        check_mode = options.pop("check_mode", False)
        given = {"workspaces": list(entries), "state_dir": str(self.state_dir), "health_timeout": 30, "stop_timeout": 3}
        given.update({"docker_host": self.docker_host, **options})
        given.update(_ansible_check_mode=check_mode, _ansible_diff=True, _ansible_remote_tmp=str(self.state_dir))
        return {"ANSIBLE_MODULE_ARGS": given}

    def process(self, *entries: dict[str, Any], **options: Any) -> subprocess.Popen[str]:
        """The module, started."""
        module = options.pop("module", "workspace")
        command = [sys.executable, "-m", f"ansible_collections.codeopen.workspaces.plugins.modules.{module}"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(self.arguments(*entries, **options)))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, *entries: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The module's result, failed or not."""
        return result_of(self.process(*entries, **options))

    def ok(self, *entries: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The module's result, which must be a success."""
        result = self.run(*entries, **options)
        assert not result.get("failed"), result["msg"]
        return result

    def call(self, module: str, **options: Any) -> dict[str, Any]:
        """The result of another module, failed or not."""
        given = {"docker_host": self.docker_host, **options, "_ansible_remote_tmp": str(self.state_dir)}
        command = [sys.executable, "-m", f"ansible_collections.codeopen.workspaces.plugins.modules.{module}"]
        text = json.dumps({"ANSIBLE_MODULE_ARGS": given})
        return dict(json.loads(subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout))

    def info(self, *names: str) -> list[dict[str, Any]]:
        """What workspace_info says of these."""
        return list(self.call("workspace_info", names=list(names), state_dir=str(self.state_dir))["workspaces"])

    def secret(self, name: str, file: str) -> Path:
        """Where the host has a file of the user's secrets."""
        return Path(memory_folder(str(self.state_dir))) / self.name(name) / file

    def clean(self) -> None:
        """Remove every container, network and volume with the prefix, and what is in memory."""
        shutil.rmtree(memory_folder(str(self.state_dir)), ignore_errors=True)
        for container in self.client.api.containers(all=True, filters={"name": f"codeopen-{self.prefix}-"}):
            self.client.api.remove_container(container["Id"], force=True, v=True)
        # Those of owners and of pools, and the engine looks for a part of the name.
        for network in self.client.api.networks(names=[self.prefix]):
            self.client.api.remove_network(network["Id"])
        for volume in self.client.api.volumes(filters={"name": f"codeopen-{self.prefix}-"})["Volumes"] or []:
            self.client.api.remove_volume(volume["Name"], force=True)


def until(condition: Callable[[], object]) -> None:
    """Wait for something that takes a moment."""
    for _attempt in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it did not become so")


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON that the module ends with."""
    output, _unused = process.communicate(timeout=120)
    assert "{" in output, output
    return dict(json.loads(output[output.index("{") :]))


def _archive(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@contextlib.contextmanager
def small_image(engine: docker.DockerClient, pace: str = PACE) -> Iterator[str]:
    """An image whose container and health check do what the variable MODE says, while the block runs.

    :param pace: how often the check runs; many containers need a slower one, since each check is a process.
    """
    tag = f"codeopen-test-{secrets.token_hex(4)}"
    engine.api.import_image_from_data(busybox_root(), repository=f"{tag}-base", tag="1")
    try:
        files = {
            "Dockerfile": DOCKERFILE.format(base=f"{tag}-base:1", recipe=RECIPE, pace=pace).encode(),
            "entrypoint": ENTRYPOINT.encode(),
            "health": HEALTH.encode(),
        }
        engine.images.build(fileobj=_archive(files), custom_context=True, tag=f"{tag}:1", rm=True)
        yield f"{tag}:1"
    finally:
        for name in (f"{tag}:1", f"{tag}-base:1"):
            subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


@contextlib.contextmanager
def host_on(url: str, folder: Path) -> Iterator[Host]:
    """A host whose engine is at ``url``."""
    client = docker.DockerClient(base_url=url, version="auto")
    with small_image(client) as image:
        yield Host(client, image, folder, f"t{secrets.token_hex(3)}", url)
    client.close()


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> Iterator[str]:
    with small_image(engine) as tag:
        yield tag


@pytest.fixture
def host(engine: docker.DockerClient, image: str, tmp_path: Path) -> Iterator[Host]:
    prefix = f"t{secrets.token_hex(3)}"
    made = Host(engine, image, tmp_path / "state", prefix)
    os.makedirs(made.state_dir)
    yield made
    made.clean()


@pytest.fixture
def small_state(host: Host, tmp_path: Path) -> Iterator[Path]:
    """The host's state directory on a disk of its own, small enough to be filled."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        host.state_dir = place
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
