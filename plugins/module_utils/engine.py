# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to a host's Docker Engine: connected, answering and new enough, or a clear message."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE

if TYPE_CHECKING:
    from docker import DockerClient


class _NotParamiko(ModuleType):
    """What the SDK gets for paramiko while it is imported.

    Otherwise it imports that wherever it is installed, which takes longer than all else, and refuses ssh:// where it is
    not, though the command ssh does the work.
    """

    def __getattr__(self, name: str) -> Any:
        raise ImportError(f"paramiko.{name} is not used here")


@contextmanager
def _without_paramiko() -> Iterator[None]:
    if "paramiko" in sys.modules:
        yield
        return
    sys.modules["paramiko"] = _NotParamiko("paramiko")
    try:
        yield
    finally:
        del sys.modules["paramiko"]


DOCKER_IMPORT_ERROR: Optional[str]
try:
    with _without_paramiko():
        import docker
        import docker.errors
    import requests.exceptions
except ImportError:
    DOCKER_IMPORT_ERROR = traceback.format_exc()
    # connect() says it; nothing else runs without a client.
    ENGINE_ERRORS: tuple[type[Exception], ...] = ()
    NOT_FOUND: tuple[type[Exception], ...] = ()
else:
    DOCKER_IMPORT_ERROR = None
    ENGINE_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException)
    NOT_FOUND = (docker.errors.NotFound,)

DEFAULT_HOST = "unix:///var/run/docker.sock"
MINIMUM_VERSION = (23, 0)
# Connections that are kept for further requests.
POOL_SIZE = 64


def connect(docker_host: str | None = None, timeout: int = 60) -> DockerClient:
    """A client of the engine at ``docker_host``.

    :param docker_host: for example ``unix:///var/run/docker.sock``, ``tcp://host:2375`` or ``ssh://user@host``, which
        goes by the command ssh and its configuration; where it is not given, the environment (``DOCKER_HOST``,
        ``DOCKER_CERT_PATH``, ``DOCKER_TLS_VERIFY``) decides, as for ``docker``.
    :param timeout: seconds that one request may take.
    :raises EngineError: no docker SDK, no answer, or an engine older than 23.0.
    """
    if DOCKER_IMPORT_ERROR is not None:
        raise EngineError(
            "The Python package 'docker' is missing for the Python that runs on this host. "
            "Install it there: 'pip install docker', or the distribution's package python3-docker."
        )
    where = docker_host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    try:
        by_socket = where.startswith("unix://")
        options: dict[str, Any] = {"version": "auto", "timeout": timeout, "max_pool_size": POOL_SIZE}
        # By itself the SDK would let in any host, whether its key is known or not.
        options["use_ssh_client"] = where.startswith("ssh://")
        environment = dict(os.environ, DOCKER_HOST=where)
        client = docker.from_env(environment=environment, **options)
        if by_socket:
            # No proxy leads to a socket, and looking for one at each request takes a third of its time.
            client.api.trust_env = False
            _keep_connections(client.api.get_adapter(client.api.base_url))
        version = str(client.version().get("Version", ""))
    except (docker.errors.DockerException, requests.exceptions.RequestException, ValueError) as error:
        raise EngineError(_no_answer(where, str(error))) from error
    if _parse(version) < MINIMUM_VERSION:
        client.close()
        raise EngineError(
            f"The Docker Engine at {where} is version {version or 'unknown'}; "
            f"{'.'.join(map(str, MINIMUM_VERSION))} or newer is needed. "
            "The role codeopen.workspaces.engine installs one that fits."
        )
    return client


def _keep_connections(adapter: Any) -> None:
    """Let all requests to a socket share connections.

    The SDK's adapter has a pool of them for each URL, path and all, so that each request connects anew.
    """
    by_url = adapter.get_connection
    adapter.get_connection = lambda url, proxies=None: by_url("http+docker://localhost", proxies)


def guard_changes(client: DockerClient, check: Callable[[], None]) -> None:
    """Call ``check`` before each request that changes something; what it raises keeps the request from being sent."""

    def guard(request: Any) -> Any:
        if request.method not in ("GET", "HEAD"):
            check()
        return request

    # The client is a session of requests, whose hook for authentication sees every request before it goes.
    client.api.auth = guard


def list_containers(client: DockerClient, only_workspaces: bool = True) -> list[dict[str, Any]]:
    """The engine's rows for all containers, running or not."""
    filters = {"label": LABEL_WORKSPACE} if only_workspaces else None
    with engine_words("Listing containers"):
        return list(client.api.containers(all=True, filters=filters))


@contextmanager
def engine_words(doing: str) -> Iterator[None]:
    """Turn the docker SDK's exceptions into an EngineError that says what was being done."""
    try:
        yield
    except ENGINE_ERRORS as error:
        raise EngineError(f"{doing} failed: {explain(error)}") from error


def explain(error: Exception) -> str:
    """The engine's own words in an exception of the docker SDK, in one line."""
    text = getattr(error, "explanation", None) or str(error)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return " ".join(str(text).split())


def _parse(version: str) -> tuple[int, int]:
    match = re.match(r"(\d+)(?:\.(\d+))?", version)
    return (int(match.group(1)), int(match.group(2) or 0)) if match else (0, 0)


def _no_answer(where: str, reason: str) -> str:
    path = where[len("unix://") :] if where.startswith("unix://") else ""
    if path and not os.path.exists(path):
        hint = f"{path} does not exist: install an engine (role codeopen.workspaces.engine) or start it"
    elif "Permission denied" in reason or "PermissionError" in reason:
        hint = "this user may not use it: run the task with 'become: true' or add the user to the group docker"
    elif "client version" in reason or "too old" in reason:
        hint = f"it speaks another API than this host's docker SDK: {reason}"
    else:
        hint = f"see that it runs ('docker info') and that docker_host is right: {reason}"
    return f"No Docker Engine answers at {where}: {hint}."
