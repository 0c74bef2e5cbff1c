# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of what is told of workspaces, volumes, logs and events."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.tables import table

EMPTY = {
    "workspace_info_table": "No workspaces.",
    "workspace_volume_info_table": "No volumes.",
    "workspace_logs_table": "No lines.",
    "workspace_events_table": "No events.",
}


def text(name: str, value: Any) -> str:
    """What a filter makes of a value."""
    module = importlib.import_module(f"ansible_collections.codeopen.workspaces.plugins.filter.{name}")
    return str(module.FilterModule().filters()[name](value))


def cells(name: str, value: Any) -> dict[str, str]:
    """The first row's cells by column."""
    header, first = text(name, value).splitlines()[:2]
    starts = [at for at, sign in enumerate(header) if sign != " " and (at == 0 or header[at - 2 : at] == "  ")]
    return {
        header[start:end].strip(): first[start:end].strip() for start, end in zip(starts, [*starts[1:], len(first) + 1])
    }


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("wrong", ["demo", {"name": "demo"}, None, 3, [{"other": "started"}], ["demo"]])
def test_anything_else_is_refused(name: str, wrong: object) -> None:
    with pytest.raises(AnsibleFilterError, match=f"{name} expects"):
        text(name, wrong)


@pytest.mark.parametrize(("name", "words"), EMPTY.items())
def test_nothing_is_said_in_words(name: str, words: str) -> None:
    assert text(name, []) == words


def test_a_lost_or_removed_workspace_has_a_row() -> None:
    assert text("workspace_info_table", [{"name": "shop", "state": "lost", "history": []}]).splitlines()[1] == (
        "shop       lost"
    )


@pytest.mark.parametrize(
    ("facts", "column", "cell"),
    [
        ({"asleep": True}, "STATE", "running, asleep"),
        ({"updating": True}, "STATE", "running, updating"),
        ({"health": "healthy"}, "HEALTH", "healthy"),
        ({"services": {"a": {"health": "healthy"}, "b": {"health": "healthy"}}}, "SERVICES", "2 healthy"),
        ({"services": {"b": {"health": "note"}, "a": {"health": "unhealthy"}}}, "SERVICES", "a unhealthy, b note"),
        ({"services": {}}, "SERVICES", ""),
        ({"drift": {"memory": {}, "cpus": {}}}, "DRIFT", "cpus, memory"),
        ({"resources": {"memory": 0, "memory_limit": 1 << 40, "pids": 7}}, "MEMORY", "0 bytes / 1 TiB"),
        ({"resources": {"memory": 1536, "memory_limit": 1 << 31, "pids": 7}}, "MEMORY", "1.5 KiB / 2 GiB"),
        ({"resources": {"memory": 0, "memory_limit": 0, "pids": 7}}, "PIDS", "7"),
        ({"owner": "ada"}, "OWNER", "ada"),
        ({"tier": "builder"}, "TIER", "builder"),
    ],
)
def test_a_workspace(facts: dict[str, Any], column: str, cell: str) -> None:
    assert cells("workspace_info_table", [{"name": "demo", "state": "running", **facts}])[column] == cell


@pytest.mark.parametrize(
    ("facts", "column", "cell"),
    [
        ({"size": 0}, "SIZE", ""),
        ({"size": 20_000_000_000}, "SIZE", "20 GB"),
        ({"used": 0}, "USED", "0 bytes"),
        ({"size": 1}, "USED", ""),
        ({"size": 1, "used": 2, "over": True}, "USED", "2 bytes, over"),
        ({"orphan": True}, "ORPHAN", "yes"),
        ({"orphan": False}, "ORPHAN", ""),
        ({"used_by": [{"container": "a", "state": "exited"}, {"container": "b", "state": "running"}]}, "USED BY", "a (exited), b (running)"),
    ],
)  # fmt: skip
def test_a_volume(facts: dict[str, Any], column: str, cell: str) -> None:
    assert cells("workspace_volume_info_table", [{"name": "home", **facts}])[column] == cell


def test_lines_of_one_moment_stay_in_order() -> None:
    line = {"time": "2030-01-31T10:00:00.123456789Z", "service": ""}
    demo = {"name": "demo", "lines": [{**line, "text": "b"}, {**line, "text": "a"}]}
    assert [row.split() for row in text("workspace_logs_table", [demo]).splitlines()[1:]] == [
        ["2030-01-31T10:00:00.123Z", "demo", "b"],
        ["2030-01-31T10:00:00.123Z", "demo", "a"],
    ]


def test_what_would_act_on_a_terminal_is_left_out() -> None:
    assert table(["A"], [["\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1bc\ty\rz\x9b1m\x1b"]]) == "A\nred x y z 1m"
