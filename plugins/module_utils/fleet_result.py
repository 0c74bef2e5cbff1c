# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run over a list of workspaces returns, and the message of one that failed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_plan import make_plan, plan_text


def outcome(
    results: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], check_mode: bool, run: str = ""
) -> dict[str, Any]:
    """The module's result.

    :param results: those of the workspaces, in the list's order.
    :param run: the run's name in the history; empty where it has none.
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
        **({"log_path": parameters["log_path"]} if parameters["log_path"] else {}),
    }


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
