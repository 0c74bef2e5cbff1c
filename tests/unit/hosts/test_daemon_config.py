# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure merge: what is foreign survives, and twice is once."""

from __future__ import annotations

import json

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import (
    DaemonConfigError,
    changed_paths,
    check_wishes,
    credentials,
    dotted,
    key_paths,
    merge,
    remove,
    same,
    without_credentials,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_json import (
    parse,
    render,
    rewrite,
    style_of,
    unfit,
)
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "c", "features", "runtimes", "x.y", "é", "nvidia"])
SCALARS = (
    st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet='az"\\/\n\té€😀', max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CONFIGS = st.dictionaries(KEYS, VALUES, max_size=5)
PATHS = st.lists(st.lists(KEYS, min_size=1, max_size=3).map(tuple), max_size=3)
LIST_MERGES = st.sampled_from(["replace", "append"])
INDENTS = st.sampled_from([None, 1, 2, 3, 4, "\t"])


def leaves(value, path=()):
    """Every value that is no object, and every empty object, by its path."""
    if isinstance(value, dict) and value:
        return {found: item for key, inner in value.items() for found, item in leaves(inner, (*path, key)).items()}
    return {path: value}


def touches(path, other):
    return path[: len(other)] == other or other[: len(path)] == path


@given(current=CONFIGS, wanted=CONFIGS, absent=PATHS, list_merge=LIST_MERGES)
def test_foreign_keys_survive(current, wanted, absent, list_merge):
    after = leaves(remove(merge(current, wanted, list_merge), absent))
    ours = [*leaves(wanted), *absent]
    for path, value in leaves(current).items():
        if path and not any(touches(path, mine) for mine in ours if mine):
            assert same(after[path], value)


@given(current=CONFIGS, wanted=CONFIGS, list_merge=LIST_MERGES)
def test_wanted_keys_are_there(current, wanted, list_merge):
    after = merge(current, wanted, list_merge)
    for path, value in leaves(wanted).items():
        found = after
        for part in path:
            found = found[part]
        if isinstance(value, list) and list_merge == "append":
            assert all(any(same(item, there) for there in found) for item in value)
        elif value != {}:
            assert same(found, value)


@given(current=CONFIGS, wanted=CONFIGS, absent=PATHS, list_merge=LIST_MERGES, indent=INDENTS)
def test_twice_is_once_byte_for_byte(current, wanted, absent, list_merge, indent):
    text = json.dumps(current, indent=indent)
    texts = []
    while len(texts) < 2:
        config = parse(text, "daemon.json")
        after = remove(merge(config, wanted, list_merge), absent)
        texts.append(text if same(config, after) else rewrite(text, after, "daemon.json"))
        text = texts[-1]
    assert texts[0] == texts[1]


@given(config=CONFIGS, indent=INDENTS)
def test_rendering_keeps_the_layout_of_json_dumps(config, indent):
    text = json.dumps(config, indent=indent, ensure_ascii=False)
    assert render(parse(text, "daemon.json"), style_of(text)) == text


@given(before=CONFIGS, after=CONFIGS)
def test_changed_paths_name_every_difference_and_nothing_else(before, after):
    paths = changed_paths(before, after)
    assert bool(paths) == (not same(before, after))
    old, new = leaves(before), leaves(after)
    for path in set(old) & set(new):
        assert (path in paths) == (not same(old[path], new[path])) or path == ()


@given(current=CONFIGS, absent=PATHS)
def test_removed_keys_are_gone_and_the_input_is_not_touched(current, absent):
    copy = json.dumps(current)
    after = remove(current, absent)
    for path in absent:
        found = after
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        assert found is None
    assert json.dumps(current) == copy


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("{", "line 1, column 2"),
        ('{"a": 1} trailing', "Extra data"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"x": {"a": 1, "a": 1}}', "'a' twice"),
        ("[]", "holds a list"),
        ("null", "holds null"),
        ('{"a": NaN}', "NaN"),
        ("[" * 100000, "deeply"),
    ],
)
def test_what_is_there_and_wrong_is_named_with_its_file(text, word):
    with pytest.raises(DaemonConfigError) as caught:
        parse(text, "/etc/docker/daemon.json")
    assert word in str(caught.value)
    assert "/etc/docker/daemon.json" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "a": 1e3,\n  "b": 1.50,\n  "c": 123456789012345678901234567890\n}\n',
        '{\r\n\t"a": {\r\n\t\t"b": "é"\r\n\t}\r\n}',
        '\ufeff{\n "a": []\n}',
        '{"a": "\\ud800"}',
        '{"a": {}, "b": [1, 2]}\n',
    ],
)
def test_unusual_texts_are_written_as_they_were(text):
    assert render(parse(text, "daemon.json"), style_of(text)) == text


def test_a_change_keeps_order_and_indentation():
    text = '{\n  "z": 1,\n  "runtimes": {\n    "crun": {\n      "path": "crun"\n    }\n  }\n}\n'
    after = merge(parse(text, "f"), {"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "a": True})
    assert render(after, style_of(text)) == (
        '{\n  "z": 1,\n  "runtimes": {\n    "crun": {\n      "path": "crun"\n    },\n    "nvidia": {\n'
        '      "path": "nvidia-container-runtime"\n    }\n  },\n  "a": true\n}\n'
    )


def test_true_is_not_one():
    assert not same({"a": True}, {"a": 1})
    assert merge({"a": 1}, {"a": True}) == {"a": True}
    assert merge({"a": 1}, {"a": True})["a"] is True


def test_append_adds_what_is_missing_once():
    assert merge({"l": ["a", "b"]}, {"l": ["b", "c", "c"]}, "append") == {"l": ["a", "b", "c"]}


def test_key_paths_take_dots_and_lists():
    assert key_paths(["a.b", ["a", "b.c"]]) == [("a", "b"), ("a", "b.c")]
    assert dotted(("a", "b.c")) == 'a."b.c"'


def test_wrong_key_paths_are_told_together():
    with pytest.raises(DaemonConfigError) as caught:
        key_paths(["", "a..b", [], 3])
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("wanted", "absent", "word"),
    [
        ({"a": {"b": 1}}, [("a",)], "absent as well"),
        ({"a": {"b": 1}}, [("a", "b")], "absent as well"),
        ({"a": {"b": None}}, [], "a.b is null"),
        ({"a": [float("inf")]}, [], "a is inf"),
    ],
)
def test_contradictions_are_refused(wanted, absent, word):
    with pytest.raises(DaemonConfigError, match=word):
        check_wishes(wanted, absent, unfit)


def test_removing_below_a_wanted_object_is_no_contradiction():
    check_wishes({"runtimes": {"a": {"path": "a"}}}, [("runtimes", "b")], unfit)


def test_credentials_are_masked():
    text = '"http-proxy": "http://user:secret@proxy:3128"'
    assert "secret" not in without_credentials(text)
    assert "proxy:3128" in without_credentials(text)
    assert credentials({"proxies": {"http-proxy": "http://user:secret@proxy"}, "l": ["https://a@b"]}) == {"secret"}
