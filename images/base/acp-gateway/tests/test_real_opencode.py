# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway with a real OpenCode, whose model is a local stand-in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_client import PATIENCE, GatewayClient, make_settings, running_gateway, said
from model_stand_in import ModelStandIn, opencode_config

OPENCODE = os.environ.get("OPENCODE_BIN") or shutil.which("opencode")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(OPENCODE is None, reason="no OpenCode: set OPENCODE_BIN or put opencode on PATH"),
]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelStandIn]:
    with ModelStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
async def gateway(folder: Path, model: ModelStandIn) -> AsyncIterator[GatewayClient]:
    """One gateway and one OpenCode for all tests, as its start takes seconds; each test has sessions of its own."""
    home = folder / "home"
    home.mkdir()
    config = folder / "opencode.json"
    config.write_text(json.dumps(opencode_config(model.base_url, permission={"bash": "ask", "edit": "ask"})))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("XDG_", "OPENCODE_"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("OPENCODE_CONFIG", str(config))
        patch.setenv("OPENCODE_DISABLE_MODELS_FETCH", "1")
        patch.setenv("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")
        async with running_gateway(make_settings(folder, OPENCODE)) as client:
            yield client


@pytest.fixture
def made(folder: Path) -> Iterator[Path]:
    """A file that a tool may make."""
    file = folder / "workspace" / "made"
    yield file
    file.unlink(missing_ok=True)


def call(tool: str, **arguments: Any) -> str:
    """Return a prompt that makes the stand-in call a tool."""
    return f"CALL {tool} {json.dumps(arguments)}"


async def ask_for(gateway: GatewayClient, prompt: str) -> tuple[str, dict[str, Any]]:
    """Send a prompt whose tool needs permission, and return the session's id and the request."""
    session_id = await gateway.new_session()
    await gateway.start_prompt(session_id, prompt)
    events = await gateway.events_until(session_id, "permission_request", "prompt_finished", "prompt_failed")
    assert events[-1][1] == "permission_request", events
    return session_id, events[-1][2]


def option(request: dict[str, Any], kind: str) -> str:
    """Return the id of the option of this kind."""
    return next(str(found["optionId"]) for found in request["options"] if found["kind"] == kind)


async def answer(gateway: GatewayClient, session_id: str, request: dict[str, Any], body: dict[str, str]) -> None:
    path = f"/sessions/{session_id}/permissions/{request['requestId']}"
    assert await gateway.request("POST", path, body) == (204, None)


async def test_info_tells_what_opencode_is(gateway: GatewayClient) -> None:
    status, info = await gateway.request("GET", "/info")
    assert status == 200, info
    assert info["agent"]["name"] == "OpenCode"
    assert info["protocolVersion"] == 1
    assert "promptCapabilities" in info["capabilities"]


async def test_prompt_is_answered_with_the_models_text(gateway: GatewayClient, model: ModelStandIn) -> None:
    session_id = await gateway.new_session()
    status, body = await gateway.prompt(session_id, "Tell me about teapots")
    assert (status, body.get("stopReason")) == (200, "end_turn"), body
    events = await gateway.events_until(session_id, "prompt_finished")
    assert "STAND-IN ANSWER: Tell me about teapots" in said(events)
    assert model.requests


async def test_slow_prompt_is_cancelled(gateway: GatewayClient, model: ModelStandIn) -> None:
    session_id = await gateway.new_session()
    await gateway.start_prompt(session_id, "SLOW please")
    await gateway.events_until(session_id, says="word1")
    status, body = await gateway.request("POST", f"/sessions/{session_id}/cancel")
    assert (status, body) == (202, {"cancelled": True})
    events = await gateway.events_until(session_id, "prompt_finished", "prompt_failed")
    assert events[-1][1:] == ("prompt_finished", {"promptId": "prompt-1", "stopReason": "cancelled"}), events[-1]
    assert model.hung_up.wait(PATIENCE)
    status, body = await gateway.prompt(session_id, "Are you there?")
    assert (status, body.get("stopReason")) == (200, "end_turn"), body


async def test_prompt_cancelled_at_once_ends_as_cancelled(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    await gateway.start_prompt(session_id, "SLOW please")
    assert (await gateway.request("POST", f"/sessions/{session_id}/cancel"))[0] == 202
    events = await gateway.events_until(session_id, "prompt_finished", "prompt_failed")
    assert events[-1][2].get("stopReason") == "cancelled", events[-1]


async def test_allowed_tool_runs(gateway: GatewayClient, made: Path) -> None:
    session_id, request = await ask_for(gateway, call("bash", command=f"echo done > {made}", description="Make it"))
    assert request["toolCall"]["kind"] == "execute"
    assert not made.exists()
    await answer(gateway, session_id, request, {"optionId": option(request, "allow_once")})
    events = await gateway.events_until(session_id, "prompt_finished", "prompt_failed")
    assert events[-1][2].get("stopReason") == "end_turn", events[-1]
    assert made.read_text() == "done\n"


async def test_refused_tool_does_not_run(gateway: GatewayClient, made: Path) -> None:
    session_id, request = await ask_for(gateway, call("write", filePath=str(made), content="no"))
    await answer(gateway, session_id, request, {"optionId": option(request, "reject_once")})
    events = await gateway.events_until(session_id, "prompt_finished", "prompt_failed")
    assert events[-1][1] == "prompt_finished", events[-1]
    assert not made.exists()


async def test_cancelled_permission_stops_the_tool(gateway: GatewayClient, made: Path) -> None:
    session_id, request = await ask_for(gateway, call("bash", command=f"touch {made}", description="Make it"))
    assert (await gateway.request("POST", f"/sessions/{session_id}/cancel"))[0] == 202
    events = await gateway.events_until(session_id, "prompt_finished", "prompt_failed")
    assert events[-1][2].get("stopReason") == "cancelled", events[-1]
    assert ("permission_resolved", {"requestId": request["requestId"], "outcome": "cancelled"}) in [
        event[1:] for event in events
    ]
    assert not made.exists()


async def test_deleted_session_is_closed_and_the_next_one_works(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    assert await gateway.request("DELETE", f"/sessions/{session_id}") == (204, None)
    assert (await gateway.request("GET", f"/sessions/{session_id}"))[0] == 404
    status, body = await gateway.prompt(await gateway.new_session(), "hello")
    assert (status, body.get("stopReason")) == (200, "end_turn"), body
