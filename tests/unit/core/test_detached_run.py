# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run answers for its module, or lets go of it and leaves its result in a folder; nobody waits for one that is gone."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import detached_run, heartbeat
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import (
    DetachedRun,
    own_process,
    run_detachable,
    until_stopped,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError


@pytest.fixture(autouse=True)
def _signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = {number: signal.getsignal(number) for number in detached_run.STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def wait_for(path: Path) -> None:
    """Fails by the suite's own limit where it never comes."""
    while not path.exists():
        time.sleep(0.01)


def test_without_detaching_it_is_a_call_in_the_same_process() -> None:
    def work(run: DetachedRun) -> dict[str, Any]:
        run.let_go()
        return {"pid": os.getpid(), "abandoned": run.is_abandoned()}

    assert run_detachable(work, False) == {"pid": os.getpid(), "abandoned": False}


def test_a_run_with_nothing_to_show_answers_itself() -> None:
    answer = run_detachable(lambda run: {"pid": os.getpid()}, True)
    assert answer["pid"] != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(answer["pid"], 0)


def test_one_that_lets_go_answers_at_once_and_leaves_its_result(tmp_path: Path) -> None:
    go = tmp_path / "go"

    def work(run: DetachedRun) -> dict[str, Any]:
        run.let_go()
        run.let_go()
        wait_for(go)
        # Without a terminal: what it writes is nowhere.
        print("lost")
        return {"changed": True, "said": "the hidden word", "session": os.getsid(0)}

    answer = run_detachable(work, True, ["hidden"])
    folder = Path(answer["running"]["folder"])
    assert answer["changed"] is False
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not (folder / "result").exists()
    go.touch()
    wait_for(folder / "result")
    result = json.loads((folder / "result").read_text())
    assert result == {"changed": True, "said": "the ******** word", "session": answer["running"]["pid"]}


def test_a_mistake_of_the_program_is_a_failure_with_its_traceback() -> None:
    def work(run: DetachedRun) -> dict[str, Any]:
        raise KeyError("pear")

    answer = run_detachable(work, True)
    assert answer["failed"]
    assert answer["msg"] == "KeyError: 'pear'"
    assert "in work" in answer["module_stderr"]


def test_an_expected_failure_is_its_message() -> None:
    def work(run: DetachedRun) -> dict[str, Any]:
        raise PlanError(["one", "two"])

    answer = run_detachable(until_stopped(work), True)
    assert answer["failed"]
    assert answer["msg"].endswith("two")
    assert "module_stderr" not in answer


def test_one_that_is_killed_before_it_let_go_is_a_failure() -> None:
    def work(run: DetachedRun) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    assert "killed by signal 9" in run_detachable(work, True)["msg"]


def test_a_signal_to_the_module_reaches_the_run(tmp_path: Path) -> None:
    def work(run: DetachedRun) -> dict[str, Any]:
        os.kill(os.getppid(), signal.SIGTERM)
        return {"stopped": run.stop.wait(60)}

    assert run_detachable(until_stopped(work), True) == {"stopped": True}


@pytest.mark.parametrize("left", ["silent", "gone"])
def test_one_that_nobody_follows_ends_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    monkeypatch.setattr(heartbeat, "ABANDONED", 0.5)
    monkeypatch.setattr(heartbeat, "_POLL_SECONDS", 0.05)
    ended = tmp_path / "ended"

    def work(run: DetachedRun) -> dict[str, Any]:
        run.let_go()
        assert run.stop.wait(60)
        ended.write_text(str(run.is_abandoned()))
        return {}

    folder = Path(run_detachable(work, True)["running"]["folder"])
    if left == "gone":
        (folder / "heartbeat").unlink()
    wait_for(ended)
    while folder.exists():
        time.sleep(0.01)
    assert ended.read_text() == "True"


def test_a_process_is_told_by_its_number_and_its_start() -> None:
    with open(f"/proc/{os.getpid()}/stat", encoding="utf-8") as file:
        assert f" {own_process()['started']} " in file.read()
