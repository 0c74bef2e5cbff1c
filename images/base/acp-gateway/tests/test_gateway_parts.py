# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts without HTTP: settings, passwords, event buffer, sessions, log format."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from codeopen_acp_gateway import sessions as sessions_module
from codeopen_acp_gateway.auth import read_password
from codeopen_acp_gateway.config import settings_from_env
from codeopen_acp_gateway.errors import ConfigError, PasswordUnavailableError, PromptRunningError, SessionEndedError
from codeopen_acp_gateway.logs import QuietFormatter
from codeopen_acp_gateway.sessions import EventBuffer, Session, SessionStore


def test_settings_have_the_workspaces_defaults(tmp_path: Path) -> None:
    settings = settings_from_env({"WORKSPACE": str(tmp_path), "PORT": ""})
    assert (settings.host, settings.port) == ("0.0.0.0", 4097)
    assert settings.agent_command == ("opencode", "acp")
    assert settings.password_file == Path("/run/codeopen/secrets/password")


def test_settings_are_read(tmp_path: Path) -> None:
    env = {"HOST": "::1", "PORT": "80", "OPENCODE_BIN": "/x", "LOG_LEVEL": "debug", "CODEOPEN_PASSWORD_FILE": "/p"}
    settings = settings_from_env({**env, "WORKSPACE": str(tmp_path)})
    assert (settings.host, settings.port, settings.opencode_bin) == ("::1", 80, "/x")
    assert (settings.log_level, settings.password_file) == ("DEBUG", Path("/p"))


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        settings_from_env({"PORT": "70000", "LOG_LEVEL": "loud", "WORKSPACE": "/does/not/exist"})
    for name in ("PORT='70000'", "LOG_LEVEL='LOUD'", "WORKSPACE='/does/not/exist'"):
        assert name in str(raised.value)


def test_password_is_the_file_without_the_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b" with space \r\n")
    assert read_password(file) == b" with space "


@pytest.mark.parametrize("content", [None, b"", b"\n"])
def test_no_password_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PasswordUnavailableError, match="password file"):
        read_password(file)


def test_buffer_is_bounded_by_number() -> None:
    buffer = EventBuffer(max_events=3)
    for number in range(10):
        buffer.append("update", number)
    events, missed = buffer.after(0)
    assert [event.id for event in events] == [8, 9, 10]
    assert missed == 7
    assert buffer.after(7) == (events, 0)
    assert buffer.after(10) == ([], 0)


def test_buffer_is_bounded_by_size_but_keeps_the_newest() -> None:
    buffer = EventBuffer(max_bytes=100)
    for number in range(5):
        buffer.append("update", "x" * 38)
    assert len(buffer.after(0)[0]) == 2
    buffer.append("update", "x" * 1000)
    assert [event.id for event in buffer.after(0)[0]] == [6]


def test_session_takes_one_prompt_at_a_time() -> None:
    session = Session("s", "/")
    assert session.begin_prompt() == "prompt-1"
    with pytest.raises(PromptRunningError, match="prompt-1"):
        session.begin_prompt()
    session.finish_prompt("prompt_finished", {"stopReason": "end_turn"})
    assert session.begin_prompt() == "prompt-2"


def test_ended_session_says_nothing_more() -> None:
    store = SessionStore()
    session = store.add("s", "/")
    session.begin_prompt()
    store.end_all("gone", "agent_died")
    store.end_all("again")
    store.record_update("s", {})
    session.finish_prompt("prompt_finished", {})
    assert [event.type for event in session.events.after(0)[0]] == ["prompt_started", "prompt_failed", "session_ended"]
    assert session.as_json()["endedReason"] == "gone"
    with pytest.raises(SessionEndedError, match="gone"):
        session.begin_prompt()


def test_updates_of_unknown_sessions_are_kept_only_while_one_is_created() -> None:
    store = SessionStore()
    store.record_update("s", {"n": 1})
    with store.creating():
        store.record_update("s", {"n": 2})
        store.record_update("t", {"n": 3})
        session = store.add("s", "/")
    assert [event.data for event in session.events.after(0)[0]] == ['{"n":2}']
    assert store.add("t", "/").events.last_id == 0


def test_oldest_ended_sessions_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "MAX_ENDED_SESSIONS", 2)
    store = SessionStore()
    for name in ("a", "b", "c"):
        store.add(name, "/")
    store.end_all("gone")
    store.add("d", "/")
    assert [session.id for session in store.all()] == ["b", "c", "d"]


def test_log_shows_where_but_not_what() -> None:
    text = ""
    try:
        raise ValueError("quoted prompt")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
        text = QuietFormatter().format(record)
    assert "quoted prompt" not in text.replace('raise ValueError("quoted prompt")', "")
    assert text.endswith("ValueError")
    assert Path(__file__).name in text
