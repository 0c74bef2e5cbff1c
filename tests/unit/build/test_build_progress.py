# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress parser on recorded output of docker buildx bake (buildx 0.13.1, Docker Engine 26.1.5)."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import build_progress
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import BuildLog, Redactor
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_progress import Event, ProgressParser
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_report import BuildReport
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError
from hypothesis import given, settings
from hypothesis import strategies as st

RECORDED = Path(__file__).parent / "recorded"
BOTH = ["base", "kid"]


def parsed(name: str, targets: list[str], size: int = 1 << 20) -> tuple[ProgressParser, list[Event]]:
    parser = ProgressParser(targets)
    text = (RECORDED / f"{name}.jsonl").read_text()
    for start in range(0, len(text), size):
        parser.feed(text[start : start + size])
    parser.finish()
    return parser, parser.drain()


def kinds(events: list[Event], kind: str) -> list[tuple[str, int]]:
    return [(event.layer, event.number) for event in events if event.kind == kind]


def test_success() -> None:
    parser, events = parsed("success", BOTH)
    assert parser.failure is None
    assert kinds(events, build_progress.STEP_STARTED) == [("base", 1), ("base", 2), ("kid", 1)]
    assert kinds(events, build_progress.STEP_FINISHED) == [("base", 1), ("base", 2), ("kid", 1)]
    assert sorted(kinds(events, build_progress.LAYER_FINISHED)) == [("base", 0), ("kid", 0)]
    run = next(event for event in events if event.kind == build_progress.STEP_FINISHED)
    assert run.seconds > 1.0
    assert run.step.startswith("RUN echo building;")
    said = [event.text for event in events if event.kind == build_progress.OUTPUT and event.layer == "base"]
    assert said == ["building", "line 0", "line 1", "line 2", "hello 1", "no end of line"]


def test_cached() -> None:
    events = parsed("cached", BOTH)[1]
    assert sorted(kinds(events, build_progress.STEP_CACHED)) == [("base", 1), ("base", 2), ("kid", 1)]
    assert not kinds(events, build_progress.STEP_FINISHED)
    assert len(kinds(events, build_progress.LAYER_FINISHED)) == 2


def test_a_single_target_has_no_name_in_the_output() -> None:
    events = parsed("single", ["only"])[1]
    assert {event.layer for event in events} == {"only"}
    assert kinds(events, build_progress.LAYER_FINISHED) == [("only", 0)]


def test_failing_run() -> None:
    parser, events = parsed("failing-run", BOTH)
    assert parser.failure is not None
    assert (parser.failure.layer, parser.failure.number) == ("kid", 2)
    assert "exit code: 7" in parser.failure.error
    # The last twenty of 31 lines.
    assert len(parser.failure.lines) == 20
    assert parser.failure.lines[-1] == "broken"
    assert kinds(events, build_progress.STEP_FAILED) == [("kid", 2)]
    assert ("kid", 0) not in kinds(events, build_progress.LAYER_FINISHED)


def test_a_step_that_targets_share_belongs_to_the_lowest() -> None:
    # The record names it for the child first.
    parser = parsed("no-space", BOTH)[0]
    assert parser.failure is not None
    assert parser.failure.layer == "base"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("failing-run", ["Layer kid failed at step 2/3 RUN i=0;", "exit code 7", "    broken"]),
        ("missing-file", ["Layer base failed at step 1/2 COPY none /", '"/none": not found']),
        ("broken-dockerfile", ["Layer base failed", "unknown instruction: RUNN (did you mean RUN?)"]),
        (
            "no-space",
            ["Layer base failed at step 1/2 RUN dd", "No space left", "on the disk of /var/lib/docker", "prune"],
        ),
    ],
)
def test_failure_messages(name: str, expected: list[str], tmp_path: Path) -> None:
    with BuildLog(str(tmp_path / "log"), Redactor([])) as log:
        report = BuildReport(log, {"base": "FROM x\nRUNN oops\n", "kid": "FROM x\nRUN echo\n"})
        report.feed((RECORDED / f"{name}.jsonl").read_text())
        report.finish()
        message = report.failure_message(1, "/var/lib/docker")
    for text in expected:
        assert text in message, message
    assert len(message.splitlines()) < 30


def test_the_log_of_a_success(tmp_path: Path) -> None:
    with BuildLog(str(tmp_path / "log"), Redactor([])) as log:
        report = BuildReport(log, {"base": "", "kid": ""})
        report.feed((RECORDED / "success.jsonl").read_text())
        report.finish()
    lines = (tmp_path / "log").read_text().splitlines()
    assert "[00:00] base: step 1/3 RUN echo building;" in lines[0]
    assert sum("layer finished" in line for line in lines) == 2
    assert any(line.endswith("; 1 to go") for line in lines)
    assert any(line.endswith("; that was the last") for line in lines)
    assert "    base| hello 1" in lines


@settings(max_examples=25)
@given(size=st.integers(min_value=1, max_value=5000))
def test_pieces_of_any_size_give_the_same_events(size: int) -> None:
    assert parsed("failing-run", BOTH, size)[1] == parsed("failing-run", BOTH)[1]


def test_a_remark_that_cannot_be_written_is_lost_and_the_first_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError), BuildLog(str(tmp_path / "file" / "log"), Redactor([])) as log:
        log.remark("begins")

    def full(_line: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with BuildLog(str(tmp_path / "log"), Redactor([])) as log:
        log.remark("begins")
        with monkeypatch.context() as patched:
            patched.setattr(log, "_file", SimpleNamespace(write=full))
            log.remark("lost")
            with pytest.raises(BuildError, match="No space left"):
                log.progress("said")
        log.remark("goes on")
    assert [line.split("] ")[-1] for line in (tmp_path / "log").read_text().splitlines()[:-1]] == ["begins", "goes on"]
