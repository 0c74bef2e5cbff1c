# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-Sent Events: writes a session's events to one client."""

from __future__ import annotations

import asyncio
import json
from typing import Protocol

from .sessions import Event, EventBuffer

KEEP_ALIVE = 15.0


class Sink(Protocol):
    """Where the text of the stream goes."""

    async def write(self, data: bytes) -> object:
        """Write, and wait while the client is slower than the stream."""


def encode_event(event: Event) -> bytes:
    """Return one event as text of the stream; its data is one line."""
    return f"id: {event.id}\nevent: {event.type}\ndata: {event.data}\n\n".encode("utf-8", "replace")


async def send_events(buffer: EventBuffer, last_id: int, sink: Sink, keep_alive: float = KEEP_ALIVE) -> None:
    """Write all events after `last_id` as they come, until the buffer is closed and read to its end.

    `keep_alive`: seconds of silence after which a comment is sent, so that proxies keep the connection.
    """
    last_id = min(last_id, buffer.last_id)
    while True:
        events, missed = buffer.after(last_id)
        if missed:
            data = json.dumps({"missed": missed, "lastEventId": last_id})
            await sink.write(f"event: gap\ndata: {data}\n\n".encode())
        for event in events:
            await sink.write(encode_event(event))
            last_id = event.id
        if buffer.closed and buffer.last_id == last_id:
            return
        try:
            await asyncio.wait_for(buffer.wait_beyond(last_id), keep_alive)
        except asyncio.TimeoutError:
            await sink.write(b": keep-alive\n\n")
