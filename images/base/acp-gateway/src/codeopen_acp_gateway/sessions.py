# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions, their events and their open permission requests. No I/O, no processes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .errors import BadRequestError, PromptRunningError, SessionEndedError, UnknownPermissionError, UnknownSessionError

MAX_EVENTS = 2000
MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_ENDED_SESSIONS = 100


@dataclass(frozen=True)
class Event:
    """One thing that happened in a session; `data` is JSON text on one line."""

    id: int
    type: str
    data: str


class EventBuffer:
    """The newest events of a session, bounded by their number and by their size in bytes.

    Readers keep their own place (the id of the last event they saw), so a slow reader
    costs no memory: it misses the events that were dropped meanwhile, and is told so.
    """

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._events: deque[Event] = deque()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._changed = asyncio.Event()
        self.last_id = 0
        self.closed = False

    def append(self, type_: str, data: object) -> Event:
        """Add an event and wake up the readers; the newest event is kept whatever its size."""
        self.last_id += 1
        event = Event(self.last_id, type_, json.dumps(data, ensure_ascii=False, separators=(",", ":")))
        self._events.append(event)
        self._bytes += len(event.data)
        while len(self._events) > 1 and (len(self._events) > self._max_events or self._bytes > self._max_bytes):
            self._bytes -= len(self._events.popleft().data)
        self._wake()
        return event

    def after(self, last_id: int) -> tuple[list[Event], int]:
        """Return the kept events newer than `last_id`, and how many such events were dropped."""
        first_id = self._events[0].id if self._events else self.last_id + 1
        missed = max(0, first_id - last_id - 1)
        return [event for event in self._events if event.id > last_id], missed

    def close(self) -> None:
        """Tell the readers that no event will follow."""
        self.closed = True
        self._wake()

    async def wait_beyond(self, last_id: int) -> None:
        """Wait until there is an event newer than `last_id`, or the buffer is closed."""
        # Checked here and not by the caller: an event may come before this coroutine runs.
        while self.last_id <= last_id and not self.closed:
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass
class PermissionRequest:
    """A question of the agent that waits for a person; `answer` becomes an option's id, or None for cancelled."""

    id: str
    tool_call: dict[str, Any]
    options: list[dict[str, Any]]
    answer: asyncio.Future[str | None]

    def as_json(self) -> dict[str, Any]:
        """The request as clients see it."""
        return {"requestId": self.id, "toolCall": self.tool_call, "options": self.options}


