# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP side, with the fake agent."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from codeopen_acp_gateway import app as app_module
from codeopen_acp_gateway import stream
from codeopen_acp_gateway.config import Settings
from codeopen_acp_gateway.sessions import EventBuffer
from gateway_client import PASSWORD, PATIENCE, GatewayClient, make_settings, running_gateway, said

pytestmark = pytest.mark.anyio
NONE = {"Authorization": ""}


def basic(user: str, password: str) -> str:
    """Return the value of the header for basic auth."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[GatewayClient]:
    async with running_gateway(settings) as client:
        yield client


async def test_health_needs_no_password_and_starts_no_agent(gateway: GatewayClient) -> None:
    answer = {"status": "ok", "agent": {"name": "opencode", "state": "stopped"}}
    assert await gateway.request("GET", "/health", headers=NONE) == (200, answer)
    assert await gateway.request("GET", "/health", headers=NONE) == (200, answer)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer wrong",
        f"Token {PASSWORD}",
        basic("opencode", "wrong"),
        basic("root", PASSWORD),
        "Basic %%%",
    ],
)
@pytest.mark.parametrize("path", ["/info", "/agents", "/sessions", "/sessions/x/events", "/nothing"])
async def test_wrong_credentials_are_refused(gateway: GatewayClient, header: str, path: str) -> None:
    async with gateway.http.get(path, headers={"Authorization": header}) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")
        assert (await response.json())["error"]["code"] == "unauthorized"
        assert PASSWORD not in await response.text()


async def test_basic_auth_is_let_in(gateway: GatewayClient) -> None:
    headers = {"Authorization": basic("opencode", PASSWORD)}
    assert (await gateway.request("GET", "/sessions", headers=headers)) == (200, {"sessions": []})


async def test_replaced_password_counts_at_once(gateway: GatewayClient, settings: Settings) -> None:
    settings.password_file.write_text("another")
    assert (await gateway.request("GET", "/sessions"))[0] == 401
    headers = {"Authorization": "Bearer another"}
    assert (await gateway.request("GET", "/sessions", headers=headers))[0] == 200
    settings.password_file.unlink()
    status, body = await gateway.request("GET", "/sessions", headers=headers)
    assert (status, body["error"]["code"]) == (503, "password_unavailable")


async def test_info_starts_the_agent_and_tells_versions(gateway: GatewayClient) -> None:
    status, info = await gateway.request("GET", "/info")
    assert status == 200
    assert info["agent"] == {"name": "Fake", "version": "9.9", "state": "ready"}
    assert info["capabilities"]["sessionCapabilities"] == {"close": {}}
    assert info["gateway"]["name"] == "codeopen-acp-gateway"


async def test_agents_tells_the_state(gateway: GatewayClient) -> None:
    assert (await gateway.request("GET", "/agents"))[1]["agents"][0]["state"] == "stopped"
    await gateway.new_session()
    assert (await gateway.request("GET", "/agents"))[1]["agents"][0]["state"] == "ready"


async def test_session_is_created_listed_and_deleted(gateway: GatewayClient, settings: Settings) -> None:
    (settings.workspace / "sub").mkdir()
    async with gateway.http.post("/sessions", json={"cwd": "sub"}) as response:
        assert response.status == 201
        session = await response.json()
        assert response.headers["Location"] == f"/sessions/{session['id']}"
    assert (session["cwd"], session["state"]) == (str(settings.workspace / "sub"), "idle")
    assert (await gateway.request("GET", "/sessions"))[1]["sessions"][0]["id"] == session["id"]
    assert (await gateway.request("GET", f"/sessions/{session['id']}"))[1]["cwd"] == session["cwd"]
    assert await gateway.request("DELETE", f"/sessions/{session['id']}") == (204, None)
    assert (await gateway.request("GET", "/sessions"))[1] == {"sessions": []}
    other = await gateway.new_session()
    await gateway.prompt(other, "closed")
    assert session["id"] in said(await gateway.events_until(other, "prompt_finished"))


async def test_session_without_a_body_is_in_the_workspace(gateway: GatewayClient, settings: Settings) -> None:
    async with gateway.http.post("/sessions") as response:
        assert response.status == 201
        assert (await response.json())["cwd"] == str(settings.workspace)


@pytest.mark.parametrize("cwd", ["..", "/", "/etc", "missing", "file", "link", "nul\0", 5, "x" * 5000])
async def test_folder_outside_the_workspace_is_refused(gateway: GatewayClient, settings: Settings, cwd: object) -> None:
    (settings.workspace / "file").touch()
    (settings.workspace / "link").symlink_to("/etc")
    status, body = await gateway.request("POST", "/sessions", {"cwd": cwd})
    assert (status, body["error"]["code"]) == (400, "bad_request")
    assert body["error"]["message"].startswith("cwd: ")
    assert (await gateway.request("GET", "/agents"))[1]["agents"][0]["state"] == "stopped"


async def test_prompt_waits_and_its_events_are_in_order(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    assert await gateway.prompt(session_id, "many 50") == (200, {"promptId": "prompt-1", "stopReason": "end_turn"})
    events = await gateway.events_until(session_id, "prompt_finished")
    assert [event[0] for event in events] == list(range(1, 54))
    assert [event[1] for event in events] == ["update", "prompt_started", *["update"] * 50, "prompt_finished"]
    assert said(events[:1]).startswith("early in ")
    assert said(events[1:]) == "".join(f"part {number}" for number in range(50))


async def test_stream_resumes_after_the_last_event_seen(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    await gateway.prompt(session_id, "many 10")
    events = await gateway.events_until(session_id, "prompt_finished", last_id=9)
    assert [event[0] for event in events] == [10, 11, 12, 13]


async def test_content_blocks_reach_the_agent(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    blocks = [{"type": "text", "text": "look"}, {"type": "image", "data": "aGk=", "mimeType": "image/png"}]
    status = (await gateway.request("POST", f"/sessions/{session_id}/prompt?wait=true", {"content": blocks}))[0]
    assert status == 200
    assert "echo: look image" in said(await gateway.events_until(session_id, "prompt_finished"))


async def test_second_prompt_is_refused_and_cancel_ends_the_first(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    await gateway.start_prompt(session_id, "slow")
    status, body = await gateway.prompt(session_id, "again")
    assert (status, body["error"]["code"]) == (409, "prompt_running")
    assert (await gateway.request("GET", f"/sessions/{session_id}"))[1]["state"] == "running"
    assert await gateway.request("POST", f"/sessions/{session_id}/cancel") == (202, {"cancelled": True})
    events = await gateway.events_until(session_id, "prompt_finished", "prompt_failed")
    assert events[-1][2] == {"promptId": "prompt-1", "stopReason": "cancelled"}
    assert await gateway.request("POST", f"/sessions/{session_id}/cancel") == (202, {"cancelled": False})


@pytest.mark.parametrize(("answer", "end"), [({"optionId": "once"}, "chosen: once"), ({"outcome": "cancelled"}, "")])
async def test_permission_is_asked_and_answered(gateway: GatewayClient, answer: dict[str, str], end: str) -> None:
    session_id = await gateway.new_session()
    await gateway.start_prompt(session_id, "permission")
    request = (await gateway.events_until(session_id, "permission_request"))[-1]
    assert request[2]["toolCall"]["title"] == "Run rm"
    assert [option["optionId"] for option in request[2]["options"]] == ["once", "reject"]
    path = f"/sessions/{session_id}/permissions/{request[2]['requestId']}"
    assert (await gateway.request("GET", f"/sessions/{session_id}"))[1]["permissions"] == [request[2]]
    status, body = await gateway.request("POST", path, {"optionId": "sometimes"})
    assert (status, body["error"]["message"]) == (
        400,
        "optionId: 'sometimes' is not offered, expected one of once, reject",
    )
    assert await gateway.request("POST", path, answer) == (204, None)
    assert (await gateway.request("POST", path, answer))[0] == 404
    events = await gateway.events_until(session_id, "prompt_finished", last_id=request[0])
    assert events[0][1] == "permission_resolved"
    assert said(events) == end


async def test_cancel_answers_open_permission_requests(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    await gateway.start_prompt(session_id, "permission")
    await gateway.events_until(session_id, "permission_request")
    assert (await gateway.request("POST", f"/sessions/{session_id}/cancel"))[0] == 202
    events = await gateway.events_until(session_id, "prompt_finished")
    assert events[-1][2]["stopReason"] == "cancelled"


async def test_agents_error_is_told(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    status, body = await gateway.prompt(session_id, "error")
    assert (status, body["error"]["code"]) == (502, "agent_error")
    assert body["error"]["message"].endswith("Model refused (no such model)")
    assert (await gateway.events_until(session_id, "prompt_failed"))[-1][2]["error"]["code"] == "agent_error"
    assert (await gateway.prompt(session_id, "still there?"))[0] == 200


@pytest.mark.parametrize(("prompt", "status"), [("die", "exit status 3"), ("hang up", "exit status -9")])
async def test_dead_agent_ends_its_sessions_and_is_started_again(
    gateway: GatewayClient, prompt: str, status: str
) -> None:
    first, second = await gateway.new_session(), await gateway.new_session()
    code, body = await gateway.prompt(first, prompt)
    assert (code, body["error"]["code"]) == (502, "agent_died")
    assert status in body["error"]["message"]
    for session_id in (first, second):
        assert (await gateway.request("GET", f"/sessions/{session_id}"))[1]["state"] == "ended"
        assert (await gateway.events_until(session_id, "session_ended"))[-1][2]["reason"].endswith(status)
        assert (await gateway.prompt(session_id, "hello"))[0] == 410
    failed = [event[2]["error"]["code"] for event in await gateway.events_until(first, "none") if "fail" in event[1]]
    assert failed == ["agent_died"]
    assert (await gateway.request("GET", "/health"))[1]["agent"]["state"] == "died"
    assert (await gateway.prompt(await gateway.new_session(), "hello"))[0] == 200
    assert (await gateway.request("DELETE", f"/sessions/{first}"))[0] == 204


@pytest.mark.parametrize(("mode", "reason"), [("exit", "exit status 7"), ("version", "speaks version 2")])
async def test_agent_that_does_not_start_is_told_and_tried_again(
    gateway: GatewayClient, monkeypatch: pytest.MonkeyPatch, mode: str, reason: str
) -> None:
    monkeypatch.setenv("FAKE_AGENT", mode)
    for attempt in range(2):
        status, body = await gateway.request("POST", "/sessions", {})
        assert (status, body["error"]["code"]) == (503, "agent_unavailable")
        assert reason in body["error"]["message"]
    monkeypatch.delenv("FAKE_AGENT")
    await gateway.new_session()


async def test_missing_agent_is_told(tmp_path: Path) -> None:
    async with running_gateway(make_settings(tmp_path, str(tmp_path / "nowhere"))) as gateway:
        status, body = await gateway.request("GET", "/info")
        assert status == 503
        assert "nowhere: No such file" in body["error"]["message"]
        assert (await gateway.request("GET", "/health"))[0] == 200


async def test_many_first_requests_start_one_agent(gateway: GatewayClient) -> None:
    sessions = await asyncio.gather(*(gateway.new_session() for number in range(5)))
    assert len(set(sessions)) == 5
    assert len({session_id.split("-")[1] for session_id in sessions}) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "body: not valid JSON at line 1, column 2"),
        (b"[]", "body: expected a JSON object"),
        (b"[" * 100_000, "body: nested too deeply"),
        (b"", "text, content: expected exactly one"),
        (b'{"text": "a", "content": []}', "text, content: expected exactly one"),
        (b'{"txt": "a"}', "txt: unknown key, expected text or content"),
        (b'{"text": 5}', "text: expected a string"),
        (b'{"text": " "}', "text: expected a string"),
        (b'{"content": []}', "content: expected a list"),
        (b'{"content": ["a"]}', "content[0]: expected an object"),
        (b'{"content": [{"type": "video"}]}', "content[0].type: expected one of text, image"),
        (b'{"content": [{"type": "image", "data": 5}]}', "content[0].data: "),
    ],
)
async def test_bad_prompt_names_the_key(gateway: GatewayClient, body: bytes, message: str) -> None:
    session_id = await gateway.new_session()
    headers = {"Content-Type": "application/json"}
    async with gateway.http.post(f"/sessions/{session_id}/prompt", data=body, headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"].startswith(message)


@pytest.mark.parametrize("body", [{}, {"outcome": "selected"}, {"optionId": 1}, {"optionId": "a", "outcome": "b"}])
async def test_bad_permission_answer_is_refused(gateway: GatewayClient, body: object) -> None:
    session_id = await gateway.new_session()
    assert (await gateway.request("POST", f"/sessions/{session_id}/permissions/x", body))[0] == 400


async def test_bad_parameters_are_refused(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    headers = {"Last-Event-ID": "-1"}
    status, body = await gateway.request("GET", f"/sessions/{session_id}/events", headers=headers)
    assert (status, body["error"]["message"][:14]) == (400, "Last-Event-ID:")
    status, body = await gateway.request("POST", f"/sessions/{session_id}/prompt?wait=maybe", {"text": "a"})
    assert (status, body["error"]["message"][:5]) == (400, "wait:")


async def test_only_json_bodies_are_read(gateway: GatewayClient) -> None:
    async with gateway.http.post("/sessions", data="{}", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 415


async def test_big_body_is_refused(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    body = {"text": "x" * app_module.MAX_BODY_BYTES}
    status, answer = await gateway.request("POST", f"/sessions/{session_id}/prompt", body)
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/sessions", 405),
        ("GET", "/sessions/x", 404),
        ("DELETE", "/sessions/x", 404),
        ("POST", "/sessions/x/prompt", 404),
        ("POST", "/sessions/x/cancel", 404),
        ("GET", "/sessions/x/events", 404),
        ("POST", "/sessions/x/permissions/y", 404),
    ],
)
async def test_unknown_things_are_json_errors(gateway: GatewayClient, method: str, path: str, status: int) -> None:
    got, body = await gateway.request(method, path)
    assert got == status
    assert set(body["error"]) == {"code", "message"}


async def test_delete_ends_a_running_prompt_and_its_stream(gateway: GatewayClient) -> None:
    session_id = await gateway.new_session()
    await gateway.start_prompt(session_id, "slow")
    reader = asyncio.create_task(gateway.events_until(session_id, "never"))
    await gateway.events_until(session_id, says="starting")
    assert (await gateway.request("DELETE", f"/sessions/{session_id}"))[0] == 204
    assert (await reader)[-1][1:] == ("session_ended", {"reason": "deleted"})


async def test_stream_sends_keep_alives_and_tells_gaps() -> None:
    class Sink:
        text = b""
        silent = asyncio.Event()

        async def write(self, data: bytes) -> None:
            self.text += data
            if data == b": keep-alive\n\n":
                self.silent.set()

    buffer = EventBuffer(max_events=2)
    for number in range(4):
        buffer.append("update", {"n": number, "text": "two\nlines"})
    sink = Sink()
    writer = asyncio.create_task(stream.send_events(buffer, 1, sink, keep_alive=0.01))
    await sink.silent.wait()
    buffer.close()
    await writer
    gap = b'event: gap\ndata: {"missed": 1, "lastEventId": 1}\n\n'
    assert sink.text.startswith(gap + b'id: 3\nevent: update\ndata: {"n":2,')
    assert sink.text.count(b"\nid: ") == 2


async def test_event_that_comes_before_the_reader_waits_wakes_it() -> None:
    buffer = EventBuffer()
    reader = asyncio.create_task(buffer.wait_beyond(0))
    buffer.append("update", {})
    await asyncio.wait_for(reader, PATIENCE)


async def test_nothing_that_people_write_is_logged(gateway: GatewayClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        session_id = await gateway.new_session()
        await gateway.prompt(session_id, "my secret plan")
        await gateway.prompt(session_id, "error")
        await gateway.prompt(session_id, "die")
        await gateway.request("GET", "/info", headers={"Authorization": "Bearer guessed"})
    assert caplog.records
    for hidden in ("secret plan", PASSWORD, "guessed", "such model"):
        assert hidden not in caplog.text
