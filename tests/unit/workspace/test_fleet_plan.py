# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a fleet: every workspace once, readable, with what interrupts people said."""

from __future__ import annotations

from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_plan import make_plan, plan_text


def result(name: str, action: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """A workspace's result as the module has it."""
    made: dict[str, Any] = {"name": name, "action": action, "changed": before is not None, **more}
    if before is not None:
        made["diff"] = {"before": before, "after": after}
    return made


RESULTS = [
    result(
        "a", "create", {"state": "absent"},
        {"state": "started", "image": "i:1", "image_id": "sha256:1", "memory": 5, "gpus": 0, "ports": {"web": "h:1->2"}, "owner": ""},
    ),
    result("b", "update", {"state": "started", "memory": 1}, {"state": "started", "memory": 2, "volumes": {"home": "/h"}}),
    result("c", "update", {"state": "stopped", "tier": "x"}, {"state": "started", "tier": "y"}),
    result("d", "apply", {"state": "started", "cpus": 1.0}, {"state": "started", "cpus": 2.0}),
    result("e", "remove", {"state": "started"}, {"state": "absent"}),
    result("f", "none"),
    result("g", "none", error="Image i:2 is not on this host\nmore"),
]  # fmt: skip


def test_the_plan_as_data() -> None:
    plan = make_plan(RESULTS)
    assert {kind: [entry["name"] for entry in entries] for kind, entries in plan.items()} == {
        "new": ["a"], "changed": ["b", "c", "d"], "removed": ["e"], "unchanged": ["f"], "failed": ["g"],
    }  # fmt: skip
    interrupting = [entry["name"] for entries in plan.values() for entry in entries if entry.get("interrupts")]
    assert interrupting == ["b", "e"]


def test_the_plan_as_text() -> None:
    assert plan_text(make_plan(RESULTS)).splitlines() == [
        "1 new, 3 changed, 1 removed, 1 unchanged, 1 failed",
        "+ a: create",
        "    image: i:1",
        "    memory: 5",
        "    ports: web h:1->2",
        "~ b: update, interrupts its user",
        "    memory: 1 -> 2",
        "    volumes: (none) -> home /h",
        "~ c: update",
        "    state: stopped -> started",
        "    tier: x -> y",
        "~ d: apply",
        "    cpus: 1.0 -> 2.0",
        "- e: remove",
        "    state: started -> absent",
        "! g: none: Image i:2 is not on this host",
    ]


def test_nothing_to_do_is_one_line() -> None:
    assert plan_text(make_plan([result("f", "none")])) == "1 unchanged\n"
    assert plan_text(make_plan([])) == "0 unchanged\n"
