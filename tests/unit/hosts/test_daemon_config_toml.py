# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of TOML texts: what is foreign stays to the letter, its comments and its order too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest
import tomllib
from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_toml_values
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import (
    DaemonConfigError,
    merge,
    remove,
    same,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml import parse
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml import rewrite as rewrite_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml_values import unfit
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from hypothesis import given, settings
from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "c", "plugins", "io.containerd.cri", "x y", "é", 'q"', "", "1"])
SCALARS = (
    st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(alphabet="az\"\\/\n\t'é😀#]}=\x7f", max_size=6)
    | st.dates()
    | st.datetimes()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CONFIGS = st.dictionaries(KEYS, VALUES, max_size=5)
PATHS = st.lists(st.lists(KEYS, min_size=1, max_size=3).map(tuple), max_size=3)
LIST_MERGES = st.sampled_from(["replace", "append"])
often = settings(max_examples=200)


PATH = "/etc/containerd/config.toml"


def rewrite(text, after):
    return rewrite_file(text, after, PATH)


def text_of(value):
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


class Author:
    """A person who lays out a configuration as TOML in one of many ways, with a comment on each key.

    :param choose: answers one of its arguments.
    """

    def __init__(self, choose):
        self.choose = choose
        self.lines = []

    def write(self, config):
        """The text, and its lines with the paths that they are about."""
        self.table((), (), config, "")
        ending = self.choose("\n", "\r\n")
        text = "".join(line.replace("\n", ending) + ending for line, path in self.lines)
        if text and self.choose(True, False):
            text = text.removesuffix(ending)
        return text, self.lines

    def line(self, path, line, indent=""):
        number = len(self.lines)
        if self.choose(True, False):
            self.lines.append((f"{indent}# {number} above", path))
        self.lines.append((indent + line + self.choose("", f" # {number} beside"), path))
        if self.choose(True, False, False):
            self.lines.append(("", path))
        if self.choose(True, False, False):
            # A setting that somebody switched off belongs to nobody.
            self.lines.append((f"{indent}# {number} = 'off'", ()))

    def name(self, path):
        parts = [
            part if re.fullmatch(r"[A-Za-z0-9_-]+", part) and self.choose(True, False) else self.quoted(part)
            for part in path
        ]
        return self.choose(".", " . ").join(parts)

    def quoted(self, part):
        return f"'{part}'" if "'" not in part and self.choose(True, False) else text_of(part)

    def table(self, section, path, table, indent):
        later = []
        for name, value in table.items():
            inner = (*path, name)
            if isinstance(value, dict):
                layout = self.choose("section", "inline", "dotted")
                if layout == "dotted" and value:
                    self.dotted(section, inner, value, indent)
                    continue
                if layout == "section":
                    later.append((inner, value))
                    continue
            elif (
                isinstance(value, list)
                and value
                and all(isinstance(item, dict) for item in value)
                and self.choose(True, False)
            ):
                later.append((inner, value))
                continue
            self.pair(section, inner, value, indent)
        for inner, value in later:
            self.sections(inner, value, indent + self.choose("", "  "))

    def dotted(self, section, path, table, indent):
        for name, value in table.items():
            if isinstance(value, dict) and value and self.choose(True, False):
                self.dotted(section, (*path, name), value, indent)
            else:
                self.pair(section, (*path, name), value, indent)

    def pair(self, section, path, value, indent):
        self.line(path, f"{self.name(path[len(section) :])} = {self.value(value)}", indent)

    def sections(self, path, value, indent):
        if isinstance(value, list):
            for item in value:
                self.line(path, f"[[{self.name(path)}]]", indent)
                self.element(path, item, indent)
        else:
            # A table with nothing but tables in sections of their own may have no header; it is known by theirs.
            self.line(path, f"[{self.name(path)}]", indent)
            self.table(path, path, value, indent)

    def element(self, path, item, indent):
        # What is in a list changes with the list, so all lines are about the list.
        later = []
        for name, value in item.items():
            if isinstance(value, dict) and self.choose(True, False):
                later.append((name, value))
            else:
                self.line(path, f"{self.name((name,))} = {self.value(value)}", indent)
        for name, value in later:
            self.line(path, f"[{self.name((*path, name))}]", indent)
            for inner, deep in value.items():
                self.line(path, f"{self.name((inner,))} = {self.value(deep)}", indent)

    def value(self, value):
        if isinstance(value, dict):
            items = ", ".join(f"{self.name((name,))} = {self.value(item)}" for name, item in value.items())
            return f"{{{items}}}"
        if isinstance(value, list):
            if value and self.choose(True, False):
                items = "".join(f"  {self.value(item)}, # one, of [some\n" for item in value)
                return f"[\n{items}]"
            return f"[{', '.join(self.value(item) for item in value)}{self.choose('', ', ') if value else ''}]"
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return self.choose(str(value), hex(value)) if value >= 0 else str(value)
        return repr(value) if isinstance(value, float) else value.isoformat()

    def string(self, value):
        if "'" not in value and "\n" not in value and "\x7f" not in value and self.choose(True, False):
            return f"'{value}'"
        if "\n" not in value and self.choose(True, False):
            return f'""{text_of(value)}""'
        return text_of(value)


@st.composite
def laid_out(draw):
    """A configuration, its text, and the text's lines with the paths that they are about."""
    config = draw(CONFIGS)
    random = draw(st.randoms(use_true_random=True))
    text, lines = Author(lambda *choices: random.choice(choices)).write(config)
    assert same(tomllib.loads(text), config)
    return config, text, lines


def tables(config, path=()):
    """The paths of all tables that are in no list."""
    inner = [
        found for name, value in config.items() if isinstance(value, dict) for found in tables(value, (*path, name))
    ]
    return [path, *inner]


@st.composite
def changes(draw):
    """A configuration, its text, its lines, and what it is to become; the changes are about what is there."""
    before, text, lines = draw(laid_out())
    absent = draw(PATHS)
    wanted = {}
    for path in draw(st.lists(st.sampled_from(tables(before)), min_size=1, max_size=3)):
        table = at(before, path)
        if table and draw(st.booleans()):
            absent.append((*path, draw(st.sampled_from(list(table)))))
            continue
        change = draw(st.dictionaries(KEYS, VALUES, max_size=3))
        for name in [
            name for name, value in change.items() if isinstance(value, list) and isinstance(table.get(name), list)
        ]:
            change[name] = table[name] + change[name]
        for part in reversed(path):
            change = {part: change}
        wanted = merge(wanted, change)
    wanted = merge(wanted, draw(CONFIGS)) if draw(st.booleans()) else wanted
    after = remove(merge(before, wanted, draw(LIST_MERGES)), absent)
    return before, text, lines, after


def at(config, path):
    for part in path:
        if not isinstance(config, Mapping) or part not in config:
            return None
        config = config[part]
    return config


def is_foreign(line, path, before, after):
    old, new = at(before, path), at(after, path)
    if line.strip().startswith("["):
        return isinstance(new, Mapping) if isinstance(old, Mapping) else same(old, new)
    return same(old, new)


@often
@given(changes())
def test_foreign_lines_stay_in_their_order(changed):
    before, text, lines, after = changed
    written = rewrite(text, after)
    assert same(tomllib.loads(written), after)
    assert rewrite(written, after) == written
    position = 0
    for line, path in lines:
        # Comments of nobody stay except within what is removed.
        if path and line.strip() and is_foreign(line, path, before, after):
            for part in line.split("\n"):
                position = written.index(part, position) + len(part)


@often
@given(laid_out())
def test_nothing_wanted_leaves_the_text(laid):
    assert rewrite(laid[1], laid[0]) == laid[1]


@often
@given(laid_out(), KEYS.filter(lambda name: name not in "abc"), SCALARS)
def test_a_new_key_leaves_every_line(laid, name, value):
    config, text, lines = laid
    if name in config:
        return
    written = iter(rewrite(text, {**config, name: value}).splitlines())
    assert all(line in written for line in text.splitlines())


CHANGES = {
    "a value, with its comment": ("a = 1 # one\nb = 2\n", {"a": 3, "b": 2}, "a = 3 # one\nb = 2\n"),
    "a key of the root goes above the tables": (
        "# of a\na = 1\n\n# of t\n[t]\nx = 1\n",
        {"a": 1, "t": {"x": 1}, "b": True},
        "# of a\na = 1\nb = true\n\n# of t\n[t]\nx = 1\n",
    ),
    "the first key of the root goes below the file's own comment": (
        "# licence\n\n# of t\n[t]\n",
        {"t": {}, "a": "x"},
        '# licence\na = "x"\n\n# of t\n[t]\n',
    ),
    "a key of a table stays above the next table's comment": (
        "[t]\nx = 1\n\n# of u\n[u]\n",
        {"t": {"x": 1, "y": 2}, "u": {}},
        "[t]\nx = 1\ny = 2\n\n# of u\n[u]\n",
    ),
    "a removed table leaves its neighbours' comments": (
        "# of t\n[t]\n# of x\nx = 1\n[t.s]\ny = 1\n\n# of u\n[u]\n",
        {"u": {}},
        "# of t\n\n# of u\n[u]\n",
    ),
    "a removed table leaves one blank line": ("a = 1\n\n[t]\nx = 1\n\n[u]\n", {"a": 1, "u": {}}, "a = 1\n\n[u]\n"),
    "the table that held a removed key stays": ("[t]\nx = 1\n[t.s]\n", {"t": {}}, "[t]\n"),
    "and comes back where a key alone made it": ("t.x = 1\n", {"t": {}}, "[t]\n"),
    "dotted keys are gone on with": (
        "t.x = 1\nb = 2\n",
        {"t": {"x": 1, "y": {"z": 1}}, "b": 2},
        "t.x = 1\nt.y = { z = 1 }\nb = 2\n",
    ),
    "dotted keys in an inline table too": (
        "t = {x.y = 1}\n",
        {"t": {"x": {"y": 1, "z": 2}}},
        "t = {x.y = 1, x.z = 2}\n",
    ),
    "an inline table grows": ("t = {x = 1} # t\n", {"t": {"x": 1, "y": [2]}}, "t = {x = 1, y = [2]} # t\n"),
    "an empty inline table grows": ("t = {}\n", {"t": {"y": 1}}, "t = { y = 1 }\n"),
    "an inline table loses its first key": ("t = {x = 1, y = 0x2}\n", {"t": {"y": 2}}, "t = {y = 0x2}\n"),
    "an inline table loses its last key": ("t = {x = 0x1, y = 2}\n", {"t": {"x": 1}}, "t = {x = 0x1}\n"),
    "a list grows on its line": ("l = [ 'a' ] # l\n", {"l": ["a", "b"]}, "l = [ 'a', \"b\" ] # l\n"),
    "a list with a last comma grows": ("l = [1,]\n", {"l": [1, 2]}, "l = [1, 2]\n"),
    "an empty list grows": ("l = []\n", {"l": [1]}, "l = [1]\n"),
    "a list over lines grows and keeps its comments": (
        "l = [\n    1, # one\n    2 # two ]\n    # end\n]\n",
        {"l": [1, 2, 3]},
        "l = [\n    1, # one\n    2, # two ]\n    # end\n    3,\n]\n",
    ),
    "a list of tables grows": (
        "[[l]]\nx = 1 # one\n\n[u]\n",
        {"l": [{"x": 1}, {"x": 2}], "u": {}},
        "[[l]]\nx = 1 # one\n\n[[l]]\nx = 2\n\n[u]\n",
    ),
    "a new table stands with its siblings, as deep as they": (
        '[plugins]\n\n  [plugins."a.b".r]\n    k = 1\n    # of nobody\n\n[z]\n',
        {"plugins": {"a.b": {"r": {"k": 1}, "s": {"k": 2}}}, "z": {}},
        '[plugins]\n\n  [plugins."a.b".r]\n    k = 1\n    # of nobody\n\n  [plugins."a.b".s]\n    k = 2\n\n[z]\n',
    ),
    "a key of a table without a header makes one": (
        "[t.s]\nx = 1\n",
        {"t": {"s": {"x": 1}, "y": 2}},
        "[t.s]\nx = 1\n\n[t]\ny = 2\n",
    ),
    "a table in place of a value": ("t = 1\nb = 2\n", {"t": {"x": {"y": 1}}, "b": 2}, "b = 2\n\n[t.x]\ny = 1\n"),
    "a value in place of a table": ("b = 2\n\n[t]\nx = 1\n", {"t": 1, "b": 2}, "b = 2\nt = 1\n\n"),
    "lines end as the file's do": (
        "a = 1\r\n[t]\r\nx = 1",
        {"a": 1, "t": {"x": 1, "y": 2}},
        "a = 1\r\n[t]\r\nx = 1\r\ny = 2\r\n",
    ),
    "an empty file": ("", {"a": 1, "t": {"x": "y"}}, 'a = 1\n\n[t]\nx = "y"\n'),
    "what looks like a header in a text is none": (
        'a = """\n[t]\nx = 1\n"""\n',
        {"a": "[t]\nx = 1\n", "t": {"x": 1}},
        'a = """\n[t]\nx = 1\n"""\n\n[t]\nx = 1\n',
    ),
    "quotes that end a text are of the text": (
        "a = '''it''''\nb = 1\n",
        {"a": "it'", "b": 2},
        "a = '''it''''\nb = 2\n",
    ),
    "what is no number stays": ("a = nan\nb = 1\n", {"a": float("nan"), "b": 2}, "a = nan\nb = 2\n"),
}


@pytest.mark.parametrize(("text", "after", "written"), CHANGES.values(), ids=CHANGES)
def test_a_change_touches_the_lines_that_it_is_about(text, after, written):
    assert rewrite(text, after) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = \n", ["Invalid value", "line 1, column 5"]),
        ("a = 1\n[t\n", ["line 2, column 3"]),
        ("a = 1\na = 2\n", ["Cannot overwrite", "line 2"]),
        ("[t]\n[t]\n", ["Cannot declare ('t',) twice", "line 2"]),
        ("a = 'x\n", ["end of document"]),
        ("a = " + "[" * 100000, ["deeply"]),
        ("\ufeffa = 1\n", ["line 1, column 1"]),
    ],
)
def test_what_is_there_and_wrong_is_named_with_its_place(text, words):
    with pytest.raises(DaemonConfigError) as caught:
        parse(text, PATH)
    assert all(word in str(caught.value) for word in [PATH, "left as it is", *words])


@pytest.mark.parametrize(
    ("value", "word"),
    [(2**63, "64 bits"), (-(2**63) - 1, "64 bits"), ("\ud800", "Unicode"), (2**63 - 1, ""), (float("inf"), "")],
)
def test_what_toml_cannot_hold_is_told(value, word):
    assert word in unfit(value)
    assert bool(word) == bool(unfit(value))


def test_a_host_without_the_library_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(daemon_config_toml_values, "tomllib", None)
    with pytest.raises(WorkspacesError, match="python3-tomli"):
        parse("a = 1", PATH)
