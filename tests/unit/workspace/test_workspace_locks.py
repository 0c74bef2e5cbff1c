# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs over workspaces of one host: side by side over different ones, one after the other over the same."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import Taken
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks


@contextlib.contextmanager
def run(folder: Path, workspaces: Optional[Sequence[str]], timeout: float = 0) -> Iterator[WorkspaceLocks]:
    """A run that has planned and is at work."""
    locks = WorkspaceLocks(str(folder), f"a run over {workspaces}", timeout)
    try:
        with locks.planning(workspaces):
            pass
        yield locks
    finally:
        locks.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "locks/workspaces").iterdir())


def test_different_workspaces_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with run(tmp_path, ["a", "b"]) as first, run(tmp_path, ["c"]) as second:
        first.check()
        second.check()


def test_the_same_workspace_waits_and_names_who_has_it(tmp_path: Path) -> None:
    with run(tmp_path, ["a", "b"]), pytest.raises(WorkspacesError, match=r"a run over \['a', 'b'\] .*b\.lock after 0"):  # noqa: SIM117
        with run(tmp_path, ["b", "c"]):
            pytest.fail("two runs over one workspace")
    with run(tmp_path, ["b", "c"]):
        pass


def test_who_waits_holds_nothing_that_others_need(tmp_path: Path) -> None:
    waiting, done = threading.Event(), threading.Event()

    def second() -> None:
        locks = WorkspaceLocks(str(tmp_path), "second", 30, lambda text: waiting.set())
        with locks.planning(["a", "b"]):
            pass
        locks.close()
        done.set()

    thread = threading.Thread(target=second)
    with run(tmp_path, ["b"]) as first:
        thread.start()
        assert waiting.wait(30)
        with first.host(), run(tmp_path / "elsewhere", ["a"]):
            assert not done.is_set()
        # It has neither the host's lock nor that of the workspace that it could have had.
        with run(tmp_path, ["a"], timeout=30):
            pass
        assert not done.is_set()
    thread.join(30)
    assert done.is_set()


def test_what_others_are_about_to_take_is_known_while_they_work(tmp_path: Path) -> None:
    with run(tmp_path, ["a"]) as first, run(tmp_path, ["b"]) as second:
        first.reserve({"a": [Taken(8080, "0.0.0.0", "workspace 'a'")]}, {"a": "codeopen-owner-x"})
        assert first.reserved_ports() == []
        assert [(one.port, one.address, one.workspace) for one in second.reserved_ports()] == [(8080, "0.0.0.0", "a")]
        assert second.reserved_networks() == {"codeopen-owner-x"}
        first.check()
    with run(tmp_path, ["b"]) as second:
        assert second.reserved_ports() == []
        assert second.reserved_networks() == set()


def test_one_that_wants_to_be_alone_waits_for_all(tmp_path: Path) -> None:
    with run(tmp_path, ["a"]), pytest.raises(WorkspacesError, match=r"a\.lock"):  # noqa: SIM117
        with run(tmp_path, None):
            pytest.fail("not alone")
    with run(tmp_path, None) as alone:
        alone.check()


def test_locks_of_workspaces_that_nothing_is_left_of_go(tmp_path: Path) -> None:
    (tmp_path / "workspaces/kept").mkdir(parents=True)
    with run(tmp_path, ["kept", "purged"]):
        assert names(tmp_path) == ["kept.lock", "purged.lock"]
    assert names(tmp_path) == ["kept.lock"]


def test_nobody_is_told_that_locks_are_lost_after_the_end(tmp_path: Path) -> None:
    with run(tmp_path, ["a"]) as locks:
        pass
    locks.check()
    locks.close()
