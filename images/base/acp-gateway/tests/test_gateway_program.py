# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_client import PASSWORD, PATIENCE, make_settings

SOURCES = Path(__file__).parent.parent / "src"
PROGRAM = [sys.executable, "-m", "codeopen_acp_gateway"]


def environment(folder: Path) -> dict[str, str]:
    settings = make_settings(folder)
    return {
        **os.environ,
        "PYTHONPATH": str(SOURCES),
        "HOST": "127.0.0.1",
        "OPENCODE_BIN": settings.opencode_bin,
        "WORKSPACE": str(settings.workspace),
        "CODEOPEN_PASSWORD_FILE": str(settings.password_file),
        "LOG_LEVEL": "DEBUG",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(url: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {PASSWORD}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=PATIENCE) as answer:
        result = json.load(answer)
        assert isinstance(result, dict)
        return result


@contextmanager
def running_program(env: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    url = f"http://127.0.0.1:{free_port()}"
    with log.open("wb") as stderr:
        process = subprocess.Popen(PROGRAM, env={**env, "PORT": url.rpartition(":")[2]}, stderr=stderr)
    try:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                fetch(f"{url}/health")
                break
            except urllib.error.URLError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                time.sleep(0.05)
        yield process, url
    finally:
        process.kill()
        process.wait()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_sigterm_ends_streams_prompts_and_the_agent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_program(environment(tmp_path), log) as (process, url):
        session_id = fetch(f"{url}/sessions", {})["id"]
        fetch(f"{url}/sessions/{session_id}/prompt", {"text": "slow"})
        agent = fetch(f"{url}/agents")["agents"][0]["pid"]
        headers = {"Authorization": f"Bearer {PASSWORD}"}
        request = urllib.request.Request(f"{url}/sessions/{session_id}/events", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
            process.send_signal(signal.SIGTERM)
            assert "event: session_ended" in stream.read().decode()
        assert process.wait(PATIENCE) == 0
        assert not is_running(agent)
    text = log.read_text()
    assert "POST /sessions/" in text
    assert PASSWORD not in text
    assert "slow" not in text
    assert "Traceback" not in text


def test_program_refuses_to_start_without_a_password(tmp_path: Path) -> None:
    env = environment(tmp_path)
    Path(env["CODEOPEN_PASSWORD_FILE"]).unlink()
    result = subprocess.run(PROGRAM, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 78
    assert result.stderr == (
        f"codeopen-acp-gateway: password file {env['CODEOPEN_PASSWORD_FILE']}: No such file or directory\n"
    )


def test_program_refuses_wrong_settings(tmp_path: Path) -> None:
    env = {**environment(tmp_path), "PORT": "high"}
    result = subprocess.run(PROGRAM, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 78
    assert "PORT='high'" in result.stderr


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_program_tells_about_itself(tmp_path: Path, option: str) -> None:
    result = subprocess.run(
        [*PROGRAM, option], env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert result.returncode == 0
    assert result.stdout


def test_the_start_does_not_wait_for_the_protocols_sdk(tmp_path: Path) -> None:
    script = "import sys, codeopen_acp_gateway.__main__; print(sorted({'acp', 'pydantic'} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
