# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller follows a run of a host: shows each line once, fetches the result, leaves nothing, and sees it killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import BuildLog, Redactor
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import (
    STOP_SIGNALS,
    DetachedRun,
    run_detachable,
)
from ansible_collections.codeopen.workspaces.plugins.plugin_utils import detached_run


class Action:
    """Stands in for the action: runs what it is told in a shell of this machine."""

    def __init__(self, no_log: bool = False, line_end: str = "\n") -> None:
        self._task = SimpleNamespace(no_log=no_log)
        self._line_end = line_end
        self.before_look: Any = lambda: None

    def _low_level_execute_command(self, command: str, sudoable: bool) -> dict[str, str]:
        self.before_look()
        said = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout.decode()
        return {"stdout": said.replace("\n", self._line_end)}


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(detached_run, "display", SimpleNamespace(display=lines.append))
    monkeypatch.setattr(detached_run, "LOOK", 0.05)
    # Where runs make their folders.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return lines


def follow(action: Action, answer: dict[str, Any], log: Path) -> dict[str, Any]:
    return detached_run.follow(action, answer, str(log), {"inventory_hostname": "h"})  # type: ignore[arg-type]


def start(log: Path, work: Any) -> dict[str, Any]:
    """Start a run that lets go with the first line of its log."""

    def whole(run: DetachedRun) -> dict[str, Any]:
        with BuildLog(str(log), Redactor([]), run.let_go) as lines:
            return dict(work(lines))

    return run_detachable(whole, True, ["hush"])


def test_a_run_that_did_not_let_go_has_answered() -> None:
    assert follow(Action(), {"changed": False, "n": 1}, Path("/nothing")) == {"changed": False, "n": 1}


# A terminal, which SSH may have made, ends lines with both.
@pytest.mark.parametrize(("no_log", "line_end"), [(False, "\n"), (True, "\n"), (False, "\r\n")])
def test_every_line_is_shown_once_and_the_result_is_the_runs(
    tmp_path: Path, shown: list[str], no_log: bool, line_end: str
) -> None:
    go = tmp_path / "go"

    def work(log: BuildLog) -> dict[str, Any]:
        log.progress("begins")
        while not go.exists():
            time.sleep(0.01)
        log.output("base", "said by a step")
        while not (tmp_path / "end").exists():
            time.sleep(0.01)
        log.progress("ends, é\u2028 \r here")
        return {"changed": True, "text": "hush"}

    action = Action(no_log, line_end)
    looks = iter(range(1000))
    moments = {2: go, 5: tmp_path / "end"}

    def before_look() -> None:
        if (number := next(looks)) in moments:
            moments[number].touch()

    action.before_look = before_look
    answer = start(tmp_path / "log", work)
    assert answer["changed"] is False
    assert follow(action, dict(answer, invocation=1), tmp_path / "log") == {
        "changed": True,
        "text": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
        "invocation": 1,
    }
    assert shown == ([] if no_log else ["[h] [00:00] begins", "[h] [00:00] ends, é\u2028 \r here"])
    assert not list(tmp_path.glob("codeopen-run-*"))


def test_a_killed_run_is_a_failure_that_names_its_log(tmp_path: Path, shown: list[str]) -> None:
    def work(log: BuildLog) -> dict[str, Any]:
        log.progress("begins")
        threading.Event().wait()
        return {}

    answer = start(tmp_path / "log", work)
    while not (tmp_path / "log").read_text():
        time.sleep(0.01)
    # The child of this very process is a zombie then, as it is where no init reaps.
    os.kill(answer["running"]["pid"], signal.SIGKILL)
    result = follow(Action(), answer, tmp_path / "log")
    assert result["failed"]
    assert "The run was killed" in result["msg"]
    assert str(tmp_path / "log") in result["msg"]
    assert shown == ["[h] [00:00] begins"]
    assert not list(tmp_path.glob("codeopen-run-*"))


def test_the_end_of_a_run_is_seen_without_another_look(
    tmp_path: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that the test would never end by another look.
    monkeypatch.setattr(detached_run, "LOOK", 10**9)
    go = tmp_path / "go"

    def work(log: BuildLog) -> dict[str, Any]:
        log.progress("begins")
        while not go.exists():
            time.sleep(0.01)
        return {"changed": True}

    answer = start(tmp_path / "log", work)
    action = Action()
    action.before_look = lambda: threading.Timer(0.3, go.touch).start()
    assert follow(action, answer, tmp_path / "log") == {"changed": True}


def test_that_a_run_is_killed_is_seen_without_waiting(
    tmp_path: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached_run, "LOOK", 10**9)

    def work(log: BuildLog) -> dict[str, Any]:
        log.progress("begins")
        threading.Event().wait()
        return {}

    answer = start(tmp_path / "log", work)
    pid = answer["running"]["pid"]

    action = Action()

    def before_look() -> None:
        # This look's command is made; for the next ones nobody has the pipe any more.
        monkeypatch.setattr(detached_run, "LOOK", 0.05)
        threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        action.before_look = lambda: None

    action.before_look = before_look
    assert "The run was killed" in follow(action, answer, tmp_path / "log")["msg"]


def test_a_host_that_says_nothing_is_not_asked_for_ever(
    tmp_path: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    action = Action()
    said = {"stdout": "", "stderr": "sudo: a password is required"}
    monkeypatch.setattr(action, "_low_level_execute_command", lambda command, sudoable: said)
    run = {"pid": os.getpid(), "started": 1, "folder": str(tmp_path / "codeopen-run-x")}
    result = follow(action, {"running": run}, tmp_path / "log")
    assert result["failed"]
    assert "a password is required" in result["msg"]


def test_another_process_with_its_number_is_not_taken_for_it(tmp_path: Path, shown: list[str]) -> None:
    # Other fields of it are 1, too.
    stranger = {"pid": os.getpid(), "started": 1, "folder": str(tmp_path / "codeopen-run-x")}
    assert follow(Action(), {"running": stranger}, tmp_path / "log")["failed"]
