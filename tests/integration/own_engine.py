# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second engine on this machine, with data, sockets, configuration and bridge of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import docker
import docker.errors

CONTAINERD_STORE = {"features": {"containerd-snapshotter": True}}


class OwnEngine:
    """An engine that may be ended and started again.

    :ivar url: where it listens.
    :ivar data: its data root.
    """

    def __init__(self, folder: Path, data: Path, bridge: str, configuration: Mapping[str, Any]) -> None:
        self.url = f"unix://{folder}/socket"
        self.data = data
        self._log = folder / "log"
        (folder / "daemon.json").write_text(json.dumps(configuration))
        self._command = [
            "dockerd", f"--host={self.url}", f"--data-root={data}", f"--exec-root={folder}/exec",
            f"--pidfile={folder}/pid", f"--config-file={folder}/daemon.json", f"--bridge={bridge}",
            "--iptables=false", "--ip6tables=false", "--ip-forward=false",
        ]  # fmt: skip
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> None:
        """Start it, and wait until it answers.

        :raises RuntimeError: it ended at once.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(self._log.read_text()[-2000:])
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and wait for that."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

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
        try:
            client = docker.DockerClient(base_url=self.url, version="auto")
        except docker.errors.DockerException:
            return False
        client.close()
        return True


@contextlib.contextmanager
def own_engine(data: Optional[Path] = None, configuration: Optional[Mapping[str, Any]] = None) -> Iterator[OwnEngine]:
    """An engine that runs, and is gone in the end with all it had. Needs root.

    :param data: its data root, on a disk of its own perhaps; None for a folder that is removed.
    :param configuration: what its daemon.json says.
    """
    folder = Path(tempfile.mkdtemp(prefix="codeopen-engine-"))
    try:
        with _bridge() as bridge:
            engine = OwnEngine(folder, data or folder / "data", bridge, configuration or {})
            try:
                engine.start()
                yield engine
            finally:
                try:
                    engine.clear()
                finally:
                    engine.end()
                    _unmount_below(folder, engine.data)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _bridge() -> Iterator[str]:
    """The name of a new bridge. An engine without one, even with none, takes away that of the engine that runs."""
    bridge = f"cot-{secrets.token_hex(4)}"
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    try:
        # Two at once have other networks: the process's number tells them apart.
        network = f"10.213.{os.getpid() % 250}.1/24"
        subprocess.run(["ip", "address", "add", network, "dev", bridge], check=True)
        yield bridge
    finally:
        subprocess.run(["ip", "link", "delete", bridge], check=True)


def _unmount_below(*folders: Path) -> None:
    """What is still mounted where an engine ended badly."""
    found = subprocess.run(
        ["findmnt", "--noheadings", "--raw", "--output", "TARGET"], capture_output=True, text=True, check=True
    )
    for place in reversed(found.stdout.split()):
        if any(place.startswith(f"{folder}/") for folder in folders):
            subprocess.run(["umount", "--lazy", place], check=True)
