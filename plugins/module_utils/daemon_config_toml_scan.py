# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the keys of a TOML text stand. Pure; for texts that a TOML parser has accepted, so no mistake is looked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml_values import load

TomlPath = tuple[Union[str, int], ...]

_BLANK = re.compile(r"[ \t]*")
# Between statements and inside of arrays.
_TRIVIA = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Up to two quotes may stand right before the three that close a text.
_TEXTS = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
# A date and its time may be parted by a blank.
_OTHER_VALUE = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]+|[^\s,\]}#]+")


@dataclass(frozen=True)
class Statement:
    """A header, a key with its value on lines of its own, or a key with its value in an inline table.

    :param kind: ``table`` for ``[a.b]``, ``element`` for ``[[a.b]]``, ``pair``, or ``item`` in an inline table.
    :param path: from the root; an element of an array of tables adds its number.
    :param base: how many parts of ``path`` its key does not name itself.
    :param start: offset of its first character.
    :param end: offset after its last character, without a comment.
    :param value: offset of its value.
    :param holder: for an item, the offset of its inline table.
    """

    kind: str
    path: TomlPath
    base: int
    start: int
    end: int
    value: int = 0
    holder: int = -1

    @property
    def depth(self) -> int:
        """How many names ``path`` has."""
        return sum(isinstance(part, str) for part in self.path)

    def is_under(self, path: TomlPath) -> bool:
        """Whether it gives the value at ``path`` or something within it."""
        return self.path[: len(path)] == path


def scan(text: str) -> list[Statement]:
    """All statements of ``text`` in their order; an inline table's items follow the pair that holds it."""
    return _Scanner(text).statements()


@dataclass(frozen=True)
class Array:
    """Where an array's elements end.

    :param elements: whether there is any.
    :param last: offset after the last element, or after the opening bracket.
    :param comma: offset after the comma that follows the last element, or 0.
    :param closing: offset of the closing bracket.
    """

    elements: bool
    last: int
    comma: int
    closing: int


def scan_array(text: str, start: int) -> Array:
    """The array whose opening bracket stands at ``start``."""
    return _Scanner(text).array(start)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[Statement] = []
        self.elements: dict[TomlPath, int] = {}

    def statements(self) -> list[Statement]:
        section: TomlPath = ()
        position = self._skip(0)
        while position < len(self.text):
            if self.text[position] == "[":
                section, position = self._header(position)
            else:
                position = self._pair("pair", section, position, -1)
            position = self._skip(position)
        return self.found

    def _header(self, start: int) -> tuple[TomlPath, int]:
        width = 2 if self.text.startswith("[[", start) else 1
        parts, position = self._key(start + width)
        path: TomlPath = ()
        for part in parts[:-1]:
            path = self._newest((*path, part))
        path = (*path, parts[-1])
        if width == 2:
            self.elements[path] = self.elements.get(path, -1) + 1
        path = self._newest(path)
        end = position + width
        self.found.append(Statement("element" if width == 2 else "table", path, 0, start, end))
        return path, end

    def _newest(self, path: TomlPath) -> TomlPath:
        # A header that names an array of tables means the last of its elements so far.
        return (*path, self.elements[path]) if path in self.elements else path

    def _pair(self, kind: str, base: TomlPath, start: int, holder: int) -> int:
        parts, position = self._key(start)
        value = self._blank(position + 1)
        place = len(self.found)
        path = (*base, *parts)
        end = self._value(path, value)
        self.found.insert(place, Statement(kind, path, len(base), start, end, value, holder))
        return end

    def _key(self, position: int) -> tuple[list[str], int]:
        """The parts of a key, and the offset of what follows it."""
        parts: list[str] = []
        while True:
            position = self._blank(position)
            if self.text[position] in "\"'":
                end = self._end(_TEXTS, position)
                parts.append(load(f"key = {self.text[position:end]}")["key"])
            else:
                end = self._end(_BARE_KEY, position)
                parts.append(self.text[position:end])
            position = self._blank(end)
            if self.text[position] != ".":
                return parts, position
            position += 1

    def _value(self, path: TomlPath, position: int) -> int:
        first = self.text[position]
        if first == "[":
            return self.array(position).closing + 1
        if first == "{":
            return self._inline_table(path, position)
        return self._end(_TEXTS if first in "\"'" else _OTHER_VALUE, position)

    def array(self, start: int) -> Array:
        last, comma = start + 1, 0
        position = self._skip(last)
        while self.text[position] != "]":
            if self.text[position] == ",":
                position = comma = position + 1
            else:
                # Arrays change as a whole, so what stands inside of an element is nobody's key.
                outer, self.found = self.found, []
                position = self._value((), position)
                last, comma, self.found = position, 0, outer
            position = self._skip(position)
        return Array(last > start + 1, last, comma, position)

    def _inline_table(self, path: TomlPath, start: int) -> int:
        position = self._skip(start + 1)
        while self.text[position] != "}":
            position = self._skip(self._pair("item", path, position, start))
            if self.text[position] == ",":
                position = self._skip(position + 1)
        return position + 1

    def _skip(self, position: int) -> int:
        return self._end(_TRIVIA, position)

    def _blank(self, position: int) -> int:
        return self._end(_BLANK, position)

    def _end(self, pattern: re.Pattern[str], position: int) -> int:
        found = pattern.match(self.text, position)
        return found.end() if found else position
