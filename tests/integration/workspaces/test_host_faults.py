# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the host under a run: its engine ends, its disk is full, its clock jumps, its connection drops.

The engine that ends is one of the tests' own, with data, sockets and bridge of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import docker
import pytest
from own_bridge import own_bridge

from .conftest import Host, result_of, small_image

pytestmark = [pytest.mark.engine, pytest.mark.faults]

ROOT = Path(__file__).resolve().parents[3]


def until(condition: Callable[[], Any]) -> None:
    """Wait for something that takes a moment."""
    for attempt in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it did not become so")


def get(result: dict[str, Any]) -> str:
    """What the first workspace of a result answers."""
    with urllib.request.urlopen(result["workspaces"][0]["urls"]["web"], timeout=10) as answer:
        return str(answer.read().decode()).strip()


class Engine:
    """An engine that may be ended and started again."""

    def __init__(self, folder: Path, bridge: str, *options: str) -> None:
        self.url = f"unix://{folder}/socket"
        self._folder = folder
        self._command = ["dockerd", f"--bridge={bridge}", "--iptables=false", "--ip6tables=false"]
        self._command += [f"--host={self.url}", f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
        # Nor is it configured as the engine is that runs already.
        configuration = folder / "daemon.json"
        configuration.write_text("{}")
        self._command += [f"--pidfile={folder}/pid", f"--config-file={configuration}", *options]
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until(self._answers)

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)

    def clear(self) -> None:
        """Remove all containers, which may outlive the engine."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        client = docker.DockerClient(base_url=self.url, version="auto")
        for container in client.containers.list(all=True):
            container.remove(force=True)
        client.networks.prune()
        client.close()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
        try:
            client = docker.DockerClient(base_url=self.url, version="auto")
        except docker.errors.DockerException:
            return False
        client.close()
        return True


@contextlib.contextmanager
def running_engine(*options: str) -> Iterator[Engine]:
    """An engine of its own, with data, sockets and bridge of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts an engine")
    with own_bridge("10.213.98.1/24") as bridge:
        folder = Path(tempfile.mkdtemp(prefix="codeopen-engine-"))
        engine = Engine(folder, bridge, *options)
        try:
            engine.start()
            yield engine
        finally:
            engine.clear()
            engine.end(signal.SIGTERM)
            mounted = subprocess.run(
                ["findmnt", "--noheadings", "--raw", "--output", "TARGET"], capture_output=True, text=True, check=True
            )
            for place in reversed(mounted.stdout.split()):
                if place.startswith(f"{folder}/"):
                    subprocess.run(["umount", "--lazy", place], check=True)
            shutil.rmtree(folder)


@pytest.fixture(params=["", "--live-restore"], ids=["engine", "live-restore"])
def own_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with running_engine(*request.param.split()) as engine:
        yield engine


@contextlib.contextmanager
def host_on(url: str, folder: Path) -> Iterator[Host]:
    """A host whose engine is at ``url``."""
    client = docker.DockerClient(base_url=url, version="auto")
    with small_image(client) as image:
        yield Host(client, image, folder, f"t{secrets.token_hex(3)}")
    client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_ends_in_the_middle_of_an_update(
    own_engine: Engine, tmp_path: Path, number: signal.Signals
) -> None:
    with host_on(own_engine.url, tmp_path / "state") as host:
        there = {"docker_host": own_engine.url}
        host.ok(host.entry("a", environment={"TEXT": "old"}), host.entry("b"), **there)
        path = "/home/developer/file"
        host.client.containers.get(f"codeopen-{host.name('a')}").exec_run(["sh", "-c", f"echo mine >{path}"])
        wished = host.entry("a", environment={"TEXT": "new", "MODE": "slow"})
        run = host.process(wished, host.entry("b"), **there)
        until(lambda: host.container("a", "--previous") and host.container("a"))
        own_engine.end(number)
        failed = result_of(run)
        assert failed["failed"]
        assert host.name("a") in failed["msg"]
        own_engine.start()
        # Whatever it was in the middle of, one run mends it, and the next finds nothing.
        done = host.ok(wished, host.entry("b"), **there)
        assert get(done) == "slow new"
        assert host.container("a", "--previous") is None
        kept = host.client.containers.get(f"codeopen-{host.name('a')}").exec_run(["cat", path]).output
        assert kept == b"mine\n"
        assert not host.ok(wished, host.entry("b"), **there)["changed"]
        assert len(host.client.containers.list(all=True)) == 2


