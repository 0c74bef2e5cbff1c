# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a host: who holds it is said, and nobody's death leaves it behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import host_lock as host_lock_module
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import LockLost, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import (
    LEASE,
    Waiting,
    held_by_others,
    host_lock,
)

HOLDER = """
import sys, time
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock
with host_lock(sys.argv[1], "a long build", 0):
    print("held", flush=True)
    time.sleep(600)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_holder_is_in_the_file_while_the_lock_is_held(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "workspaces.lock"
    with host_lock(str(path), "a rollout", 0):
        holder = json.loads(path.read_text())
        assert holder["pid"] == os.getpid()
        assert holder["purpose"] == "a rollout"
        assert set(holder) == {"fence", "pid", "process", "user", "host", "purpose", "since"}
    assert json.loads(path.read_text()) == {"fence": holder["fence"]}


def test_each_holder_has_a_higher_number(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    numbers = []
    for text in ("", "", "no JSON", '{"fence": 40}', ""):
        if text:
            path.write_text(text)
        with host_lock(str(path), "a rollout", 0):
            numbers.append(json.loads(path.read_text())["fence"])
    assert numbers == [1, 2, 1, 41, 42]


def test_timeout_names_the_holder_and_notifies_once(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    process = hold(path)
    notes: list[str] = []
    try:
        with pytest.raises(WorkspacesError, match=f"a long build .process {process.pid} of "):  # noqa: SIM117
            with host_lock(str(path), "mine", 0.5, notes.append):
                pytest.fail("two holders")
    finally:
        process.kill()
        process.wait()
    assert len(notes) == 1
    assert str(process.pid) in notes[0]


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    process = hold(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with host_lock(str(path), "mine", 0):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_lock_module, "LEASE", 1.0)
    monkeypatch.setattr(host_lock_module, "RENEW", 0.1)


@pytest.mark.usefixtures("short_lease")
def test_a_stuck_holder_is_ended_and_its_lock_taken(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    process = hold(path)
    notes: list[str] = []
    try:
        process.send_signal(signal.SIGSTOP)
        with host_lock(str(path), "mine", 30, notes.append):
            assert json.loads(path.read_text())["pid"] == os.getpid()
        assert process.wait(30) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    assert [note.partition(" ")[0] for note in notes] == ["Waiting", "a"]
    assert f"process {process.pid}" in notes[1]
    assert "gave no sign for 1 seconds: ended" in notes[1]


@pytest.mark.usefixtures("short_lease")
def test_a_holder_that_gives_signs_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    with host_lock(str(path), "slow, but alive", 0):
        with pytest.raises(WorkspacesError, match="slow, but alive"):  # noqa: SIM117
            with host_lock(str(path), "mine", 2.5):
                pytest.fail("two holders")
        assert path.exists()


@pytest.mark.usefixtures("short_lease")
@pytest.mark.parametrize("change", [{"process": "of another container"}, {"process": ""}, {"pid": "1"}])
def test_whom_it_does_not_know_for_sure_it_does_not_end(tmp_path: Path, change: dict[str, str]) -> None:
    path = tmp_path / "workspaces.lock"
    process = hold(path)
    try:
        process.send_signal(signal.SIGSTOP)
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        with pytest.raises(WorkspacesError, match="still holds"):  # noqa: SIM117
            with host_lock(str(path), "mine", 2.5):
                pytest.fail("two holders")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("short_lease")
@pytest.mark.parametrize("loss", ["removed", "replaced", "rewritten"])
def test_a_holder_learns_that_its_lock_is_lost(tmp_path: Path, loss: str) -> None:
    path = tmp_path / "workspaces.lock"
    with host_lock(str(path), "mine", 0) as lease:
        lease.check()
        if loss == "rewritten":
            path.write_text('{"fence": 2}')
        else:
            path.unlink()
        if loss == "replaced":
            path.write_text("{}")
        with pytest.raises(LockLost, match=r"workspaces\.lock was removed or taken over"):  # noqa: PT012
            for attempt in range(100):
                lease.check()
                time.sleep(0.1)
    assert path.exists() == (loss != "removed")


def test_the_clock_of_the_lease_is_none_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "workspaces.lock"
    with host_lock(str(path), "mine", 0):
        now = time.time()
        for jump in (1e6, -1e6):
            monkeypatch.setattr(time, "time", lambda moment=now + jump: moment)
            os.utime(path, (now + jump, now + jump))
            with pytest.raises(WorkspacesError, match="still holds"):
                Waiting(0, None).once(str(path))
    assert LEASE == 60


def test_locks_of_others_are_told_and_free_ones_are_not(tmp_path: Path) -> None:
    process = hold(tmp_path / "a.lock")
    try:
        (tmp_path / "b.lock").write_text('{"pid": 1, "ports": [1]}')
        with host_lock(str(tmp_path / "c.lock"), "mine", 0):
            found = held_by_others(str(tmp_path), ["c.lock"])
            assert list(found) == ["a.lock"]
            assert found["a.lock"]["pid"] == process.pid
            assert list(held_by_others(str(tmp_path), [])) == ["a.lock", "c.lock"]
    finally:
        process.kill()
        process.wait()
    assert held_by_others(str(tmp_path), []) == {}
    assert held_by_others(str(tmp_path / "nothing"), []) == {}


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with host_lock(str(path), "second", 30, lambda text: waiting.set()):
            order.append("second")

    thread = threading.Thread(target=second)
    with host_lock(str(path), "first", 0):
        thread.start()
        assert waiting.wait(30)
        time.sleep(0.1)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


def test_an_unusable_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspacesError, match=r"file/workspaces\.lock cannot be used"):  # noqa: SIM117
        with host_lock(str(tmp_path / "file" / "workspaces.lock"), "mine", 0):
            pytest.fail("held")
