# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a host: who holds it is said, and nobody's death leaves it behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import host_lock as host_lock_module
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import LockLost, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import (
    LEASE,
    HostLock,
    Lease,
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


def full_disk(*arguments: Any, **options: Any) -> None:
    """Stands in for what writes."""
    raise OSError(errno.ENOSPC, "No space left on device")


def until_newer(path: Path, before: int) -> bool:
    """Whether a sign of life comes."""
    for attempt in range(100):
        if path.stat().st_mtime_ns > before:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.usefixtures("short_lease")
def test_signs_go_on_when_what_kept_them_from_being_given_is_over(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    with host_lock(str(path), "mine", 0) as lease:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "utime", full_disk)
            time.sleep(0.5)
            before = path.stat().st_mtime_ns
            lease.check()
        assert until_newer(path, before)
        lease.check()


@pytest.mark.usefixtures("short_lease")
def test_one_lock_that_gets_no_sign_leaves_the_others_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (HostLock.take(str(tmp_path / name), "mine") for name in ("a.lock", "b.lock"))
    assert first is not None
    assert second is not None
    monkeypatch.setattr(first, "renew", full_disk)
    lease = Lease()
    lease.add([first, second])
    try:
        assert until_newer(tmp_path / "b.lock", (tmp_path / "b.lock").stat().st_mtime_ns)
    finally:
        lease.end()
        lease.give_back(first)
        lease.give_back(second)


@pytest.mark.usefixtures("short_lease")
def test_locks_that_cannot_be_looked_at_count_as_lost_after_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "workspaces.lock"
    with host_lock(str(path), "mine", 0) as lease:
        begun = time.monotonic()
        monkeypatch.setattr(HostLock, "is_held", full_disk)
        with pytest.raises(LockLost, match=r"could not see .*: .*No space left on device"):  # noqa: PT012
            for attempt in range(100):
                lease.check()
                time.sleep(0.1)
        assert time.monotonic() - begun >= 0.9
        monkeypatch.undo()
        monkeypatch.setattr(host_lock_module, "_LOOK_SECONDS", 0.0)
        lease.check()


def test_a_loss_is_seen_long_before_the_next_sign_is_due(tmp_path: Path) -> None:
    path = tmp_path / "workspaces.lock"
    with host_lock(str(path), "mine", 0) as lease:
        lease.check()
        path.unlink()
        time.sleep(1.1)
        with pytest.raises(LockLost):
            lease.check()


def test_locks_are_looked_at_once_a_second_however_often_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    is_held = HostLock.is_held

    def counted(lock: HostLock) -> bool:
        looks.append(lock.path)
        return is_held(lock)

    monkeypatch.setattr(HostLock, "is_held", counted)
    with host_lock(str(tmp_path / "workspaces.lock"), "mine", 0) as lease:
        begun = time.monotonic()
        while time.monotonic() - begun < 1.5:
            lease.check()
        assert len(looks) == 1


def test_the_lock_of_a_full_disk_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "workspaces.lock"
    with host_lock(str(path), "first", 0):
        monkeypatch.setattr(os, "pwrite", full_disk)
    monkeypatch.undo()
    with host_lock(str(path), "second", 0):
        assert json.loads(path.read_text())["purpose"] == "second"


def test_a_free_lock_is_to_be_had_while_others_look_at_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("{}")
    with contextlib.closing(path.open()) as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, looking.close).start()
        lock = HostLock.take(str(path), "mine")
    assert lock is not None
    lock.release()


def test_whoever_looks_for_long_does_not_keep_others_waiting(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("{}")
    with contextlib.closing(path.open()) as stuck:
        fcntl.flock(stuck, fcntl.LOCK_SH)
        begun = time.monotonic()
        assert HostLock.take(str(path), "mine") is None
        assert time.monotonic() - begun < 5


def test_a_lock_that_is_held_is_known_to_be_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_lock_module, "_LOOKED_AT_SECONDS", 600.0)
    path = tmp_path / "a.lock"
    with host_lock(str(path), "first", 0):
        assert HostLock.take(str(path), "second") is None


def test_a_lock_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = HostLock.take(str(tmp_path / "a.lock"), "test")
    assert lock is not None
    monkeypatch.setattr(host_lock_module, "write", full_disk)
    with pytest.raises(WorkspacesError, match=r"a\.lock cannot be written: No space left on device"):
        lock.tell({"ports": []})
