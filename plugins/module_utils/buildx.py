# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ``docker buildx``: its version, and one bake with its progress."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError

DEFINITION = "definition.json"
METADATA = "metadata.json"
# Seconds that a child gets to end by itself when it is stopped.
GRACE = 10.0
TICK = 1.0


def require_buildx(environment: Mapping[str, str]) -> str:
    """Give the version line of buildx.

    :raises EngineError: the docker command or its buildx is not there.
    """
    if shutil.which("docker", path=environment.get("PATH")) is None:
        raise EngineError(
            "The command 'docker' is missing on this host; building needs it with its plugin buildx. "
            "The role codeopen.workspaces.engine installs both."
        )
    done = subprocess.run(
        ["docker", "buildx", "version"], env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(
            "docker buildx is missing on this host: install the package docker-buildx (Debian) or docker-buildx-plugin "
            "(Docker's repository), or let the role codeopen.workspaces.engine do it. "
            f"It said: {' '.join((done.stderr or done.stdout).split())}"
        )
    return done.stdout.strip()


def environment_for(docker_host: Optional[str], directory: str) -> dict[str, str]:
    """Give the environment for docker commands.

    :param directory: a directory of this run for buildx's own state, so that a builder somebody chose with
        ``docker buildx use`` does not build (and keep) the images elsewhere.
    """
    environment = dict(os.environ)
    environment.pop("BUILDX_BUILDER", None)
    environment["BUILDX_CONFIG"] = os.path.join(directory, "buildx")
    # Attestations would make every image a new one at each build.
    environment["BUILDX_NO_DEFAULT_ATTESTATIONS"] = "1"
    if docker_host:
        environment["DOCKER_HOST"] = docker_host
        environment.pop("DOCKER_CONTEXT", None)
    return environment


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own and stop it when the block ends early, however it ends."""
    process = subprocess.Popen(list(command), start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE)
            return
        except ProcessLookupError:
            process.wait()
            return
        except subprocess.TimeoutExpired:
            continue


def pieces(stream: IO[bytes], tick: Callable[[], None]) -> Iterator[str]:
    """Yield what arrives on a stream, decoded, as soon as it does; call ``tick`` about once a second meanwhile."""
    queue: Queue[Optional[bytes]] = Queue()

    def read() -> None:
        descriptor = stream.fileno()
        while True:
            data = os.read(descriptor, 65536)
            if not data:
                break
            queue.put(data)
        queue.put(None)

    Thread(target=read, daemon=True).start()
    rest = b""
    ticked = time.monotonic()
    while True:
        try:
            data = queue.get(timeout=TICK)
        except Empty:
            data = b""
        if time.monotonic() - ticked >= TICK:
            ticked = time.monotonic()
            tick()
        if data is None:
            if rest:
                yield rest.decode("utf-8", "replace")
            return
        # A character may be cut in two by the end of a piece; whole lines are not.
        whole, newline, rest = (rest + data).rpartition(b"\n")
        if newline:
            yield (whole + newline).decode("utf-8", "replace")


def standard_error(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """The pipe that a child writes its errors to.

    :raises ValueError: it was started without one.
    """
    if process.stderr is None:
        raise ValueError("the child was started without a pipe for its errors")
    return process.stderr


def bake(
    definition: Mapping[str, Any],
    directory: str,
    environment: Mapping[str, str],
    feed: Callable[[str], None],
    tick: Callable[[], None],
) -> tuple[int, dict[str, Any]]:
    """Run one bake.

    :param directory: the working directory; all contexts and secrets of the definition lie in it, since newer
        versions of bake may read nothing outside without being allowed to.
    :param feed: gets the tool's progress, in pieces.
    :param tick: called about once a second; an exception it raises stops the build.
    :returns: exit status, and the metadata by target.
    """
    with open(os.path.join(directory, DEFINITION), "w", encoding="utf-8") as file:
        json.dump(definition, file)
    command = ["docker", "buildx", "--builder", "default", "bake", "--file", DEFINITION, "--progress", "rawjson"]
    command += ["--metadata-file", METADATA]
    options = {"cwd": directory, "env": dict(environment), "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with child(command, stderr=subprocess.PIPE, **options) as process:
        for piece in pieces(standard_error(process), tick):
            feed(piece)
        status = process.wait()
    try:
        with open(os.path.join(directory, METADATA), encoding="utf-8") as file:
            metadata = json.load(file)
    except (OSError, ValueError):
        metadata = {}
    return status, metadata
