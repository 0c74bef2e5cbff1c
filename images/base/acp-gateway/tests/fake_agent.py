# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small agent that speaks ACP on stdio; the text of a prompt says how it behaves."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, cast

from acp import PROTOCOL_VERSION, RequestError, run_agent, text_block, update_agent_message
from acp.interfaces import Agent, Client
from acp.schema import (
    AgentCapabilities,
    AllowedOutcome,
    CloseSessionResponse,
    Implementation,
    InitializeResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    SessionCapabilities,
    SessionCloseCapabilities,
    ToolCallUpdate,
)

OPTIONS = [
    PermissionOption(option_id="once", name="Allow once", kind="allow_once"),
    PermissionOption(option_id="reject", name="Reject", kind="reject_once"),
]


class FakeAgent:
    """Answers to prompts: 'slow', 'permission', 'die', 'error', 'hang up', 'many N', else an echo."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._cancelled: dict[str, asyncio.Event] = {}
        self._closed: list[str] = []

    def on_connect(self, conn: Client) -> None:
        self._client = conn

    async def initialize(self, protocol_version: int, **_kwargs: Any) -> InitializeResponse:
        mode = os.environ.get("FAKE_AGENT")
        if mode == "exit":
            print("no good", file=sys.stderr, flush=True)
            os._exit(7)
        if mode == "version":
            return InitializeResponse(protocol_version=protocol_version + 1)
        return InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_info=Implementation(name="Fake", version="9.9"),
            agent_capabilities=AgentCapabilities(
                session_capabilities=SessionCapabilities(close=SessionCloseCapabilities())
            ),
        )

    async def new_session(self, cwd: str, **_kwargs: Any) -> NewSessionResponse:
        session_id = f"ses-{os.getpid()}-{len(self._cancelled)}"
        self._cancelled[session_id] = asyncio.Event()
        await self._say(session_id, f"early in {cwd}")
        return NewSessionResponse(session_id=session_id)

    async def close_session(self, session_id: str, **_kwargs: Any) -> CloseSessionResponse:
        self._closed.append(session_id)
        return CloseSessionResponse()

    async def cancel(self, session_id: str, **_kwargs: Any) -> None:
        self._cancelled[session_id].set()

    async def prompt(self, session_id: str, prompt: list[Any], **_kwargs: Any) -> PromptResponse:
        text = " ".join(getattr(block, "text", block.type) for block in prompt)
        self._cancelled[session_id].clear()
        print(f"stderr quotes {text}", file=sys.stderr, flush=True)
        if text == "slow":
            await self._say(session_id, "starting")
            await self._cancelled[session_id].wait()
            return PromptResponse(stop_reason="cancelled")
        if text == "permission":
            return await self._ask(session_id)
        if text == "die":
            os._exit(3)
        if text == "hang up":
            os.close(1)
            await asyncio.sleep(3600)
        if text == "error":
            raise RequestError(-32000, "Model refused", {"details": "no such model"})
        if text == "closed":
            await self._say(session_id, ",".join(self._closed))
        elif text.startswith("many "):
            for number in range(int(text.split()[1])):
                await self._say(session_id, f"part {number}")
        else:
            await self._say(session_id, f"echo: {text}")
        return PromptResponse(stop_reason="end_turn")

    async def _ask(self, session_id: str) -> PromptResponse:
        assert self._client is not None
        call = ToolCallUpdate(tool_call_id="call-1", title="Run rm", kind="execute")
        answer = await self._client.request_permission(session_id=session_id, tool_call=call, options=OPTIONS)
        if isinstance(answer.outcome, AllowedOutcome):
            await self._say(session_id, f"chosen: {answer.outcome.option_id}")
            return PromptResponse(stop_reason="end_turn")
        return PromptResponse(stop_reason="cancelled")

    async def _say(self, session_id: str, text: str) -> None:
        assert self._client is not None
        await self._client.session_update(session_id=session_id, update=update_agent_message(text_block(text)))


if __name__ == "__main__":
    assert sys.argv[1:] == ["acp"], sys.argv
    asyncio.run(run_agent(cast(Agent, FakeAgent()), use_unstable_protocol=True))
