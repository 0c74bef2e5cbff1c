# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recipe changes when, and only when, an input changes."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import recipe
from hypothesis import given
from hypothesis import strategies as st

_words = st.text(alphabet="abcdef/.=", min_size=1, max_size=8)
_files = st.dictionaries(
    _words,
    st.fixed_dictionaries({"mode": st.sampled_from(["0644", "0755"]), "sha256": st.sampled_from(["1" * 64, "2" * 64])}),
    max_size=4,
)
_layers = st.fixed_dictionaries(
    {
        "files": _files,
        "args": st.dictionaries(_words, _words, max_size=3),
        "environment": st.dictionaries(_words, st.one_of(_words, st.lists(_words, max_size=2)), max_size=3),
        "labels": st.dictionaries(_words, _words, max_size=2),
        "parent_name": st.sampled_from(["base", "python"]),
        "parent_recipe": st.sampled_from(["3" * 64, "4" * 64]),
    }
)


def _recipe(layer: dict[str, Any]) -> str:
    return recipe.recipe(recipe.layer_inputs(**layer))


@given(_layers, _layers)
def test_equal_recipes_mean_equal_inputs(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (_recipe(one) == _recipe(other)) == (one == other)


@given(_layers)
def test_the_order_of_keys_does_not_count(layer: dict[str, Any]) -> None:
    turned = copy.deepcopy(layer)
    for name in ("files", "args", "environment", "labels"):
        turned[name] = dict(reversed(list(turned[name].items())))
    assert _recipe(turned) == _recipe(layer)


def test_any_single_change_of_a_layer_is_seen_and_named() -> None:
    layer: dict[str, Any] = {
        "files": {"Dockerfile": {"mode": "0644", "sha256": "1" * 64}},
        "args": {"V": "1"},
        "environment": {"A": "1"},
        "labels": {"l": "1"},
        "parent_name": "base",
        "parent_recipe": "3" * 64,
    }
    changes = {
        "file Dockerfile": {"files": {"Dockerfile": {"mode": "0755", "sha256": "1" * 64}}},
        "argument V": {"args": {"V": "2"}},
        "environment": {"environment": {"A": "2"}},
        "labels": {"labels": {"l": "2"}},
        "parent base": {"parent_recipe": "4" * 64},
    }
    before = recipe.short_inputs(recipe.layer_inputs(**layer))
    for name, change in changes.items():
        after = recipe.short_inputs(recipe.layer_inputs(**{**layer, **change}))
        assert {key for key in after if after[key] != before[key]} == {name}


def test_where_the_base_image_comes_from_does_not_count() -> None:
    one = {"digest": "sha256:1", "references": ["a"], "archive": {"suite": "trixie", "mirror": "x"}}
    assert recipe.base_image_digest(one) == recipe.base_image_digest({**one, "references": ["b"], "timeout": 3})
    assert recipe.base_image_digest(one) != recipe.base_image_digest({**one, "digest": "sha256:2"})
    assert recipe.base_image_digest(one) != recipe.base_image_digest({**one, "archive": {"suite": "forky"}})