@dataclass
class Session:
    """One conversation with the agent."""

    id: str
    cwd: str
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    events: EventBuffer = field(default_factory=EventBuffer)
    prompt_id: str | None = None
    cancelling: bool = False
    ended_reason: str | None = None
    permissions: dict[str, PermissionRequest] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def state(self) -> str:
        """One of idle, running, ended."""
        if self.ended_reason is not None:
            return "ended"
        return "running" if self.prompt_id else "idle"

    def as_json(self) -> dict[str, Any]:
        """The session as clients see it."""
        return {
            "id": self.id,
            "agent": "opencode",
            "cwd": self.cwd,
            "state": self.state,
            "endedReason": self.ended_reason,
            "createdAt": self.created_at.isoformat(timespec="milliseconds"),
            "promptId": self.prompt_id,
            "lastEventId": self.events.last_id,
            "permissions": [request.as_json() for request in self.permissions.values()],
        }

    def require_live(self) -> None:
        """Raise SessionEndedError if the session has ended."""
        if self.ended_reason is not None:
            raise SessionEndedError(f"session {self.id} has ended ({self.ended_reason}); create a new session")

    def begin_prompt(self) -> str:
        """Mark the session as working and return the new prompt's id.

        Raises SessionEndedError or PromptRunningError.
        """
        self.require_live()
        if self.prompt_id is not None:
            raise PromptRunningError(
                f"session {self.id} still works on prompt {self.prompt_id}; wait for its end or cancel it"
            )
        self.cancelling = False
        self.prompt_id = f"prompt-{next(self._numbers)}"
        self.events.append("prompt_started", {"promptId": self.prompt_id})
        return self.prompt_id

    def finish_prompt(self, type_: str, result: dict[str, Any]) -> None:
        """Mark the session as idle and add the event `type_` with the prompt's result; nothing if none runs."""
        if self.prompt_id is None:
            return
        self.cancel_permissions()
        self.events.append(type_, {"promptId": self.prompt_id, **result})
        self.prompt_id = None

    def ask_permission(self, tool_call: dict[str, Any], options: list[dict[str, Any]]) -> PermissionRequest:
        """Add a permission request and tell the readers of the events."""
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        request = PermissionRequest(f"permission-{next(self._numbers)}", tool_call, options, answer)
        self.permissions[request.id] = request
        self.events.append("permission_request", request.as_json())
        return request

    def answer_permission(self, request_id: str, option_id: str | None) -> None:
        """Answer a permission request with one of its options, or None for cancelled.

        Raises UnknownPermissionError, or BadRequestError if the request has no such option.
        """
        request = self.permissions.get(request_id)
        if request is None:
            raise UnknownPermissionError(f"no permission request {request_id} waits in session {self.id}")
        known = [option["optionId"] for option in request.options]
        if option_id is not None and option_id not in known:
            raise BadRequestError(f"optionId: {option_id!r} is not offered, expected one of {', '.join(known)}")
        del self.permissions[request_id]
        outcome = {"outcome": "cancelled"} if option_id is None else {"outcome": "selected", "optionId": option_id}
        self.events.append("permission_resolved", {"requestId": request_id, **outcome})
        if not request.answer.done():
            request.answer.set_result(option_id)

    def cancel_permissions(self) -> None:
        """Answer every open permission request with cancelled."""
        for request_id in list(self.permissions):
            self.answer_permission(request_id, None)

    def end(self, reason: str, code: str = SessionEndedError.code) -> None:
        """Mark the session as ended; its events can still be read. Does nothing the second time.

        `code`: the error's code for a prompt that still runs.
        """
        if self.ended_reason is not None:
            return
        self.cancel_permissions()
        self.finish_prompt("prompt_failed", {"error": {"code": code, "message": reason}})
        self.ended_reason = reason
        self.events.append("session_ended", {"reason": reason})
        self.events.close()


class SessionStore:
    """All sessions of the gateway, in the order of their creation."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._creating = 0
        self._early: dict[str, list[dict[str, Any]]] = {}

    def get(self, session_id: str) -> Session:
        """Return the session; raises UnknownSessionError."""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise UnknownSessionError(f"no session {session_id}") from None

    def all(self) -> list[Session]:
        """Return all sessions, the oldest first."""
        return list(self._sessions.values())

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Keep updates of unknown sessions meanwhile: an agent may send them before it tells the new session's id."""
        self._creating += 1
        try:
            yield
        finally:
            self._creating -= 1
            if not self._creating:
                self._early.clear()

    def add(self, session_id: str, cwd: str) -> Session:
        """Add a session, with the updates that came before its id was known."""
        session = Session(session_id, cwd)
        self._sessions[session_id] = session
        for update in self._early.pop(session_id, []):
            session.events.append("update", update)
        ended = [known for known in self._sessions.values() if known.ended_reason is not None]
        for old in ended[: max(0, len(ended) - MAX_ENDED_SESSIONS)]:
            del self._sessions[old.id]
        return session

    def remove(self, session_id: str, reason: str) -> None:
        """End and forget a session; raises UnknownSessionError."""
        self.get(session_id).end(reason)
        del self._sessions[session_id]

    def record_update(self, session_id: str, update: dict[str, Any]) -> None:
        """Add an update of the agent to its session's events; updates of forgotten sessions are dropped."""
        session = self._sessions.get(session_id)
        if session is not None:
            if session.ended_reason is None:
                session.events.append("update", update)
        elif self._creating:
            self._early.setdefault(session_id, []).append(update)

    def end_all(self, reason: str, code: str = SessionEndedError.code) -> None:
        """Mark every session as ended."""
        for session in self._sessions.values():
            session.end(reason, code)
