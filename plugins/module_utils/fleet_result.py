# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run over a list of workspaces returns, and the message of one that failed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_plan import make_plan, plan_text


def outcome(
    results: Sequence[Mapping[str, Any]], check_mode: bool, run: str = "", log_path: str = ""
) -> dict[str, Any]:
    """The module's result.

    :param results: those of the workspaces, in the list's order.
    :param run: the run's name in the history; empty where it has none.
    :param log_path: the log of what was shown; empty where nothing was.
    """
    plan = make_plan(results)
    text = plan_text(plan)
    diffs = [
        {"before_header": result["name"], "after_header": result["name"], **result["diff"]}
        for result in results
        if "diff" in result
    ]
    # In check mode the plan for the whole fleet comes first.
    prepared = [{"prepared": text}] if results and check_mode else []
    return {
        "changed": any(result["changed"] for result in results),
        "workspaces": list(results),
        "plan": plan,
        "plan_text": text,
        "diff": prepared + diffs,
        **({"run": run} if run else {}),
        **({"log_path": log_path} if log_path else {}),
    }


def whole(
    results: Sequence[Mapping[str, Any]],
    check_mode: bool = False,
    run: str = "",
    log_path: str = "",
    interrupted: bool = False,
    unfinished: str = "",
) -> dict[str, Any]:
    """The module's result; of a run that failed, with ``failed`` and ``msg``. The parameters are those of its parts."""
    message = failure(results, interrupted, unfinished)
    failed = {"failed": True, "msg": message} if message else {}
    return {**outcome(results, check_mode, run, log_path), **failed}


def failure(results: Sequence[Mapping[str, Any]], interrupted: bool, unfinished: str) -> str:
    """The message that names those that failed, and what else did; empty where nothing did.

    :param unfinished: why the run did not tidy up in the end; empty where it did.
    """
    failed = [result for result in results if "error" in result]
    lines = []
    if failed:
        names = ", ".join(str(result["name"]) for result in failed)
        count = f"{len(failed)} of {len(results)} workspaces"
        lines.append(f"Interrupted; {count} not done: {names}." if interrupted else f"{count} failed: {names}.")
        lines.extend(f"Workspace '{result['name']}': {result['error']}" for result in failed)
    if unfinished:
        lines.append(f"What is tidied up in the end was left to the next run that changes something: {unfinished}")
    return "\n".join(lines)
