# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the catalogue, whose images ``make test-images`` builds. Prints one JSON dictionary.

- ``services_warm_seconds``: fullstack with code-server and gui, from create to all services healthy, the image started
  before.
- ``services_cold_seconds``: the same with an engine that has nothing, its images in containerd's store: pulled from a
  registry on this machine, unpacked, started.
- ``services_cold_overlay2_seconds``: the same with the store that engines had before.
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
from ansible_collections.codeopen.workspaces.plugins.module_utils.bake import COMPRESSION
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import plan_from_files
from bench_start import ROOT, healthy_after, play

sys.path.append(str(ROOT / "tests" / "integration"))
from local_registry import local_registry
from own_engine import CONTAINERD_STORE, own_engine

SERVICES = {"flavor": "fullstack", "addons": ["code-server", "gui"]}
WARM_RUNS = 3
# Sparse, so that only what is written takes room.
DISK_BYTES = 16 * 10**9


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
def new_disk(folder: Path) -> Iterator[Path]:
    """Where a new file system is mounted. One from which as much was just deleted is slow to make files in: ext4 leaves
    the inodes of the last minutes alone, and looks at each."""
    disk = folder / "disk"
    disk.mkdir()
    with open(folder / "disk.image", "wb") as file:
        file.truncate(DISK_BYTES)
    call("mkfs.ext4", "-q", str(folder / "disk.image"))
    call("mount", "-o", "loop", str(folder / "disk.image"), str(disk))
    try:
        yield disk
    finally:
        call("umount", str(disk))
        (folder / "disk.image").unlink()
        disk.rmdir()


@contextlib.contextmanager
def pushed(image: str, folder: Path) -> Iterator[tuple[str, str]]:
    """The names of an image in a registry on this machine: as an engine with overlay2 pushes it, and as one with
    containerd's store does, whose layers the collection compresses with zstd (here all at once, later)."""
    with local_registry("docker-registry", folder) as there:
        gzip, zstd = f"{there}/gzip/{image}", f"{there}/zstd/{image}"
        call("docker", "tag", image, gzip)
        try:
            call("docker", "push", "--quiet", gzip)
        finally:
            call("docker", "rmi", "--no-prune", gzip)
        with new_disk(folder) as disk, own_engine(disk, CONTAINERD_STORE) as engine:
            output = f"type=image,name={zstd},push=true,force-compression=true,{COMPRESSION}"
            context = folder / "context"
            context.mkdir()
            (context / "Dockerfile").write_text(f"FROM {gzip}\n")
            call("docker", "--host", engine.url, "buildx", "build", "--output", output, str(context))
        yield gzip, zstd


def cold(name: str, folder: Path, configuration: dict[str, Any]) -> float:
    """Seconds from the first byte of the image to healthy, on an engine that has nothing.

    :param name: the image's, in a registry.
    :param configuration: the engine's.
    """
    secret = folder / "secrets"
    secret.mkdir()
    (secret / "password").write_text(secrets.token_urlsafe(24))
    os.chown(secret, 1000, 1000)
    os.chown(secret / "password", 1000, 1000)
    with new_disk(folder) as disk, own_engine(disk, configuration) as engine:
        begun = time.perf_counter()
        call("docker", "--host", engine.url, "pull", "--quiet", name)
        call(
            "docker", "--host", engine.url, "run", "--detach", "--name", "cold", "--network", "none",
            "--shm-size", "256m", "--volume", f"{secret}:/run/codeopen/secrets:ro", "--volume", "home:/home/developer",
            "--volume", "workspace:/workspace", name,
        )  # fmt: skip
        while True:
            state = json.loads(call("docker", "--host", engine.url, "inspect", "--format", "{{json .State}}", "cold"))
            if state["Health"]["Status"] == "healthy":
                return time.perf_counter() - begun
            if state["Status"] != "running":
                raise SystemExit(call("docker", "--host", engine.url, "logs", "cold"))
            time.sleep(0.1)


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
    for part in ("warm", "registry", "containerd", "overlay2"):
        (folder / part).mkdir()
    services = plan_from_files([{"name": name, **SERVICES}])["workspaces"][0]["image"]
    dev8 = plan_from_files([{"name": name, "preset": "dev8-mvp"}])["workspaces"][0]["image"]
    figures = {"services_warm_seconds": warm(folder / "warm", name)}
    with pushed(services, folder / "registry") as (gzip, zstd):
        figures["services_cold_seconds"] = cold(zstd, folder / "containerd", CONTAINERD_STORE)
        figures["services_cold_overlay2_seconds"] = cold(gzip, folder / "overlay2", {})
    figures |= {
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
