# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent: its process, started when first needed, and the client side of the Agent Client Protocol."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from . import __version__
from .errors import AgentDiedError, AgentError, AgentUnavailableError

if TYPE_CHECKING:
    from acp import RequestError
    from acp.client.connection import ClientSideConnection
    from acp.interfaces import Client
    from acp.schema import InitializeResponse, PermissionOption, RequestPermissionResponse, ToolCallUpdate
    from pydantic import BaseModel

# One line of the protocol holds a whole message, pictures included.
MAX_LINE_BYTES = 50 * 1024 * 1024
START_TIMEOUT = 60.0
STOP_TIMEOUT = 3.0
STDERR_LINES = 20

log = logging.getLogger(__name__)
T = TypeVar("T")


def to_json(model: BaseModel) -> dict[str, Any]:
    """Return a model of the protocol as it looks on the wire."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class AgentState(str, Enum):
    """Where the agent's process stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DIED = "died"


class Listener(Protocol):
    """Who is told what the agent says on its own."""

    def on_update(self, session_id: str, update: dict[str, Any]) -> None:
        """A session/update notification came."""

    async def on_permission(
        self, session_id: str, tool_call: dict[str, Any], options: list[dict[str, Any]]
    ) -> str | None:
        """Return the id of the chosen option, or None for cancelled."""

    def on_exit(self, reason: str) -> None:
        """The agent's process is gone."""


