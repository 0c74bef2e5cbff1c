# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when the engine is not there, does not answer, or is too old."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import engine
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError


class OldEngine(BaseHTTPRequestHandler):
    """Answers like an engine of version 20.10."""

    def do_GET(self) -> None:
        body = json.dumps({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def old_engine() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), OldEngine)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_missing_socket_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"{tmp_path}/none.sock does not exist: install an engine"):
        engine.connect(f"unix://{tmp_path}/none.sock")


def test_nothing_listening_is_named() -> None:
    with pytest.raises(EngineError, match=r"No Docker Engine answers at tcp://127\.0\.0\.1:9: see that it runs"):
        engine.connect("tcp://127.0.0.1:9", timeout=5)


def test_an_old_engine_is_refused_with_both_versions(old_engine: str) -> None:
    with pytest.raises(EngineError, match=r"is version 20\.10\.24; 23\.0 or newer is needed"):
        engine.connect(old_engine)


def test_the_environment_names_the_engine(old_engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", old_engine)
    with pytest.raises(EngineError, match=r"20\.10\.24"):
        engine.connect()


def test_a_missing_sdk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "DOCKER_IMPORT_ERROR", "Traceback")
    with pytest.raises(EngineError, match="Python package 'docker' is missing"):
        engine.connect()
