# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines are new, when there is nothing to wait for, and what becomes of reads from containers that go away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import look_again
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.log_reader import (
    LogReader,
    goes_on,
    last_time,
    lines_after,
    parse_log,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container, Observed

EARLY, LATE = "2030-01-31T10:00:00.000000009Z", "2030-01-31T10:00:00.000000010Z"


def container(state: str) -> Container:
    return Container("id", "codeopen-demo", "image", state, "none")


def row(name: str, state: str, suffix: str = "") -> dict[str, Any]:
    """A row of the engine's listing."""
    return {
        "Id": name + suffix,
        "Names": [f"/codeopen-{name}{suffix}"],
        "State": state,
        "Labels": {"codeopen.workspace": name},
    }


class Engine:
    """Lists containers as told, the last listing again and again, and gives the log of each once it is listed.

    :param logs: by container, the logs that it has at each read.
    """

    def __init__(self, listings: list[list[dict[str, Any]]], logs: dict[str, list[bytes]]) -> None:
        self.api = self
        self.listings = listings
        self.read = logs

    def containers(self, **_options: Any) -> list[dict[str, Any]]:
        return self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]

    def logs(self, name: str, **_options: Any) -> bytes:
        logs = self.read[name]
        return logs.pop(0) if len(logs) > 1 else logs[0]


def error(status: int) -> Exception:
    """The engine's answer to a request."""
    return docker.errors.APIError("no", response=SimpleNamespace(status_code=status, reason="no", url=""))


def test_only_a_newline_ends_a_line() -> None:
    lines = parse_log(f"{EARLY} [web] 1%\r2%\x0b\u2028 \r\n{LATE} done\n".encode())
    assert [(line["time"], line["service"], line["text"]) for line in lines] == [
        (EARLY, "web", "1%\r2%\x0b\u2028 "),
        (LATE, "", "done"),
    ]


def test_new_lines_are_later_than_the_last_one() -> None:
    lines = parse_log(f"{EARLY} one\n{LATE} two\n".encode())
    assert last_time(lines[:1]) == EARLY
    assert [line["text"] for line in lines_after(lines, EARLY)] == ["two"]
    assert lines_after(lines, last_time(lines)) == []
    assert lines_after(lines, last_time([])) == lines


def test_what_the_engine_says_itself_has_no_time() -> None:
    assert last_time(parse_log(f"{EARLY} one\nError grabbing logs: unexpected EOF\n".encode())) == EARLY


@pytest.mark.parametrize(
    ("observed", "answer"),
    [
        (Observed(container("running")), True),
        (Observed(container("paused")), True),
        (Observed(container("restarting")), True),
        (Observed(container("exited")), False),
        (Observed(container("created")), False),
        (Observed(), False),
        # An update is on its way.
        (Observed(None, container("exited")), True),
        (Observed(container("created"), container("exited")), True),
    ],
)
def test_a_workspace_goes_on(observed: Observed, answer: bool) -> None:
    assert goes_on(observed) is answer


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def test_an_update_does_not_end_the_following() -> None:
    running, exited = [row("demo", "running")], [row("demo", "exited")]
    previous = [row("demo", "exited", "--previous")]
    engine = Engine([running, running, exited, previous, exited, running, exited], {"demo": [b""]})
    LogReader(engine, ["demo"], [], 0, 0).read(60)  # type: ignore[arg-type]
    # All of them were seen before it ended.
    assert engine.listings == [exited]


def test_workspaces_that_come_meanwhile_are_among_all() -> None:
    log = f"{EARLY} one\n".encode()
    more = [row("demo", "exited"), row("shop", "exited")]
    for names, told in (([], ["demo", "shop"]), (["demo"], ["demo"])):
        engine = Engine([[row("demo", "exited")], more], {"demo": [log], "shop": [log]})
        found = LogReader(engine, names, [], 0, 0).read(60)  # type: ignore[arg-type]
        assert [(entry["name"], len(entry["lines"])) for entry in found] == [(name, 1) for name in told]


def test_one_that_is_being_removed_has_no_lines() -> None:
    for state in ("removing", "dead"):
        engine = Engine([[row("demo", state)]], {})
        assert LogReader(engine, ["demo"], [], 0, 0).read(0) == [{"name": "demo", "lines": []}]  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "reads"), [(404, look_again.LOOKS), (409, look_again.LOOKS), (500, 1)])
def test_a_container_that_is_gone_is_looked_up_again_and_no_other_failure_is(status: int, reads: int) -> None:
    seen = []

    def read(observed: Observed) -> None:
        seen.append(observed)
        with engine_words("Looking"):
            raise error(status)

    there = Observed(container("running"))
    with pytest.raises(EngineError, match="Looking failed"):
        look_again.read_present(Observed(), read, lambda: there)
    assert seen == [Observed(), *[there] * (reads - 1)]
