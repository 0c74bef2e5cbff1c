# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a language model: speaks OpenAI's chat-completions API, with and without streaming.

Needs the standard library only. The text of the last message says what it answers:

- `CALL <tool> <arguments as JSON>`: calls the tool; after the tool's result it answers `TOOL SAID: <result>`.
- `SLOW`: answers one word after the other, for a minute.
- anything else: `STAND-IN ANSWER: <text>`.

As a program: `python model_stand_in.py [--host 127.0.0.1] [--port 0]` prints its base URL and serves until it is
ended. In tests: `with ModelStandIn() as model: … model.base_url … model.requests`.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Optional

MODEL = "stand-in"
CALL = re.compile(r"CALL (\w+) (\{.*\})", re.DOTALL)
SLOW_WORDS = 300
SLOW_PAUSE = 0.2


def opencode_config(base_url: str, **more: Any) -> dict[str, Any]:
    """Return a configuration of OpenCode whose only model is the stand-in at `base_url`; `more` are further keys."""
    return {
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": False,
        "share": "disabled",
        "model": f"local/{MODEL}",
        "small_model": f"local/{MODEL}",
        "enabled_providers": ["local"],
        "provider": {
            "local": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Local",
                "options": {"baseURL": base_url, "apiKey": "none"},
                "models": {MODEL: {"name": "Stand-in", "tool_call": True, "limit": {"context": 32000, "output": 4000}}},
            }
        },
        **more,
    }


def text_of(message: dict[str, Any]) -> str:
    """Return the text of a message, whose content is a string or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))


def deltas(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parts of the answer to a request, as `delta` objects of the API."""
    last = request["messages"][-1]
    text = text_of(last)
    if last.get("role") == "tool":
        yield {"content": f"TOOL SAID: {text}"}
        return
    call = CALL.search(text)
    offered = {tool["function"]["name"] for tool in request.get("tools") or []}
    if call and call[1] in offered:
        function = {"name": call[1], "arguments": call[2]}
        yield {"tool_calls": [{"index": 0, "id": f"call_{time.time_ns()}", "type": "function", "function": function}]}
    elif "SLOW" in text and offered:
        for number in range(SLOW_WORDS):
            yield {"content": f"word{number} "}
            time.sleep(SLOW_PAUSE)
    else:
        yield {"content": "STAND-IN ANSWER: "}
        yield {"content": text}


def envelope(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    """Return an answer or a part of one."""
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": int(time.time()),
        "model": MODEL,
        "choices": [{"index": 0, **choice}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def whole_message(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the parts of an answer."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(part.get("content", "") for part in parts)}
    calls = [call for part in parts for call in part.get("tool_calls", [])]
    return {**message, "tool_calls": calls} if calls else message


def finish_reason(parts: list[dict[str, Any]]) -> str:
    """Return why the answer ends."""
    return "tool_calls" if any("tool_calls" in part for part in parts) else "stop"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._send_json({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.server.requests.append(request)
        if not request.get("stream"):
            parts = list(deltas(request))
            choice = {"message": whole_message(parts), "finish_reason": finish_reason(parts)}
            self._send_json(envelope("chat.completion", choice))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        sent: list[dict[str, Any]] = []
        try:
            for delta in deltas(request):
                sent.append(delta)
                self._send_chunk({"delta": {"role": "assistant", **delta}, "finish_reason": None})
            self._send_chunk({"delta": {}, "finish_reason": finish_reason(sent)})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.hung_up.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""

    def _send_chunk(self, choice: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(envelope("chat.completion.chunk", choice)).encode() + b"\n\n")
        self.wfile.flush()

    def _send_json(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.hung_up = threading.Event()
        super().__init__(address, _Handler)


class ModelStandIn:
    """The server in a thread of its own; `requests` are the bodies it got."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.base_url = f"http://{host}:{self._server.server_address[1]}/v1"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests so far."""
        return self._server.requests

    @property
    def hung_up(self) -> threading.Event:
        """Set when a client closed the connection in the middle of an answer."""
        return self._server.hung_up

    def __enter__(self) -> ModelStandIn:
        self._thread.start()
        return self

    def __exit__(
        self,
        type_: Optional[type[BaseException]],
        error: Optional[BaseException],
        frames: Optional[TracebackType],
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description="Stand-in for a language model with OpenAI's chat-completions API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    server = _Server((arguments.host, arguments.port))
    print(f"http://{arguments.host}:{server.server_address[1]}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