def test_an_engine_that_ends_in_the_middle_of_a_creation(own_engine: Engine, tmp_path: Path) -> None:
    with host_on(own_engine.url, tmp_path / "state") as host:
        wished = host.entry("a", mode="slow")
        run = host.process(wished, docker_host=own_engine.url)
        until(lambda: host.container("a"))
        own_engine.end(signal.SIGKILL)
        assert result_of(run)["failed"]
        refused = host.run(wished, docker_host=own_engine.url)
        assert f"No Docker Engine answers at {own_engine.url}" in refused["msg"]
        own_engine.start()
        assert get(host.ok(wished, docker_host=own_engine.url)) == "slow"
        assert not host.ok(wished, docker_host=own_engine.url)["changed"]
        assert len(host.client.containers.list(all=True)) == 1


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


def test_a_full_disk_under_the_state_loses_nothing(host: Host, small_state: Path) -> None:
    first = host.entry("a", environment={"TEXT": "old"})
    token = {host.name("a"): {"token": "hush-1"}}
    on_disk = {"secrets_in": "disk"}
    host.ok(first, secrets=token, **on_disk)
    filler = small_state / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 512)
    wished = host.entry("a", environment={"TEXT": "new"})
    more = {host.name("a"): {"token": "hush-2" * 4000}}
    failed = host.run(wished, secrets=more, **on_disk)
    assert failed["failed"]
    assert "No space left on device" in failed["msg"] or "disk is full. Make room there" in failed["msg"]
    assert str(small_state) in failed["msg"]
    assert get({"workspaces": host.info(host.name("a"))}) == "healthy old"
    assert (small_state / "workspaces" / host.name("a") / "secrets/token").read_text() == "hush-1"
    filler.unlink()
    done = host.ok(wished, secrets=more, **on_disk)
    assert get(done) == "healthy new"
    assert host.container("a", "--previous") is None
    assert not host.ok(wished, secrets=more, **on_disk)["changed"]


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[tuple[list[str], subprocess.Popen[str]]]:
    """An SSH server for the user who runs the tests: Ansible's arguments to come in by it, and its process."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    program = Path(__file__).with_name("ssh_server.py")
    command = [sys.executable, str(program), str(folder / "host"), str(folder / "user.pub")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            options = {
                "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "ControlMaster": "no",
                "ControlPath": "none",
            }  # fmt: skip
            variables = {
                "ansible_connection": "ssh",
                "ansible_host": "127.0.0.1",
                "ansible_port": int(server.stdout.readline()),
                "ansible_ssh_private_key_file": str(folder / "user"),
                "ansible_ssh_common_args": " ".join(f"-o {key}={value}" for key, value in options.items()),
                "ansible_ssh_transfer_method": "piped",
                "ansible_python_interpreter": sys.executable,
            }
            yield ["-i", "remote,", "-e", json.dumps(variables)], server
        finally:
            server.kill()


def test_a_connection_that_drops_leaves_a_workspace_that_the_next_run_finds(host: Host, tmp_path: Path) -> None:
    program = shutil.which("ansible-playbook")
    assert program is not None
    host.ok(host.entry("a", environment={"TEXT": "old"}))
    wished = host.entry("a", environment={"TEXT": "new", "MODE": "slow"})
    task = {"workspaces": [wished], "state_dir": str(host.state_dir), "stop_timeout": 3}
    plays = [{"hosts": "remote", "gather_facts": False, "tasks": [{"codeopen.workspaces.workspace": task}]}]
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(json.dumps(plays))
    environment = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1")
    with ssh_server(tmp_path) as (reach, server):
        command = [program, *reach, str(playbook)]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        until(lambda: host.container("a", "--previous"))
        # All its connections are in the one process.
        server.kill()
        output = run.communicate(timeout=120)[0]
        assert run.returncode != 0, output
        assert "unreachable=1" in output, output
    # The job goes on by itself, or is ended; the next run waits for it and finds all in order or mends it.
    done = host.ok(wished)
    assert get(done) == "slow new"
    assert host.container("a", "--previous") is None
    assert not host.ok(wished)["changed"]
