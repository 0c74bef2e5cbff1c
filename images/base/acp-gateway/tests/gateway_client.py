# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests need to talk to a gateway that runs in the test's own process."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from codeopen_acp_gateway.app import make_app
from codeopen_acp_gateway.config import Settings

PASSWORD = "correct horse"
PATIENCE = 60.0


def make_settings(folder: Path, opencode_bin: str | None = None) -> Settings:
    """Return settings with a workspace and a password in `folder`; the agent is the fake one by default."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    password_file = folder / "password"
    password_file.write_text(PASSWORD + "\n")
    if opencode_bin is None:
        script = folder / "opencode"
        fake = Path(__file__).with_name("fake_agent.py")
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(fake))} "$@"\n')
        script.chmod(0o755)
        opencode_bin = str(script)
    return Settings(
        host="127.0.0.1",
        port=0,
        opencode_bin=opencode_bin,
        workspace=workspace.resolve(),
        password_file=password_file,
    )


class GatewayClient:
    """Sends requests with the right password, and collects events."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.http = client

    async def request(self, method: str, path: str, body: object = None, **kwargs: Any) -> tuple[int, Any]:
        """Return status and JSON (None without a body) of an answer."""
        async with self.http.request(method, path, json=body, **kwargs) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def new_session(self) -> str:
        """Create a session and return its id."""
        status, body = await self.request("POST", "/sessions", {})
        assert status == 201, body
        session_id = body["id"]
        assert isinstance(session_id, str)
        return session_id

    async def prompt(self, session_id: str, text: str) -> tuple[int, Any]:
        """Send a prompt and wait for its end."""
        return await self.request("POST", f"/sessions/{session_id}/prompt?wait=true", {"text": text})

    async def start_prompt(self, session_id: str, text: str) -> str:
        """Send a prompt, do not wait, and return its id."""
        status, body = await self.request("POST", f"/sessions/{session_id}/prompt", {"text": text})
        assert status == 202, body
        return str(body["promptId"])

    async def events_until(
        self, session_id: str, *types: str, says: str = "", last_id: int = 0
    ) -> list[tuple[int, str, Any]]:
        """Return the events (id, type, data) up to and with the first of one of `types`, or until `says` was said."""
        found: list[tuple[int, str, Any]] = []
        async with asyncio.timeout(PATIENCE):
            headers = {"Last-Event-ID": str(last_id)}
            async with self.http.get(f"/sessions/{session_id}/events", headers=headers) as response:
                assert response.status == 200
                assert response.content_type == "text/event-stream"
                async for event in read_events(response):
                    found.append(event)
                    if event[1] in types or (says and says in said(found)):
                        # Else leaving the block waits for the stream's next line.
                        response.close()
                        break
        return found


async def read_events(response: ClientResponse) -> AsyncIterator[tuple[int, str, Any]]:
    """Parse a stream of Server-Sent Events."""
    fields: dict[str, str] = {}
    while line := (await response.content.readline()).decode():
        name, colon, value = line.rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield int(fields.get("id", 0)), fields["event"], json.loads(fields["data"])
            fields = {}


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[GatewayClient]:
    """Run a gateway."""
    headers = {"Authorization": f"Bearer {PASSWORD}"}
    async with TestClient(TestServer(make_app(settings)), headers=headers) as client:
        yield GatewayClient(client)


def said(events: list[tuple[int, str, Any]]) -> str:
    """Return what the agent said in the events."""
    return "".join(
        data["content"].get("text", "")
        for number, type_, data in events
        if type_ == "update" and data.get("sessionUpdate") == "agent_message_chunk"
    )