class _ProtocolClient:
    """The methods an agent may call. Files and terminals are not offered: the agent works on its own ones."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def session_update(self, session_id: str, update: BaseModel, **_meta: Any) -> None:
        # No await before the listener has it: the order of the updates depends on that.
        self._listener.on_update(session_id, to_json(update))

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_meta: Any
    ) -> RequestPermissionResponse:
        from . import sdk

        option_id = await self._listener.on_permission(
            session_id, to_json(tool_call), [to_json(option) for option in options]
        )
        if option_id is None:
            return sdk.RequestPermissionResponse(outcome=sdk.DeniedOutcome(outcome="cancelled"))
        return sdk.RequestPermissionResponse(outcome=sdk.AllowedOutcome(outcome="selected", option_id=option_id))


class Agent:
    """Keeps at most one process of the agent, and starts it again on the next call after it died."""

    def __init__(self, name: str, command: tuple[str, ...], workspace: Path, listener: Listener) -> None:
        self.name = name
        self.state = AgentState.STOPPED
        self.last_exit: str | None = None
        self.initialized: InitializeResponse | None = None
        self._command = command
        self._workspace = workspace
        self._listener = listener
        self._connection: ClientSideConnection | None = None
        self._process: Process | None = None
        self._owner: asyncio.Task[None] | None = None
        self._start_lock = asyncio.Lock()
        self._stop = asyncio.Event()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)

    def as_json(self) -> dict[str, Any]:
        """The agent as clients see it."""
        return {
            "name": self.name,
            "state": self.state.value,
            "command": list(self._command),
            "pid": self._process.pid if self._process else None,
            "lastExit": self.last_exit,
            "stderr": list(self._stderr),
        }

    async def ensure(self) -> InitializeResponse:
        """Start the agent if it does not run, and return what it said about itself.

        Raises AgentUnavailableError.
        """
        async with self._start_lock:
            if self._connection is None or self.initialized is None:
                await self._start()
            assert self.initialized is not None
            return self.initialized

    async def call(self, request: Callable[[ClientSideConnection], Awaitable[T]]) -> T:
        """Send a request to the running agent.

        Raises AgentDiedError if the agent is not there (any more), AgentError if it answers with an error.
        """
        if self._connection is None:
            raise AgentDiedError(self._gone())
        from . import sdk

        try:
            return await request(self._connection)
        except sdk.RequestError as error:
            raise AgentError(_describe(self.name, error)) from None
        except sdk.ValidationError:
            raise AgentError(f"{self.name} gave an answer that the protocol does not allow") from None
        except OSError:
            await self._reap()
            raise AgentDiedError(self._gone()) from None

    async def stop(self) -> None:
        """Stop the agent's process: closes its input, then asks it, then kills it."""
        self._stop.set()
        if self._owner is not None:
            await asyncio.wait([self._owner])

    def _gone(self) -> str:
        return f"{self.name} {self.last_exit or 'has ended'}; it is started again for the next new session"

    async def _reap(self) -> None:
        """Wait for the end of a process whose pipes are closed; kill it if it goes on without them."""
        if self._owner is None:
            return
        await asyncio.wait([self._owner], timeout=STOP_TIMEOUT)
        if self._process is not None and not self._owner.done():
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await asyncio.wait([self._owner])

    async def _start(self) -> None:
        if self._owner is not None:
            # The process before may still be on its way out.
            await asyncio.wait([self._owner])
        self._stop.clear()
        self.state = AgentState.STARTING
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own_process(ready), name=f"{self.name} process")
        try:
            await asyncio.shield(ready)
        except asyncio.CancelledError:
            self._stop.set()
            raise

    async def _own_process(self, ready: asyncio.Future[None]) -> None:
        """Run one process from start to end; `ready` gets the result of the start."""
        from . import sdk

        self._stderr.clear()
        reason = "was stopped"
        failed = False
        try:
            async with sdk.spawn_agent_process(
                cast("Client", _ProtocolClient(self._listener)),
                *self._command,
                env=os.environ,
                cwd=self._workspace,
                transport_kwargs={"limit": MAX_LINE_BYTES, "shutdown_timeout": STOP_TIMEOUT},
            ) as (connection, process):
                self._process = process
                stderr = asyncio.create_task(self._read_stderr(process))
                try:
                    self.initialized = await self._initialize(connection, process)
                    self._connection = connection
                    self.state = AgentState.READY
                    log.info("%s runs with pid %d", self.name, process.pid)
                    ready.set_result(None)
                    await _first_of(process.wait(), self._stop.wait())
                    failed = not self._stop.is_set()
                    if failed:
                        reason = f"ended unexpectedly with exit status {process.returncode}"
                finally:
                    self._connection = None
                    # Before the pipes close, so that requests under way are told the reason.
                    self.last_exit = reason
                    stderr.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await stderr
        except AgentUnavailableError as error:
            failed, reason = True, f"did not start: {error}"
        except OSError as error:
            failed, reason = True, f"did not start: {self._command[0]}: {error.strerror}"
        finally:
            self._connection = self.initialized = self._process = None
            self.state = AgentState.DIED if failed else AgentState.STOPPED
            self.last_exit = reason
            log.log(logging.ERROR if failed else logging.INFO, "%s %s", self.name, reason)
            self._listener.on_exit(f"{self.name} {reason}")
            if not ready.done():
                ready.set_exception(AgentUnavailableError(f"{self.name} {reason}"))

    async def _initialize(self, connection: ClientSideConnection, process: Process) -> InitializeResponse:
        from . import sdk

        hello = asyncio.ensure_future(
            connection.initialize(
                protocol_version=sdk.PROTOCOL_VERSION,
                client_capabilities=sdk.ClientCapabilities(),
                client_info=sdk.Implementation(name="codeopen-acp-gateway", version=__version__),
            )
        )
        await _first_of(hello, process.wait(), self._stop.wait(), timeout=START_TIMEOUT)
        if hello.done() and not hello.cancelled() and isinstance(hello.exception(), ConnectionError):
            # Its output is closed, so it is most likely about to end: the exit status tells more.
            await _first_of(process.wait(), timeout=STOP_TIMEOUT)
        if not hello.done() or hello.cancelled() or process.returncode is not None:
            if process.returncode is not None:
                raise AgentUnavailableError(f"it ended with exit status {process.returncode}")
            if self._stop.is_set():
                raise AgentUnavailableError("it was stopped meanwhile")
            raise AgentUnavailableError(f"no answer within {START_TIMEOUT:.0f} s")
        try:
            answer = hello.result()
        except sdk.RequestError as error:
            raise AgentUnavailableError(_describe(self.name, error)) from None
        except (ConnectionError, sdk.ValidationError) as error:
            raise AgentUnavailableError(f"no valid answer to initialize ({type(error).__name__})") from None
        if answer.protocol_version != sdk.PROTOCOL_VERSION:
            raise AgentUnavailableError(
                f"it speaks version {answer.protocol_version} of the protocol, expected {sdk.PROTOCOL_VERSION}"
            )
        return answer

    async def _read_stderr(self, process: Process) -> None:
        """Keep the last lines for those who may ask; they are not logged, as they can quote prompts."""
        assert process.stderr is not None
        with contextlib.suppress(ValueError):
            async for line in process.stderr:
                self._stderr.append(line.decode("utf-8", "replace").rstrip()[:500])


async def _first_of(*awaitables: Awaitable[object], timeout: float | None = None) -> None:
    """Wait until one is done; the others are cancelled."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _describe(name: str, error: RequestError) -> str:
    details = error.data.get("details") or error.data.get("message") if isinstance(error.data, dict) else None
    return f"{name} answered with error {error.code}: {error}" + (f" ({details})" if details else "")
