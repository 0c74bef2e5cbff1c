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
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock

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
        assert set(holder) == {"pid", "user", "host", "purpose", "since"}
    assert path.read_text() == ""


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
