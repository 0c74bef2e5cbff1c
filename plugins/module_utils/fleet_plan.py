# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run changes in a whole fleet, for programs and for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import decision as decisions

KINDS = ("new", "changed", "removed", "unchanged", "failed")
_SIGNS = {"new": "+", "changed": "~", "removed": "-", "failed": "!"}
# What takes a workspace that serves away from its user, for a moment or for good.
_INTERRUPTING = (decisions.UPDATE, decisions.RESTART, decisions.STOP, decisions.PAUSE, decisions.REMOVE)


def make_plan(results: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The results of a list of workspaces by what becomes of them.

    Each entry has ``name`` and ``action``; what changes has ``before``, ``after`` and ``interrupts`` besides, and what
    failed ``error``.
    """
    plan: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for result in results:
        entry: dict[str, Any] = {"name": result["name"], "action": result["action"]}
        if "diff" in result:
            before, after = result["diff"]["before"], result["diff"]["after"]
            entry.update(before=before, after=after)
            entry["interrupts"] = result["action"] in _INTERRUPTING and before.get("state") == "started"
        if "error" in result:
            entry["error"] = result["error"]
        plan[_kind(result)].append(entry)
    return plan


def _kind(result: Mapping[str, Any]) -> str:
    if "error" in result:
        return "failed"
    if not result["changed"]:
        return "unchanged"
    return {decisions.CREATE: "new", decisions.REMOVE: "removed"}.get(str(result["action"]), "changed")


def plan_text(plan: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The plan as lines: how many of each kind, then what becomes of each that does not stay as it is."""
    counts = [f"{len(plan[kind])} {kind}" for kind in KINDS if plan[kind] or kind == "unchanged"]
    lines = [", ".join(counts)]
    for kind, sign in _SIGNS.items():
        for entry in plan[kind]:
            lines.extend(_entry_lines(sign, kind, entry))
    return "\n".join(lines) + "\n"


def _entry_lines(sign: str, kind: str, entry: Mapping[str, Any]) -> Iterable[str]:
    head = f"{sign} {entry['name']}: {entry['action']}"
    if kind == "failed":
        yield f"{head}: {str(entry['error']).splitlines()[0]}"
        return
    yield f"{head}, interrupts its user" if entry["interrupts"] and kind == "changed" else head
    before, after = entry["before"], entry["after"]
    for key in sorted({*before, *after}):
        if kind == "new":
            if after[key] not in ("", {}, 0) and key not in ("state", "image_id"):
                yield f"    {key}: {_said(after[key])}"
        elif before.get(key) != after.get(key):
            yield f"    {key}: {_said(before.get(key))} -> {_said(after.get(key))}"


def _said(value: Any) -> str:
    if value is None or value == "":
        return "(none)"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(value[key])}" for key in sorted(value)) or "(none)"
    if isinstance(value, list):
        return ", ".join(_said(part) for part in value) or "(none)"
    return str(value)
