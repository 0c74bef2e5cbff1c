# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing keys of a TOML text that belongs to others as well. Pure.

A change touches the lines that it is about, so that comments, order and layout of all others stay. Libraries that
write TOML lose comments where a table is removed, and put new keys below the next table's comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import (
    DaemonConfigError,
    Path,
    dotted,
    same,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml_scan import (
    Statement,
    scan,
    scan_array,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_toml_values import (
    header_name,
    inline,
    is_tables,
    key,
    load,
    sections,
)

_INDENT = re.compile(r"[ \t]*")


def parse(text: str, path: str) -> dict[str, Any]:
    """The table in ``text``; keys keep their order.

    :param path: the file, for messages.
    :raises DaemonConfigError: it is not TOML.
    """
    try:
        return load(text)
    except RecursionError as error:
        raise DaemonConfigError([f"{path} is nested too deeply to be read. It was left as it is."]) from error
    except ValueError as error:
        raise DaemonConfigError(
            [f"{path} is not valid TOML: {error}. It was left as it is; mend it by hand."]
        ) from error


def rewrite(text: str, after: Mapping[str, Any], path: str) -> str:
    """``text`` with its values changed to ``after``, and nothing else.

    :param path: the file, for messages.
    :raises DaemonConfigError: a key cannot be written into this text.
    """
    seen: list[dict[str, Any]] = []
    while True:
        values = parse(text, path)
        difference = _difference(values, after, ())
        if difference is None:
            return text
        # Each change must bring the text nearer; one that does not would be tried for ever.
        if any(same(values, earlier) for earlier in seen):
            key_name = dotted(difference.path)
            raise DaemonConfigError([f"{path} was left as it is: {key_name} cannot be changed in its text"])
        seen.append(values)
        text = _Edit(text, difference.path).change(difference)


@dataclass(frozen=True)
class _Difference:
    """One key to change.

    :param gone: it is to be removed; ``after`` means nothing then.
    :param new: it is not there yet; ``before`` means nothing then.
    """

    path: Path
    before: Any = None
    after: Any = None
    gone: bool = False
    new: bool = False


def _difference(before: Mapping[str, Any], after: Mapping[str, Any], base: Path) -> Optional[_Difference]:
    for name in before:
        if name not in after:
            return _Difference((*base, name), gone=True)
    for name, value in after.items():
        path = (*base, name)
        if name not in before:
            return _Difference(path, after=value, new=True)
        if same(before[name], value):
            continue
        if isinstance(value, Mapping) and isinstance(before[name], Mapping):
            return _difference(before[name], value, path)
        return _Difference(path, before[name], value)
    return None


class _Edit:
    """One change of a text.

    :param path: the key it is about.
    """

    def __init__(self, text: str, path: Path) -> None:
        self.text = text
        self.path = path
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.found = scan(text)
        self.lines = [statement for statement in self.found if statement.kind != "item"]

    def change(self, difference: _Difference) -> str:
        """The text with this one difference less; where a value becomes a table, it takes a second change."""
        if difference.new:
            return self._add(difference.after)
        added = _continuation(difference)
        own = next((statement for statement in self.found if statement.path == self.path and statement.value), None)
        if own is None:
            return self._add_sections(self.path, sections(self.path, added)) if is_tables(added) else self._remove()
        if difference.gone or (own.kind == "pair" and _is_sections(difference.after) and not added):
            return self._remove()
        if added:
            return self._append(own, added)
        return self._replaced(own.value, own.end, inline(difference.after))

    def _remove(self) -> str:
        numbers = [number for number, statement in enumerate(self.lines) if statement.is_under(self.path)]
        if not numbers:
            return self._remove_item(next(statement for statement in self.found if statement.is_under(self.path)))
        first = [number for number in numbers if number - 1 not in numbers]
        last = [number for number in numbers if number + 1 not in numbers]
        text = self.text
        for start, end in reversed(list(zip(first, last))):
            # Comments between lines that go are about what goes; those before the first and after the last stay.
            before = text[: self._line_start(self.lines[start].start)]
            behind = text[self._line_end(self.lines[end].end) :]
            if self._ends_blank(before) and not behind.split("\n", 1)[0].strip():
                behind = behind.partition("\n")[2]
            text = before + behind
        return text

    def _remove_item(self, item: Statement) -> str:
        items = [statement for statement in self.found if statement.holder == item.holder]
        number = items.index(item)
        if number + 1 < len(items):
            return self._replaced(item.start, items[number + 1].start, "")
        return self._replaced(items[number - 1].end if number else item.start, item.end, "")

    def _append(self, own: Statement, values: list[Any]) -> str:
        array = scan_array(self.text, own.value)
        new = [inline(value) for value in values]
        closing_line = self._line_start(array.closing)
        if self.text[closing_line : array.closing].strip():
            place = array.comma or array.last
            start = "" if not array.elements else " " if array.comma else ", "
            return self._replaced(place, place, start + ", ".join(new))
        indent = self._indent(array.last) if array.elements else self._indent(array.closing) + "  "
        lines = "".join(f"{indent}{item},{self.newline}" for item in new)
        text = self._replaced(closing_line, closing_line, lines)
        comma = "," if array.elements and not array.comma else ""
        return text[: array.last] + comma + text[array.last :]

    def _add(self, value: Any) -> str:
        parent = self.path[:-1]
        entry = f"{key(self.path[-1])} = {inline(value)}"
        holder = next((s for s in self.found if s.path == parent and s.value and self.text[s.value] == "{"), None)
        if holder is not None:
            items = [statement for statement in self.found if statement.holder == holder.value]
            if not items:
                return self._replaced(holder.value, holder.end, f"{{ {entry} }}")
            return self._replaced(items[-1].end, items[-1].end, f", {entry}")
        # A table that dotted keys have made can be gone on with by such keys alone.
        dotted_keys = [s for s in self.found if s.value and s.base < len(parent) and s.is_under(parent)]
        if dotted_keys:
            beside = dotted_keys[-1]
            entry = f"{header_name(self.path[beside.base :])} = {inline(value)}"
            if beside.kind == "item":
                return self._replaced(beside.end, beside.end, f", {entry}")
            return self._insert(self._behind(beside.end), [self._indent(beside.start) + entry])
        if _is_sections(value):
            return self._add_sections(self.path, sections(self.path, value))
        return self._add_pair(parent, entry)

    def _add_pair(self, parent: Path, entry: str) -> str:
        header = next((s for s in self.lines if s.kind == "table" and s.path == parent), None)
        if parent and header is None:
            return self._add_sections(parent, [[f"[{header_name(parent)}]", entry]])
        pairs = self._pairs_from(self.lines.index(header) + 1 if header else 0)
        if pairs:
            return self._insert(self._behind(pairs[-1].end), [self._indent(pairs[-1].start) + entry])
        if header is None:
            return self._insert(self._behind(0), [entry])
        return self._insert(self._line_end(header.end), [_deeper(self._indent(header.start)) + entry])

    def _add_sections(self, path: Path, added: list[list[str]]) -> str:
        """The text with sections behind what is there of the same table, or else of the one that holds it.

        :param path: of the first of them.
        """
        near: list[int] = []
        for depth in range(len(path), 0, -1):
            near = near or [number for number, s in enumerate(self.lines) if s.is_under(path[:depth])]
        if near:
            # The pairs that follow would come into the new section.
            pairs = self._pairs_from(near[-1] + 1)
            place = self._behind((pairs or self.lines[near[-1] : near[-1] + 1])[-1].end)
            headers = [self.lines[number] for number in near if self.lines[number].kind != "pair"]
            beside = [s for s in headers if s.depth == len(path)]
            indent = self._indent((beside or headers)[-1].start) if headers else ""
        else:
            place, indent = len(self.text), ""
        lines: list[str] = []
        for header, *pair_lines in added:
            lines += ["", indent + header, *(_deeper(indent) + line for line in pair_lines)]
        if self._ends_blank(self.text[:place]):
            lines = lines[1:]
        if self.text[place : self._line_end(place)].strip():
            lines.append("")
        return self._insert(place, lines)

    def _pairs_from(self, start: int) -> list[Statement]:
        end = start
        while end < len(self.lines) and self.lines[end].kind == "pair":
            end += 1
        return self.lines[start:end]

    def _behind(self, offset: int) -> int:
        """Where lines may be put behind the statement that ends at ``offset``, or at the top of the file for 0.

        Comments right below it stay with it, unless a key or a header follows them without a blank line.
        """
        start = self._line_end(offset) if offset else 0
        end = start
        while self.text.startswith("#", _end_of_indent(self.text, end)):
            end = self._line_end(end)
        return start if self.text[end : self._line_end(end)].strip() else end

    def _insert(self, place: int, lines: list[str]) -> str:
        before = self.text[:place]
        if before and not before.endswith("\n"):
            before += self.newline
        return before + "".join(line + self.newline for line in lines) + self.text[place:]

    def _replaced(self, start: int, end: int, by: str) -> str:
        return self.text[:start] + by + self.text[end:]

    def _line_start(self, offset: int) -> int:
        return self.text.rfind("\n", 0, offset) + 1

    def _line_end(self, offset: int) -> int:
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end + 1

    def _indent(self, offset: int) -> str:
        start = self._line_start(offset)
        return self.text[start : _end_of_indent(self.text, start)]

    @staticmethod
    def _ends_blank(text: str) -> bool:
        return not text or text.endswith(("\n\n", "\n\r\n"))


def _end_of_indent(text: str, start: int) -> int:
    found = _INDENT.match(text, start)
    return found.end() if found else start


def _deeper(indent: str) -> str:
    # Where headers are indented, their keys stand deeper still.
    return indent + "  " if indent else ""


def _is_sections(value: Any) -> bool:
    return isinstance(value, Mapping) or is_tables(value)


def _continuation(difference: _Difference) -> list[Any]:
    """What a list has more at its end than before; nothing if it differs otherwise."""
    before, after = difference.before, difference.after
    if not isinstance(before, list) or not isinstance(after, list) or not same(before, after[: len(before)]):
        return []
    return after[len(before) :]
