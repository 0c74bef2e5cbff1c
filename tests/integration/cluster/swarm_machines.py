# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines of a cluster: each is a real engine with a network, a host name and processes of its own.

They are on a switch of their own, so that nothing of this machine's network is touched. Killing a machine's first
process kills all of them at once, as a power cut does; its disk stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import docker
import requests
from busybox_root import busybox_root

ENTRYPOINT = """#!/bin/sh
# Who it is: containers of one workspace have one host name.
me=$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \\n')
trap '[ "$MODE" = lingers ] && sleep 7; exit 0' TERM
echo "mode ${MODE:-healthy} $me"
[ "$MODE" = dies ] && { echo "fatal: no database"; exit 3; }
mkdir -p /home/developer
touch /home/developer/kept
# Every writer says when it wrote, by the clock of the kernel that all machines share.
(while :; do read -r now rest </proc/uptime; echo "$me $now" >>/home/developer/writers; sleep 0.1; done) &
mkdir -p /srv && echo "${TEXT:-hello}" >/srv/index.html
httpd -f -p 4096 -h /srv &
while :; do sleep 0.2; done
"""

HEALTH = """#!/bin/sh
[ "$MODE" = never ] && { echo "the database is away"; exit 1; }
echo "web: healthy"
"""

RECIPE = "a" * 64
IMAGE = "codeopen-small:1"
_START_SECONDS = 60


def run(*command: str, check: bool = True) -> str:
    """The output of a command."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


class Machine:
    """One machine: ``start`` it, ``kill`` it, ``cut`` its cable and ``plug`` it in again."""

    def __init__(self, prefix: str, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.address = address
        self.folder = folder
        self.space = f"{prefix}{name}"
        self.socket = folder / "engine.sock"
        self.config = folder / "daemon.json"
        self._switch = f"{prefix}sw"
        self._port = f"p{name}"
        self._process: Optional[subprocess.Popen[bytes]] = None
        folder.mkdir(parents=True)
        self.config.write_text("{}\n")

    @property
    def url(self) -> str:
        """The address of its engine."""
        return f"unix://{self.socket}"

    @property
    def docker(self) -> docker.DockerClient:
        """A client of its engine."""
        return docker.DockerClient(self.url, timeout=60)

    def connect(self) -> None:
        """Give it a network of its own with a cable to the switch."""
        run("ip", "netns", "add", self.space)
        run("ip", "-n", self._switch, "link", "add", self._port, "type", "veth", "peer", "eth0", "netns", self.space)
        run("ip", "-n", self._switch, "link", "set", self._port, "master", "switch", "up")
        run("ip", "-n", self.space, "address", "add", f"{self.address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            run("ip", "-n", self.space, "link", "set", link, "up")

    def start(self) -> None:
        """Start its engine and wait for it."""
        for left in ("run", "engine.sock", "engine.pid"):
            path = self.folder / left
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        engine = [
            *("dockerd", f"--data-root={self.folder}/data", f"--exec-root={self.folder}/run"),
            *(f"--pidfile={self.folder}/engine.pid", f"--host={self.url}", f"--config-file={self.config}"),
            *("--bridge=none", f"--cgroup-parent=/{self.space}", "--exec-opt=native.cgroupdriver=cgroupfs"),
        ]
        # A first process that is no engine, for it has to take in the processes whose parents are gone.
        script = f"hostname {self.name}; {' '.join(engine)} & wait"
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    *("nsenter", f"--net=/run/netns/{self.space}"),
                    *("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
                    *("sh", "-c", script),
                ],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException):
                self.docker.ping()
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill all its processes at once."""
        if self._process is None:
            return
        first = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        # It ends last of all.
        while any(_alive(number) for number in first):
            time.sleep(0.1)

    def cut(self) -> None:
        """Pull its cable."""
        run("ip", "-n", self._switch, "link", "set", self._port, "down")

    def plug(self) -> None:
        """Put it in again."""
        run("ip", "-n", self._switch, "link", "set", self._port, "up")

    def file(self, volume: str, name: str) -> Path:
        """A file of one of its volumes."""
        return self.folder / "data" / "volumes" / volume / "_data" / name

    def load(self, image: bytes, name: str = IMAGE, recipe: str = RECIPE) -> None:
        """Have the image of the tests.

        :param name: what it is called here.
        :param recipe: what it says that it was made by.
        """
        self.docker.api.import_image_from_data(
            image,
            repository=name.split(":", maxsplit=1)[0],
            tag=name.split(":")[1],
            changes=[
                'ENTRYPOINT ["/entrypoint"]',
                "HEALTHCHECK --interval=500ms --timeout=10s --retries=3 CMD /health",
                f"LABEL codeopen.recipe={recipe}",
                "ENV PATH=/bin",
            ],
        )

    def containers(self, workspace: str) -> list[Any]:
        """The containers of a workspace that run here; none where nothing runs."""
        if self._process is None:
            return []
        filters = {"label": f"com.docker.swarm.service.name=codeopen-{workspace}"}
        return list(self.docker.containers.list(filters=filters))

    def clean(self) -> None:
        """Leave nothing of it."""
        self.kill()
        run("ip", "netns", "delete", self.space, check=False)
        # Of version 2, or one for each controller.
        root = Path("/sys/fs/cgroup")
        for group in (*root.glob(self.space), *root.glob(f"*/{self.space}")):
            run("find", str(group), "-depth", "-type", "d", "-exec", "rmdir", "{}", ";", check=False)


def _alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def small_image() -> bytes:
    """A file system in which a container does what its variable MODE says."""
    return busybox_root({"entrypoint": ENTRYPOINT.encode(), "health": HEALTH.encode()})


@contextlib.contextmanager
def machines(prefix: str, *names: str, config: Optional[dict[str, dict[str, Any]]] = None) -> Iterator[list[Machine]]:
    """Machines that run and have the image; nothing is left of them afterwards.

    :param prefix: at most eight characters that nothing else on this machine begins with.
    :param config: of engines, by the machine's name.
    """
    # Not pytest's folder, whose path is too long for a socket.
    root = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    made = [Machine(prefix, name, f"10.99.0.{index + 1}", root / name) for index, name in enumerate(names)]
    switch = f"{prefix}sw"
    try:
        run("ip", "netns", "add", switch)
        run("ip", "-n", switch, "link", "add", "switch", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "switch", "up")
        image = small_image()
        for machine in made:
            machine.config.write_text(json.dumps((config or {}).get(machine.name, {})))
            machine.connect()
            machine.start()
            machine.load(image)
        yield made
    finally:
        for machine in made:
            machine.clean()
        run("ip", "netns", "delete", switch, check=False)
        shutil.rmtree(root, ignore_errors=True)
