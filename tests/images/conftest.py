# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs containers of the catalogue's images, which must have been built before.

Missing images skip the tests that need them, or fail them with CODEOPEN_REQUIRE_IMAGES=1.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

docker = pytest.importorskip("docker")

BASE = "codeopen-base:0.1.0"
PYTHON = "codeopen-python-code-server:0.1.0"
JS = "codeopen-js-code-server:0.1.0"

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class Workspace:
    """A running container of an image, with a password of its own."""

    def __init__(self, container: Any, password: str) -> None:
        self.container = container
        self.password = password

    def run(self, command: str, user: str = "developer", check: bool = True) -> str:
        """The output of a bash command in the container.

        Raises:
            AssertionError: it failed, and ``check`` is on
        """
        code, output = self.container.exec_run(["bash", "-c", command], user=user)
        text: str = output.decode(errors="replace")
        assert code == 0 or not check, f"{command!r} ended with {code}:\n{text}"
        return text.strip()

    def code(self, command: str) -> int:
        """The exit code of a bash command in the container."""
        return int(self.container.exec_run(["bash", "-c", command]).exit_code)

    def status(self, url: str, *options: str) -> str:
        """The HTTP status that a URL inside the container answers with, "000" for no answer."""
        quoted = " ".join(f"'{option}'" for option in options)
        write = "--write-out '%{http_code}'"
        return self.run(f"curl -s -m 30 --noproxy '*' -o /dev/null {write} {quoted} {url}", check=False)

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 300) -> None:
        """Wait until ``ready()``; fails with the container's log if it never is, or if it died."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.container.reload()
            if self.container.status != "running" or time.monotonic() > deadline:
                pytest.fail(f"never {what}; the container is {self.container.status}:\n{self.logs()[-4000:]}")
            time.sleep(0.5)

    def wait_healthy(self) -> None:
        """Wait until the engine says that the container is healthy."""

        def healthy() -> bool:
            self.container.reload()
            return bool(self.container.attrs["State"]["Health"]["Status"] == "healthy")

        self.wait("healthy", healthy)

    def logs(self) -> str:
        """What the container has printed."""
        return str(self.container.logs().decode(errors="replace"))


@pytest.fixture(scope="session")
def engine() -> Any:
    """A client of the local Docker Engine."""
    try:
        client = docker.from_env(timeout=300)
        client.ping()
    except Exception as error:  # whatever keeps us from it, the reason is the same
        pytest.skip(f"no Docker Engine answers: {error}")
    return client


@pytest.fixture(scope="session")
def image(engine: Any) -> Callable[[str], Any]:
    """Gives an image by its name, or skips."""

    def find(name: str) -> Any:
        try:
            return engine.images.get(name)
        except docker.errors.ImageNotFound:
            reason = f"image {name} is not built: run `make up` or the playbook build.yml first"
            if os.environ.get("CODEOPEN_REQUIRE_IMAGES") == "1":
                pytest.fail(reason)
            pytest.skip(reason)

    return find


def write_secrets(folder: Path, password: str | None) -> Path:
    """Write a secrets directory as the workspace module lays it out."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    if password is not None:
        file = folder / "password"
        file.write_text(password, encoding="utf-8")
        file.chmod(0o444)
    if CA_BUNDLE.exists():
        network = folder / "network"
        network.write_bytes(CA_BUNDLE.read_bytes())
        network.chmod(0o444)
    return folder


Start = Callable[..., "contextlib.AbstractContextManager[Workspace]"]


@pytest.fixture(scope="session")
def start(engine: Any, image: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A context manager that runs a container of an image, and removes it in the end."""

    @contextlib.contextmanager
    def run(name: str, *, password: bool = True, environment: dict[str, str] | None = None) -> Iterator[Workspace]:
        image(name)
        # With the characters that shells, curl and JSON trip over.
        word = f'pw-{secrets.token_hex(8)}"\\$' if password else None
        folder = tmp_path_factory.mktemp("secrets")
        for parent in (folder, folder.parent, folder.parent.parent):
            parent.chmod(0o755)
        write_secrets(folder, word)
        container = engine.containers.run(
            name,
            name=f"codeopen-test-{secrets.token_hex(4)}",
            detach=True,
            environment=environment or {},
            volumes={str(folder): {"bind": "/run/codeopen/secrets", "mode": "ro"}},
        )
        try:
            yield Workspace(container, word or "")
        finally:
            container.remove(force=True, v=True)

    return run


@pytest.fixture(scope="session")
def base(start: Start) -> Iterator[Workspace]:
    """A healthy workspace of the base image."""
    with start(BASE) as workspace:
        workspace.wait_healthy()
        yield workspace


@pytest.fixture(scope="session")
def python(start: Start) -> Iterator[Workspace]:
    """A healthy workspace of flavor python with code-server."""
    with start(PYTHON) as workspace:
        workspace.wait_healthy()
        yield workspace


@pytest.fixture(scope="session")
def js(start: Start) -> Iterator[Workspace]:
    """A healthy workspace of flavor js with code-server."""
    with start(JS) as workspace:
        workspace.wait_healthy()
        yield workspace
