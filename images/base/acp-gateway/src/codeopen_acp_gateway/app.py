# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP routes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .auth import CHALLENGE, is_authorized, read_password
from .bodies import parse_last_event_id, parse_new_session, parse_permission_answer, parse_prompt, parse_wait
from .config import Settings
from .errors import GatewayError, UnauthorizedError, UnsupportedMediaTypeError
from .gateway import Gateway
from .stream import send_events

MAX_BODY_BYTES = 10 * 1024 * 1024
# The reasons of the HTTP library differ between versions of Python.
HTTP_ERRORS = {
    404: ("not_found", "no such endpoint"),
    405: ("method_not_allowed", "method not allowed here, see the header Allow"),
    413: ("body_too_large", f"body: expected at most {MAX_BODY_BYTES} bytes"),
}
GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
routes = web.RouteTableDef()


def make_app(settings: Settings) -> web.Application:
    """Return the application; the agent is started by the first request that needs it."""
    app = web.Application(middlewares=[_errors, _auth], client_max_size=MAX_BODY_BYTES)
    app[GATEWAY] = Gateway(settings)
    app.add_routes(routes)
    app.on_shutdown.append(_stop)
    return app


async def _stop(app: web.Application) -> None:
    await app[GATEWAY].stop()


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnauthorizedError as error:
        return _error(error.status, error.code, str(error), {"WWW-Authenticate": CHALLENGE})
    except GatewayError as error:
        return _error(error.status, error.code, str(error))
    except web.HTTPException as error:
        code, message = HTTP_ERRORS.get(error.status, ("http_error", error.reason))
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return _error(error.status, code, message, headers)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _error(500, GatewayError.code, "internal error, see the gateway's log")


@web.middleware
async def _auth(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path != "/health":
        # Read each time: a replaced password counts at once.
        password = read_password(request.app[GATEWAY].settings.password_file)
        if not is_authorized(request.headers.get("Authorization"), password):
            raise UnauthorizedError("expected the workspace's password as bearer token, or basic auth as opencode")
    return await handler(request)


async def _body(request: web.Request) -> str:
    raw = await request.read()
    # Only JSON: a form of a foreign web page could otherwise use the credentials a browser remembers.
    if raw and request.content_type != "application/json":
        raise UnsupportedMediaTypeError("Content-Type: expected application/json")
    return raw.decode("utf-8", "replace")


def _session_id(request: web.Request) -> str:
    return request.match_info["session_id"]


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Tell that the gateway answers, and the agent's state; starts nothing."""
    agent = request.app[GATEWAY].agent
    return web.json_response({"status": "ok", "agent": {"name": agent.name, "state": agent.state.value}})


@routes.get("/info")
async def info(request: web.Request) -> web.Response:
    """Versions and capabilities; starts the agent."""
    return web.json_response(await request.app[GATEWAY].info())


@routes.get("/agents")
async def agents(request: web.Request) -> web.Response:
    """The configured agents and their states; starts nothing."""
    return web.json_response({"agents": [request.app[GATEWAY].agent.as_json()]})


@routes.post("/sessions")
async def create_session(request: web.Request) -> web.Response:
    """Start a conversation."""
    cwd = parse_new_session(await _body(request))
    session = await request.app[GATEWAY].create_session(cwd)
    return web.json_response(session.as_json(), status=201, headers={"Location": f"/sessions/{session.id}"})


@routes.get("/sessions")
async def list_sessions(request: web.Request) -> web.Response:
    """All sessions, the oldest first."""
    return web.json_response({"sessions": [session.as_json() for session in request.app[GATEWAY].sessions.all()]})


@routes.get("/sessions/{session_id}")
async def get_session(request: web.Request) -> web.Response:
    """One session."""
    return web.json_response(request.app[GATEWAY].sessions.get(_session_id(request)).as_json())


@routes.delete("/sessions/{session_id}")
async def delete_session(request: web.Request) -> web.Response:
    """End and forget a session."""
    await request.app[GATEWAY].delete_session(_session_id(request))
    return web.Response(status=204)


@routes.post("/sessions/{session_id}/prompt")
async def prompt(request: web.Request) -> web.Response:
    """Hand a prompt to the agent; with ?wait=true answer when it is done."""
    gateway = request.app[GATEWAY]
    gateway.sessions.get(_session_id(request))
    wait = parse_wait(request.query)
    blocks = parse_prompt(await _body(request))
    running = gateway.start_prompt(_session_id(request), blocks)
    answer: dict[str, Any] = {"promptId": running.id}
    if not wait:
        return web.json_response(answer, status=202)
    # The prompt goes on if the client who waits goes away.
    answer["stopReason"] = await asyncio.shield(running.result)
    return web.json_response(answer)


@routes.post("/sessions/{session_id}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Stop the running prompt, if there is one."""
    return web.json_response({"cancelled": await request.app[GATEWAY].cancel(_session_id(request))}, status=202)


@routes.get("/sessions/{session_id}/events")
async def events(request: web.Request) -> web.StreamResponse:
    """Stream the session's events."""
    session = request.app[GATEWAY].sessions.get(_session_id(request))
    last_id = parse_last_event_id(request.headers.get("Last-Event-ID"))
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    try:
        await send_events(session.events, last_id, response)
        await response.write_eof()
    except ConnectionError:
        log.debug("a reader of the events went away")
    return response


@routes.post("/sessions/{session_id}/permissions/{request_id}")
async def answer_permission(request: web.Request) -> web.Response:
    """Answer a question of the agent."""
    gateway = request.app[GATEWAY]
    gateway.sessions.get(_session_id(request))
    option_id = parse_permission_answer(await _body(request))
    gateway.answer_permission(_session_id(request), request.match_info["request_id"], option_id)
    return web.Response(status=204)
