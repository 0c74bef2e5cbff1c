# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits in the engine's words, and which of them a container lacks."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import limits
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_report import services

GIB = 1024**3
ENTRY: dict[str, Any] = {"memory": GIB, "limits": {"swap": 1024, "pids": 100, "log_size": 6_000_000, "shm": None}}


def test_what_is_not_given_is_the_default() -> None:
    assert limits.of_entry({}) == dict(limits.DEFAULTS)
    assert limits.of_entry(ENTRY) == {**limits.DEFAULTS, "swap": 1024, "pids": 100, "log_size": 6_000_000}


def test_words_and_request_agree() -> None:
    wished = limits.live(ENTRY, 1.5)
    assert (wished["NanoCpus"], wished["MemorySwap"]) == (1_500_000_000, GIB + 1024)
    assert limits.words(wished) == {
        "cpus": 1.5, "memory": GIB, "swap": 1024, "pids": 100, "restart_policy": "unless-stopped",
    }  # fmt: skip


def test_fixed_limits() -> None:
    assert limits.fixed(ENTRY)["LogConfig"]["Config"] == {"max-size": "2000000", "max-file": "3"}
    assert limits.fixed(ENTRY)["Ulimits"] == []
    assert limits.fixed({"limits": {"open_files": 9}})["Ulimits"] == [{"Name": "nofile", "Soft": 9, "Hard": 9}]
    given = {"open_files": 0, "locked_memory": -1, "core_size": 4096}
    assert limits.fixed({"limits": given})["Ulimits"] == [
        {"Name": "memlock", "Soft": -1, "Hard": -1},
        {"Name": "core", "Soft": 4096, "Hard": 4096},
    ]


def test_later_limits_are_told_only_where_they_are_set() -> None:
    assert set(limits.DEFAULTS) - set(limits.told({})) == {"locked_memory", "core_size"}
    assert limits.told({"limits": {"locked_memory": -1, "core_size": 0}}) == {**limits.told({}), "locked_memory": -1}


@pytest.mark.parametrize(
    ("found", "info", "keys"),
    [
        ({}, {}, []),
        ({"NanoCpus": 1}, {}, ["NanoCpus"]),
        ({"Memory": 2 * GIB}, {}, ["Memory", "MemorySwap"]),
        ({"MemorySwap": 2 * GIB}, {}, ["Memory", "MemorySwap"]),
        # Somebody took them away.
        ({"MemorySwap": -1}, {"SwapLimit": True}, ["Memory", "MemorySwap"]),
        ({"PidsLimit": None}, {"PidsLimit": True}, ["PidsLimit"]),
        # What the kernel cannot limit.
        ({"MemorySwap": -1, "PidsLimit": None}, {"SwapLimit": False, "PidsLimit": False}, []),
        ({"PidsLimit": 7}, {}, ["PidsLimit"]),
        ({"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}, {}, ["RestartPolicy"]),
    ],
    ids=str,
)
def test_changes(found: dict[str, Any], info: dict[str, Any], keys: list[str]) -> None:
    wished = limits.live(ENTRY, 2)
    changes = limits.changes({**wished, **found}, wished, limits.impossible(info))
    assert sorted(changes) == keys
    assert all(changes[key] == wished[key] for key in keys)


def test_a_health_check_tells_of_each_service() -> None:
    output = (
        "web: UNHEALTHY: it ends again and again (3 times, last with exit code 1); no answer: 500\n"
        "    | Traceback\n    |   x: healthy\nopencode: healthy\nagent: UNHEALTHY: \nstart: note: cloning ...\n"
    )
    found = services(output)
    assert list(found) == ["web", "opencode", "agent", "start"]
    assert found["web"]["health"] == "unhealthy"
    assert found["web"]["reason"].endswith("no answer: 500")
    assert found["web"]["last_lines"] == ["Traceback", "  x: healthy"]
    assert found["opencode"] == {"health": "healthy"}
    assert found["agent"] == {"health": "unhealthy", "last_lines": []}
    assert found["start"] == {"health": "note", "reason": "cloning ..."}
    assert services("the database is away") == {}
