# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The presets resolve, and have what docs/presets.md says they have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Component
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue, plan_from_files

PAGE = (Path(__file__).parents[3] / "docs" / "presets.md").read_text(encoding="utf-8")
CATALOGUE = find_catalogue()
ROW = re.compile(r"^\| (?P<listed>[^|]+) \| (?P<status>[^|]*) \| (?P<here>[^|]+) \|$", re.MULTILINE)
TOOL = re.compile(r"`(?P<tool>[a-z0-9][a-z0-9+.-]*)` of `(?P<component>[a-z0-9-]+)`")


def section(preset: str) -> str:
    """The page's part about a preset."""
    return PAGE.split(f"\n## {preset}\n")[1].split("\n## ")[0]


def rows(preset: str) -> list[tuple[str, str, str]]:
    """What the preset's table says: what was listed, its status, what is here."""
    found = [(row["listed"], row["status"], row["here"]) for row in ROW.finditer(section(preset))]
    return [row for row in found if row[0] not in ("listed", "---")]


def components(preset: str) -> dict[str, Component]:
    """The components that the preset is made of, by name."""
    chosen = CATALOGUE.presets[preset]
    flavor = CATALOGUE.flavors[chosen.flavor]
    parts = [CATALOGUE.flavors[name] for name in flavor.components] or [flavor]
    return {part.name: part for part in [CATALOGUE.base, *parts, *(CATALOGUE.addons[name] for name in chosen.addons)]}


def has(component: Component, tool: str) -> bool:
    """Whether a component declares the tool, or installs it without letting one leave it out."""
    if tool in component.tools:
        return True
    dockerfile = (Path(component.path) / "Dockerfile").read_text(encoding="utf-8")
    return component.kind == "base" and bool(
        re.search(rf"^ +{re.escape(tool)} |/opt/{re.escape(tool)}\b", dockerfile, re.M)
    )


@pytest.mark.parametrize("preset", CATALOGUE.presets)
def test_a_preset_becomes_a_plan_with_its_tier_and_add_ons(preset: str) -> None:
    chosen = CATALOGUE.presets[preset]
    plan = plan_from_files([{"name": "x", "preset": preset}])
    workspace = plan["workspaces"][0]
    assert workspace["tier"] == chosen.tier
    assert workspace["image"].startswith(f"codeopen-{chosen.flavor}-")
    wanted = (
        f"| `{preset}` | `{chosen.flavor}` | {', '.join(f'`{name}`' for name in chosen.addons)} | `{chosen.tier}` |"
    )
    assert wanted in PAGE


def test_every_preset_has_its_table() -> None:
    assert {"opencode-sandbox", "dev8-mvp"} <= set(CATALOGUE.presets)
    for preset in CATALOGUE.presets:
        assert len(rows(preset)) > 10


@pytest.mark.parametrize("preset", CATALOGUE.presets)
def test_every_row_has_a_status_and_what_is_in_is_declared(preset: str) -> None:
    parts = components(preset)
    for listed, status, here in rows(preset):
        assert status in ("in", "renamed", "left out"), listed
        named = set(re.findall(r"`([a-z0-9-]+)`", here)) & set(parts)
        if status != "left out":
            assert named, f"{listed}: no component of the preset is named"
        for match in TOOL.finditer(here):
            assert match["tool"] not in CATALOGUE.presets[preset].leave_out, f"{listed}: {preset} leaves it out"
            assert match["component"] in parts, f"{listed}: '{match['component']}' is no part of {preset}"
            assert has(parts[match["component"]], match["tool"]), (
                f"{listed}: {match['component']} has no {match['tool']}"
            )
