# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine: which steps there are, how unwatched changes are explained, what the engine's words mean."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import states
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import LockLost, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.record_table import records_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import KEPT, Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.states import IllegalTransition, Transition


def names(start: str, end: str) -> list[str]:
    """The states after the first on the way."""
    return [step.end for step in states.way(start, end, "because")]


@pytest.mark.parametrize(("start", "end"), list(itertools.product(states.STATES, repeat=2)))
def test_from_every_state_to_every_other_leads_a_way_of_legal_steps(start: str, end: str) -> None:
    steps = states.way(start, end, "because")
    assert (steps == []) is (start == end)
    here = start
    for step in steps:
        assert step.start == here
        states.check(step.start, step.end, step.cause)
        here = step.end
    assert here == end
    # Nothing is said to have failed or to be lost on the way that was only not watched.
    assert not {step.end for step in steps[:-1]} & set(states.NEED_REASON)


@pytest.mark.parametrize(
    ("start", "end", "between"),
    [
        ("stopped", "running", ["starting", "running"]),
        ("running", "stopped", ["stopped"]),
        ("running", "starting", ["restarting", "starting"]),
        ("running", "removed", ["stopped", "removing", "removed"]),
        ("stopped", "created", ["removing", "removed", "created"]),
        ("lost", "running", ["created", "starting", "running"]),
        ("", "running", ["running"]),
    ],
)
def test_the_way_is_the_shortest(start: str, end: str, between: list[str]) -> None:
    assert names(start, end) == between


@pytest.mark.parametrize(
    ("start", "end"),
    [("removed", "running"), ("stopped", "running"), ("created", "paused"), ("lost", "running"), ("running", "asleep")],
)
def test_a_step_that_skips_others_is_illegal(start: str, end: str) -> None:
    with pytest.raises(IllegalTransition, match=f"a workspace that is {start} does not become {end} in one step"):
        states.check(start, end, "because")


@pytest.mark.parametrize("end", states.NEED_REASON)
def test_what_nobody_asks_for_needs_a_reason(end: str) -> None:
    with pytest.raises(IllegalTransition, match="without a reason"):
        states.way("running", end, " ")
    assert states.way("running", end, "exit code 3", {"exit_code": 3})[-1].details == {"exit_code": 3}


@pytest.mark.parametrize(
    ("status", "health", "code", "recorded", "state"),
    [
        ("created", "none", 0, "", "created"),
        ("running", "none", 0, "", "running"),
        ("running", "healthy", 0, "", "running"),
        ("running", "starting", 0, "running", "starting"),
        ("running", "unhealthy", 0, "", "unhealthy"),
        ("paused", "none", 0, "", "paused"),
        ("restarting", "none", 3, "", "restarting"),
        ("removing", "none", 0, "", "removing"),
        ("exited", "none", 0, "running", "stopped"),
        ("exited", "none", 143, "running", "stopped"),
        ("exited", "none", 137, "running", "failed"),
        ("exited", "none", 137, "stopped", "stopped"),
        ("exited", "none", 0, "failed", "failed"),
        ("exited", "none", 137, "stopping", "stopped"),
        ("dead", "none", 0, "", "failed"),
        ("", "none", 0, "running", "lost"),
        ("", "none", 0, "removed", "removed"),
        ("", "none", 0, "", ""),
    ],
)
def test_the_engines_words(status: str, health: str, code: int, recorded: str, state: str) -> None:
    assert states.observe(status, health, code, recorded) == state


def test_records_survive_and_are_bounded(tmp_path: Path) -> None:
    records = Records(str(tmp_path / "new"))
    assert (records.last_states(), records.history("a", 5)) == ({}, [])
    assert not (tmp_path / "new").exists()
    journal = Journal(records)
    journal.move("a", states.RUNNING, "asked for")
    journal.move("a", states.RUNNING, "asked for")
    journal.move("a", states.FAILED, "it died", {"exit_code": 3, "oom": False, "last_lines": ["x"]})
    journal.move("b", states.CREATED, "asked for")
    again = Records(str(tmp_path / "new"))
    assert again.last_states() == {"a": "failed", "b": "created"}
    latest, first = again.history("a", 5)
    assert (first["from"], first["to"], first["cause"], first["run"]) == ("", "running", "asked for", journal.run)
    assert (latest["to"], latest["exit_code"], latest["last_lines"]) == ("failed", 3, ["x"])
    assert Path(records_path(str(tmp_path / "new"))).stat().st_mode & 0o777 == 0o600
    step = Transition("running", "unhealthy", "x")
    again.add("a", [step] * (KEPT + 5), "me", "run")
    assert len(again.history("a", KEPT * 2)) == KEPT
    assert len(again.history("b", 5)) == 1


def test_check_mode_records_nothing(tmp_path: Path) -> None:
    journal = Journal(Records(str(tmp_path)), writes=False)
    journal.move("a", states.FAILED, "it died")
    assert journal.state("a") == ""
    assert list(tmp_path.iterdir()) == []
    Journal(Records(str(tmp_path))).move("a", states.STOPPING, "asked for")
    journal.look_again()
    journal.move("a", states.STOPPED, "asked for")
    assert journal.state("a") == Records(str(tmp_path)).last_states()["a"] == states.STOPPING


def test_a_run_that_lost_its_locks_records_nothing(tmp_path: Path) -> None:
    def lost() -> None:
        raise LockLost("lost")

    journal = Journal(Records(str(tmp_path)), check=lost)
    with pytest.raises(LockLost):
        journal.move("a", states.FAILED, "it died")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_all_that_it_recorded(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
journal = Journal(Records(sys.argv[1]))
for state in ("created", "starting", "running"):
    journal.move("a", state, "asked for")
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], check=False).returncode
    assert ended == -signal.SIGKILL
    records = Records(str(tmp_path))
    assert [step["to"] for step in records.history("a", 10)] == ["running", "starting", "created"]
    records.add("a", states.way("running", "stopped", "asked for"), "somebody", "a run")
    assert Records(str(tmp_path)).last_states() == {"a": "stopped"}


def test_damaged_records_are_named(tmp_path: Path) -> None:
    Path(records_path(str(tmp_path))).write_text("no database at all, but long enough to be taken for one")
    with pytest.raises(WorkspacesError, match=r"records\.sqlite cannot be used: .*move it away"):
        Journal(Records(str(tmp_path))).state("demo")
