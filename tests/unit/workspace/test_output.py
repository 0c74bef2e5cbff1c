# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines, events and times in the words of the engine and of people."""

from __future__ import annotations

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_output import (
    parse_event,
    parse_line,
    select_lines,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import in_utc, parse_moment

NOW = 1_900_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", NOW - 90),
        ("1.5m", NOW - 90),
        ("2h", NOW - 7200),
        (" 1d ", NOW - 86400),
        ("1970-01-02", 86400),
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T00:01:00.25+00:00", 60),
    ],
)
def test_a_moment(text: str, seconds: float) -> None:
    assert parse_moment(text, NOW) == seconds


@pytest.mark.parametrize("text", ["", "noon", "5", "5w", "1970-13-01", "1970-01-01T00:01:00+02:00"])
def test_no_moment(text: str) -> None:
    with pytest.raises(WorkspacesError, match="expected how long ago"):
        parse_moment(text, NOW)


def test_utc() -> None:
    assert parse_moment(in_utc(NOW), 0) == NOW


@pytest.mark.parametrize(
    ("line", "service", "text"),
    [
        ("T [web] hello", "web", "hello"),
        ("T [acp-gateway] ", "acp-gateway", ""),
        ("T hello [web] x", "", "hello [web] x"),
        ("T [not a service] x", "", "[not a service] x"),
        ("T", "", ""),
    ],
)
def test_a_line(line: str, service: str, text: str) -> None:
    assert parse_line(line) == {"time": "T", "service": service, "text": text}


def test_the_last_lines_are_those_of_the_services() -> None:
    lines = [parse_line(f"T [{name}] {number}") for number, name in enumerate("abab")]
    assert [line["text"] for line in select_lines(lines, ["a"], 1)] == ["2"]
    assert [line["text"] for line in select_lines(lines, [], 3)] == ["1", "2", "3"]
    assert len(select_lines(lines, [], 0)) == 4


@pytest.mark.parametrize(
    ("action", "attributes", "told"),
    [
        ("start", {}, {"event": "start"}),
        ("die", {"exitCode": "137"}, {"event": "die", "exit_code": 137}),
        ("kill", {"signal": "9"}, {"event": "kill", "signal": 9}),
        ("health_status: unhealthy", {}, {"event": "health_status", "health": "unhealthy"}),
    ],
)
def test_an_event(action: str, attributes: dict[str, str], told: dict[str, object]) -> None:
    event = {"Action": action, "time": 60, "Actor": {"Attributes": {"codeopen.workspace": "demo", **attributes}}}
    assert parse_event(event) == {"time": "1970-01-01T00:01:00Z", "workspace": "demo", **told}
