# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run over a list of workspaces says in the end."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_result import failure, outcome

SAME: dict[str, Any] = {"name": "same", "changed": False, "action": "none"}
NEW: dict[str, Any] = {
    "name": "new", "changed": True, "action": "create", "diff": {"before": {}, "after": {"state": "started"}},
}  # fmt: skip
BAD: dict[str, Any] = {**NEW, "name": "bad", "error": "it died\nlast words"}
TIDY = "What is tidied up in the end was left to the next run that changes something: no lock"


@pytest.mark.parametrize(
    ("results", "interrupted", "unfinished", "message"),
    [
        ([SAME, NEW], False, "", ""),
        ([SAME, NEW], True, "", ""),
        ([SAME, BAD], False, "", "1 of 2 workspaces failed: bad.\nWorkspace 'bad': it died\nlast words"),
        ([BAD], True, "", "Interrupted; 1 of 1 workspaces not done: bad.\nWorkspace 'bad': it died\nlast words"),
        ([NEW], False, "no lock", TIDY),
        ([BAD], False, "no lock", f"1 of 1 workspaces failed: bad.\nWorkspace 'bad': it died\nlast words\n{TIDY}"),
    ],
)
def test_the_message_names_what_failed_and_why(
    results: list[dict[str, Any]], interrupted: bool, unfinished: str, message: str
) -> None:
    assert failure(results, interrupted, unfinished) == message


def test_the_result_has_a_diff_of_each_change_after_the_plan_of_all_in_check_mode() -> None:
    done = outcome([SAME, NEW], False, "run1", "/log")
    assert (done["changed"], done["run"], done["log_path"]) == (True, "run1", "/log")
    assert done["diff"] == [
        {"before_header": "new", "after_header": "new", "before": {}, "after": {"state": "started"}}
    ]
    told = outcome([SAME, NEW], True)
    assert told["diff"] == [{"prepared": told["plan_text"]}, *done["diff"]]
    assert not {"run", "log_path"} & set(told)
    assert outcome([], True)["diff"] == []
