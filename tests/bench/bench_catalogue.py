# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the catalogue, whose images ``make test-images`` builds. Prints one JSON dictionary.

- ``services_warm_seconds``: fullstack with code-server and gui, from create to all services healthy, the image started
  before.
- ``services_cold_seconds``: the same with an engine that has nothing: pulled from a registry on this machine, unpacked,
  started.
- ``catalogue_unchanged_seconds``: the playbook that builds all of it, where all of it is built.
- ``dev8_mvp_megabytes``: as the engine counts it.

``CODEOPEN_LEAVE_OUT`` names the tools that the images were built without.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import plan_from_files
from bench_start import ROOT, healthy_after, play

sys.path.append(str(ROOT / "tests" / "integration"))
from local_registry import local_registry
from own_bridge import own_bridge

SERVICES = {"flavor": "fullstack", "addons": ["code-server", "gui"]}
WARM_RUNS = 3


def warm(folder: Path, name: str) -> float:
    """Seconds from create to healthy, with a home that is there."""
    times = []
    try:
        for _run in range(WARM_RUNS + 1):
            play(folder, name, "absent", SERVICES)
            play(folder, name, "started", SERVICES)
            times.append(healthy_after(f"codeopen-{name}"))
    finally:
        play(folder, name, "absent", SERVICES, purge=True)
    # In the first, the image's files are read from the disk.
    return statistics.median(times[1:])


@contextlib.contextmanager
def serving(command: list[str], log: Path) -> Iterator[None]:
    """A server while the block runs."""
    with open(log, "wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def empty_engine(folder: Path) -> Iterator[str]:
    """The address of a second engine with nothing in it."""
    address = f"unix://{folder}/engine.sock"
    (folder / "daemon.json").write_text("{}")
    with own_bridge("10.213.99.1/24") as bridge:
        command = [
            "dockerd", "--host", address, "--data-root", str(folder / "engine"), "--exec-root", str(folder / "exec"),
            "--pidfile", str(folder / "engine.pid"), "--config-file", str(folder / "daemon.json"), "--bridge", bridge,
            "--iptables=false", "--ip6tables=false", "--ip-forward=false",
        ]  # fmt: skip
        with serving(command, folder / "engine.log"):
            while subprocess.run(["docker", "--host", address, "version"], capture_output=True, check=False).returncode:
                time.sleep(0.1)
            yield address


def cold(image: str, folder: Path) -> float:
    """Seconds from the first byte of the image to healthy."""
    with local_registry("docker-registry", folder) as there, empty_engine(folder) as engine:
        name = f"{there}/{image}"
        call("docker", "tag", image, name)
        try:
            call("docker", "push", "--quiet", name)
        finally:
            call("docker", "rmi", "--no-prune", name)
        secret = folder / "secrets"
        secret.mkdir()
        (secret / "password").write_text(secrets.token_urlsafe(24))
        os.chown(secret, 1000, 1000)
        os.chown(secret / "password", 1000, 1000)
        begun = time.perf_counter()
        call("docker", "--host", engine, "pull", "--quiet", name)
        call(
            "docker", "--host", engine, "run", "--detach", "--name", "cold", "--network", "none", "--shm-size", "256m",
            "--volume", f"{secret}:/run/codeopen/secrets:ro", "--volume", "home:/home/developer",
            "--volume", "workspace:/workspace", name,
        )  # fmt: skip
        try:
            while True:
                state = json.loads(call("docker", "--host", engine, "inspect", "--format", "{{json .State}}", "cold"))
                if state["Health"]["Status"] == "healthy":
                    return time.perf_counter() - begun
                if state["Status"] != "running":
                    raise SystemExit(call("docker", "--host", engine, "logs", "cold"))
                time.sleep(0.1)
        finally:
            call("docker", "--host", engine, "rm", "--force", "--volumes", "cold")


def unchanged() -> float:
    """Seconds of the playbook that builds the catalogue, where there is nothing to build."""
    begun = time.perf_counter()
    printed = call(str(ROOT / "scripts" / "build-catalogue.sh"))
    if " changed=0 " not in printed:
        raise SystemExit(f"expected a catalogue that is built: {printed[-2000:]}")
    return time.perf_counter() - begun


def call(*command: str) -> str:
    """The output of a command, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def measure(client: Any, folder: Path, name: str) -> dict[str, Any]:
    """The figures."""
    for part in ("warm", "cold"):
        (folder / part).mkdir()
    services = plan_from_files([{"name": name, **SERVICES}])["workspaces"][0]["image"]
    dev8 = plan_from_files([{"name": name, "preset": "dev8-mvp"}])["workspaces"][0]["image"]
    figures = {
        "services_warm_seconds": warm(folder / "warm", name),
        "services_cold_seconds": cold(services, folder / "cold"),
        "catalogue_unchanged_seconds": unchanged(),
        "dev8_mvp_megabytes": client.images.get(dev8).attrs["Size"] / 1e6,
    }
    return {figure: round(value, 2) for figure, value in figures.items()}


def main() -> None:
    """Print the figures; what was made is gone in the end."""
    client = docker.from_env()
    folder = Path(tempfile.mkdtemp(prefix="codeopen-bench-"))
    try:
        print(json.dumps(measure(client, folder, f"b{secrets.token_hex(3)}")))
    finally:
        shutil.rmtree(folder)
        client.close()


if __name__ == "__main__":
    main()
