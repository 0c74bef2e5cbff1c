# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gateway does, without HTTP: brings the agent and the sessions together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .agent import Agent, to_json
from .config import Settings
from .errors import AgentDiedError, AgentError, BadRequestError, GatewayError, SessionEndedError, UnknownSessionError
from .sessions import Session, SessionStore

if TYPE_CHECKING:
    from .bodies import ContentBlock


@dataclass(frozen=True)
class RunningPrompt:
    """A prompt that the agent works on; `result` ends with the stop reason or a GatewayError."""

    id: str
    result: asyncio.Task[str]


class Gateway:
    """The agent and its sessions. Is the agent's listener."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sessions = SessionStore()
        self.agent = Agent("opencode", settings.agent_command, settings.workspace, self)
        self._prompts: set[asyncio.Task[str]] = set()

    async def info(self) -> dict[str, Any]:
        """Return versions and capabilities; starts the agent. Raises AgentUnavailableError."""
        answer = await self.agent.ensure()
        return {
            "gateway": {"name": "codeopen-acp-gateway", "version": __version__},
            "agent": {"name": self.agent.name, "state": self.agent.state.value}
            | (to_json(answer.agent_info) if answer.agent_info else {}),
            "protocolVersion": answer.protocol_version,
            "capabilities": to_json(answer.agent_capabilities) if answer.agent_capabilities else {},
            "authMethods": [to_json(method) for method in answer.auth_methods or []],
            "workspace": str(self.settings.workspace),
        }

    async def create_session(self, cwd: str | None) -> Session:
        """Start a conversation in the folder `cwd` (default: the workspace); starts the agent.

        Raises BadRequestError, AgentUnavailableError, AgentError, AgentDiedError.
        """
        folder = self._folder(cwd)
        await self.agent.ensure()
        with self.sessions.creating():
            answer = await self.agent.call(lambda connection: connection.new_session(cwd=str(folder), mcp_servers=[]))
            return self.sessions.add(answer.session_id, str(folder))

    async def delete_session(self, session_id: str) -> None:
        """End a session at the agent, and forget it. Raises UnknownSessionError."""
        session = self.sessions.get(session_id)
        if session.ended_reason is None:
            # An agent that fails here does not keep the session alive.
            with contextlib.suppress(AgentError, AgentDiedError):
                await self.cancel(session_id)
                await self._close_at_agent(session_id)
        self.sessions.remove(session_id, "deleted")

    def start_prompt(self, session_id: str, blocks: Sequence[ContentBlock]) -> RunningPrompt:
        """Hand a prompt to the agent. Raises UnknownSessionError, SessionEndedError, PromptRunningError."""
        session = self.sessions.get(session_id)
        prompt_id = session.begin_prompt()
        task = asyncio.create_task(self._run_prompt(session, blocks), name=prompt_id)
        self._prompts.add(task)
        task.add_done_callback(self._forget_prompt)
        return RunningPrompt(prompt_id, task)

    async def cancel(self, session_id: str) -> bool:
        """Ask the agent to stop working on the session's prompt; return whether there was one.

        Raises UnknownSessionError, SessionEndedError, AgentDiedError.
        """
        session = self.sessions.get(session_id)
        session.require_live()
        if session.prompt_id is None:
            return False
        session.cancelling = True
        await self.agent.call(lambda connection: connection.cancel(session_id=session_id))
        # The protocol wants every open permission request answered with cancelled.
        session.cancel_permissions()
        return True

    def answer_permission(self, session_id: str, request_id: str, option_id: str | None) -> None:
        """Answer a permission request. Raises UnknownSessionError, UnknownPermissionError, BadRequestError."""
        self.sessions.get(session_id).answer_permission(request_id, option_id)

    async def stop(self) -> None:
        """End all sessions, their event streams and the agent."""
        self.sessions.end_all("the gateway stops")
        await self.agent.stop()

    def on_update(self, session_id: str, update: dict[str, Any]) -> None:
        """Keep what the agent says about a session."""
        self.sessions.record_update(session_id, update)

    async def on_permission(
        self, session_id: str, tool_call: dict[str, Any], options: list[dict[str, Any]]
    ) -> str | None:
        """Show the agent's question as an event, and wait for the answer."""
        try:
            session = self.sessions.get(session_id)
            session.require_live()
        except (UnknownSessionError, SessionEndedError):
            return None
        return await session.ask_permission(tool_call, options).answer

    def on_exit(self, reason: str) -> None:
        """End the sessions of an agent that is gone."""
        self.sessions.end_all(reason, AgentDiedError.code)

    async def _run_prompt(self, session: Session, blocks: Sequence[ContentBlock]) -> str:
        try:
            answer = await self.agent.call(
                lambda connection: connection.prompt(session_id=session.id, prompt=list(blocks))
            )
        except AgentError as error:
            if session.cancelling:
                # The protocol wants this stop reason, but OpenCode answers an early cancel with an error.
                session.finish_prompt("prompt_finished", {"stopReason": "cancelled"})
                return "cancelled"
            session.finish_prompt("prompt_failed", {"error": {"code": error.code, "message": str(error)}})
            raise
        except GatewayError as error:
            session.finish_prompt("prompt_failed", {"error": {"code": error.code, "message": str(error)}})
            raise
        session.finish_prompt("prompt_finished", {"stopReason": answer.stop_reason})
        return answer.stop_reason

    def _forget_prompt(self, task: asyncio.Task[str]) -> None:
        self._prompts.discard(task)
        if not task.cancelled():
            # Taken here too, as nobody may wait for it: the event prompt_failed tells it.
            task.exception()

    async def _close_at_agent(self, session_id: str) -> None:
        capabilities = self.agent.initialized.agent_capabilities if self.agent.initialized else None
        offered = capabilities.session_capabilities if capabilities else None
        if offered is not None and offered.close is not None:
            await self.agent.call(lambda connection: connection.close_session(session_id=session_id))

    def _folder(self, cwd: str | None) -> Path:
        workspace = self.settings.workspace
        try:
            folder = (workspace / cwd).resolve() if cwd else workspace
            is_folder = folder.is_dir()
        except (OSError, ValueError, RuntimeError):
            raise BadRequestError("cwd: is not a valid path") from None
        if not folder.is_relative_to(workspace):
            raise BadRequestError(f"cwd: {cwd!r} is outside the workspace, expected a folder in {workspace}")
        if not is_folder:
            raise BadRequestError(f"cwd: {cwd!r} is not a folder, expected one that exists in {workspace}")
        return folder
