# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a workspace on a real engine: none outlasts its time, and none outlives its container."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.gate_checks import run_checks
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import Interrupted
from ssh_host import ssh_host

if TYPE_CHECKING:
    import docker

    from .conftest import Host

pytestmark = pytest.mark.engine

FOREVER = 600
HANGS = ["sh", "-c", "echo working; sleep 600"]


class Relay(socketserver.BaseRequestHandler):
    """Passes a TCP connection on to the engine's socket, both ways, until the engine ends it."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect("/var/run/docker.sock")
            threading.Thread(target=self._pass, args=(self.request, engine), daemon=True).start()
            self._pass(engine, self.request)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)


class Server(socketserver.ThreadingTCPServer):
    """Does not wait for connections that are kept."""

    daemon_threads = True


@contextlib.contextmanager
def engine_by(way: str) -> Iterator[Optional[str]]:
    """The engine's address, reached by its socket or through the network."""
    if way == "unix":
        yield None
        return
    with Server(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Started:
    """A container that was just started.

    :ivar port: where its port 4096 is.
    """

    def __init__(self, client: docker.DockerClient, container_id: str) -> None:
        self.client = client
        self.id = container_id
        ports = client.api.inspect_container(container_id)["NetworkSettings"]["Ports"]
        self.port = int(ports["4096/tcp"][0]["HostPort"])

    def check(self, stop: Optional[threading.Event] = None, **check: Any) -> None:
        """Run one check."""
        entry = {"ports": [{"name": "web"}], "checks": [check]}
        run_checks(self.client, self.id, entry, {"web": self.port}, stop or threading.Event())


@contextlib.contextmanager
def started(host: Host, mode: str, restarts: bool = False, url: Optional[str] = None) -> Iterator[Started]:
    """A container of the test's image, seen through the engine at ``url``."""
    api = host.client.api
    settings = api.create_host_config(
        port_bindings={4096: ("127.0.0.1", None)}, restart_policy={"Name": "always"} if restarts else None
    )
    made = api.create_container(host.image, environment={"MODE": mode}, ports=[4096], host_config=settings)
    try:
        api.start(made["Id"])
        client = connect(url)
        yield Started(client, str(made["Id"]))
        client.close()
    finally:
        api.remove_container(made["Id"], force=True, v=True)


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_a_command_that_hangs_ends_at_its_deadline(host: Host, way: str) -> None:
    with engine_by(way) as url, started(host, "healthy", url=url) as container:
        container.check(command=["true"], timeout=30)
        begun = time.monotonic()
        with pytest.raises(RolloutError, match=r"did not end within 3 seconds and says: working\."):
            container.check(command=HANGS, timeout=3)
        assert 3 <= time.monotonic() - begun < 6
        # The connection that hangs is in nobody's way.
        container.check(command=["true"], timeout=30)


def test_a_command_that_hangs_ends_at_its_deadline_by_ssh(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ssh"
    folder.mkdir()
    with ssh_host(folder) as remote:
        monkeypatch.setenv("PATH", f"{remote.command()}:{os.environ['PATH']}")
        host.docker_host = f"ssh://somebody@127.0.0.1:{remote.port}"
        host.ok(host.entry("a", checks=[{"command": ["true"]}]))
        failed = host.run(host.entry("a", checks=[{"command": HANGS, "timeout": 3}], state="restarted"))
    assert "did not end within 3 seconds and says: working." in failed["workspaces"][0]["error"]


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_a_wish_to_stop_is_seen_while_a_command_hangs(host: Host, way: str) -> None:
    stop = threading.Event()
    with engine_by(way) as url, started(host, "healthy", url=url) as container:
        threading.Timer(1, stop.set).start()
        begun = time.monotonic()
        with pytest.raises(Interrupted):
            container.check(stop, command=HANGS, timeout=FOREVER)
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    "check", [{"http": "web"}, {"tcp": "web"}, {"command": ["false"]}, {"command": HANGS}], ids=["http", "tcp", "command", "hangs"]
)  # fmt: skip
def test_the_end_of_a_container_ends_its_checks(host: Host, check: dict[str, Any], restarts: bool) -> None:
    with started(host, "late", restarts) as container:
        begun = time.monotonic()
        with pytest.raises(
            RolloutError, match=r"^it died with exit code 3\.\nLast lines of its log:\nmode late"
        ) as failed:
            container.check(**check, timeout=FOREVER)
        assert time.monotonic() - begun < 12
    assert failed.value.state == "failed"
    assert failed.value.details["exit_code"] == 3


def test_a_port_that_nobody_listens_on_fails(host: Host) -> None:
    with started(host, "late") as container:
        for kind in ("tcp", "http"):
            with pytest.raises(RolloutError, match=rf"it is healthy, but port web \(127\.0\.0\.1:{container.port}\) "):
                container.check(**{kind: "web"}, timeout=0)


def test_a_command_that_is_not_there_is_said_to_be(host: Host) -> None:
    with started(host, "healthy") as container, pytest.raises(RolloutError, match=r"/nothing.* no such file"):
        container.check(command=["/nothing"], timeout=0)


def test_commands_leave_no_connections_open(host: Host) -> None:
    with started(host, "healthy") as container:
        container.check(command=["true"], timeout=30)
        gc.collect()
        gc.disable()
        try:
            before = len(os.listdir("/proc/self/fd"))
            for attempt in range(10):
                container.check(command=["true"], timeout=30)
            assert len(os.listdir("/proc/self/fd")) <= before + 2
        finally:
            gc.enable()
