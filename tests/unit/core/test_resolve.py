# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavor, add-ons and tier come to one image, sums, ports and compatibility."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import (
    image_name,
    migrate_tier,
    resolve,
    sum_workspaces,
)
from hypothesis import given
from hypothesis import strategies as st

GIB = 1024**3


def test_everything_follows_from_the_wish(catalogue: Any) -> None:
    result = resolve(catalogue, "python", ["gui", "editor", "gui"], "small").as_dict()
    assert result["image"] == "acme-python-editor-gui:1.2.3"
    assert result["components"] == ["base", "python", "editor", "gui"]
    assert (result["cpus"], result["memory"], result["disk"]) == (4.0, 8 * GIB, 20 * 1000**3)
    assert result["ports"] == {"opencode": 4096, "acp": 4097, "editor": 8080, "gui": 6080}
    assert result["volumes"] == {"home": "/home/developer", "workspace": "/workspace"}
    assert result["environment"] == {"LANG": "C.UTF-8", "PATH": ["/opt/python/bin"]}
    assert result["compatible"] is True


def test_a_composite_flavor_has_its_components(catalogue: Any) -> None:
    result = resolve(catalogue, "fullstack").as_dict()
    assert result["components"] == ["base", "js", "python"]
    assert result["image"] == "acme-fullstack:1.2.3"
    assert result["tier"] == "medium"
    assert result["environment"]["PATH"] == ["/opt/python/bin", "/opt/js/bin"]


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        (("python", ["gpu"], "medium"), "gpu needs tier large or higher, not medium"),
        (("js", ["gpu"], "large"), "gpu needs flavor python, not js"),
        (("python", ["gpu", "gui"], "large"), "gpu cannot be together with gui"),
    ],
)
def test_what_does_not_go_together_is_said(catalogue: Any, wish: tuple[Any, ...], problem: str) -> None:
    result = resolve(catalogue, *wish)
    assert result.problems == (problem,)
    assert result.as_dict()["compatible"] is False


def test_a_composite_flavor_satisfies_needs_of_its_components(catalogue: Any) -> None:
    result = resolve(catalogue, "fullstack", ["gpu"], "large")
    assert result.problems == ()
    assert result.requires_gpus


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ports": {"gui": 8080}}, "port 8080 is claimed by both editor and gui"),
        ({"ports": {"editor": 6080}}, "port 'editor' is claimed by both editor and gui"),
        ({"environment": {"LANG": "de"}}, "variable LANG is set by both base and gui"),
        ({"volumes": {"data": "/workspace"}}, "volume /workspace is claimed by both base and gui"),
    ],
)
def test_clashes_are_computed(tree: Any, change: dict[str, Any], problem: str) -> None:
    tree.components["addons/gui"] = {"kind": "addon", **change}
    assert resolve(tree.load(), "js", ["editor", "gui"]).problems == (problem,)


def test_unknown_names_are_answered_with_the_nearest(catalogue: Any) -> None:
    with pytest.raises(PlanError) as caught:
        resolve(catalogue, "pyhton", ["editr", "zzzzzz"], "lite")
    text = str(caught.value)
    assert "unknown flavor 'pyhton'; did you mean 'python'? (known: fullstack, js, python)" in text
    assert "unknown add-on 'editr'; did you mean 'editor'?" in text
    assert "unknown add-on 'zzzzzz' (known:" in text
    assert "it is now called small" in text


@given(st.permutations(["editor", "gui", "other", "x"]), st.sampled_from(["js", "python"]))
def test_any_order_of_addons_gives_one_name(addons: list[str], flavor: str) -> None:
    assert image_name(flavor, addons, "1") == image_name(flavor, sorted(addons), "1")
    assert image_name(flavor, [*addons, *addons], "1") == image_name(flavor, addons, "1")


@given(
    st.lists(st.sampled_from(["editor", "gui"]), max_size=4),
    st.sampled_from(["editor", "gui"]),
    st.sampled_from(["small", "medium", "large"]),
    st.integers(),
)
def test_totals_never_shrink(catalogue: Any, addons: list[str], more: str, tier: str, seed: int) -> None:
    less = resolve(catalogue, "js", addons, tier)
    shuffled = random.Random(seed).sample([*addons, more], len(addons) + 1)
    full = resolve(catalogue, "js", shuffled, tier)
    assert full.resources.cpus >= less.resources.cpus
    assert full.resources.memory >= less.resources.memory
    assert full.resources.disk >= less.resources.disk
    assert full.resources.memory >= catalogue.tiers[tier].memory
    assert set(full.ports) >= set(less.ports)


def test_old_tiers_are_migrated(catalogue: Any) -> None:
    assert migrate_tier(catalogue, "desktop") == {"tier": "large", "addons": ["gui"]}
    assert migrate_tier(catalogue, "small") == {"tier": "small", "addons": []}
    with pytest.raises(PlanError, match=r"unknown tier 'desktp'; did you mean 'desktop'\?"):
        migrate_tier(catalogue, "desktp")


def test_absent_workspaces_cost_nothing() -> None:
    one = {"cpus": 1.0, "memory": 2, "disk": 3}
    total = sum_workspaces([{**one, "state": "started"}, {**one, "state": "stopped"}, {**one, "state": "absent"}])
    assert (total.cpus, total.memory, total.disk) == (2.0, 4, 6)
