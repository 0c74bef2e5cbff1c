# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small way to say what a YAML document must look like, and to find every mistake in it at once.

A check is a function ``(value, where, problems) -> value``: it returns the value as the program wants it and
adds to ``problems`` one message for each mistake, beginning with ``where`` (file and key).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import nearest

Check = Callable[[Any, str, "list[str]"], Any]

# Names of workspaces, components and what belongs to them.
NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
# What stands in for a value that is wrong, so that checking goes on.
_KINDS = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a mapping"}


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _said(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def of_type(kind: type, empty: Any) -> Check:
    """A value of one type; ``empty`` is returned where it is not."""

    def check(value: Any, where: str, problems: list[str]) -> Any:
        if not _is(value, kind):
            problems.append(f"{where}: expected {_KINDS[kind]}, got {_said(value)}")
            return empty
        return value

    return check


def text(pattern: str = "", expected: str = "", empty: str = "") -> Check:
    """A text, which as a whole matches ``pattern``; ``expected`` says that in words."""

    def check(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, str):
            problems.append(f"{where}: expected a text, got {_said(value)}")
            return empty
        if pattern and re.fullmatch(pattern, value) is None:
            problems.append(f"{where}: {_said(value)} is not valid; expected {expected}")
        return value

    return check


def scalar_text(value: Any, where: str, problems: list[str]) -> Any:
    """A text; numbers are taken as they would be written. Booleans are refused, since YAML changes their spelling."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        problems.append(f"{where}: expected a text (in quotes), got {_said(value)}")
        return ""
    if "\n" in str(value) or "\0" in str(value):
        problems.append(f"{where}: expected one line, got {_said(value)}")
    return str(value)


def whole(lowest: int, highest: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any, where: str, problems: list[str]) -> Any:
        if not _is(value, int) or not lowest <= value <= highest:
            problems.append(f"{where}: expected a whole number from {lowest} to {highest}, got {_said(value)}")
            return lowest
        return value

    return check


def one_of(*choices: str) -> Check:
    """One of some words."""

    def check(value: Any, where: str, problems: list[str]) -> Any:
        if value not in choices:
            guess = nearest(str(value), choices)
            hint = f"; did you mean '{guess}'?" if guess else ""
            problems.append(f"{where}: expected one of {', '.join(choices)}, got {_said(value)}{hint}")
            return choices[0]
        return value

    return check


def quantity(parse: Callable[[object], Any]) -> Check:
    """What ``parse`` makes of the value; its ``ValueError`` is the mistake."""

    def check(value: Any, where: str, problems: list[str]) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            return parse(0)

    return check


def list_of(item: Check) -> Check:
    """A list whose items all pass ``item``."""

    def check(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, list):
            problems.append(f"{where}: expected a list, got {_said(value)}")
            return []
        return [item(entry, f"{where}[{number}]", problems) for number, entry in enumerate(value)]

    return check


def mapping(key: Check, item: Check) -> Check:
    """A mapping whose keys and values pass these checks."""

    def check(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, dict):
            problems.append(f"{where}: expected a mapping, got {_said(value)}")
            return {}
        return {
            key(name, f"{where}, the key", problems): item(entry, f"{where}.{name}", problems)
            for name, entry in value.items()
        }

    return check


def record(fields: Mapping[str, Check], required: Iterable[str] = ()) -> Check:
    """A mapping with known keys; unknown ones are mistakes, answered with the nearest known one."""
    needed = list(required)

    def check(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, dict):
            wanted = ", ".join(needed or fields)
            problems.append(f"{where.rstrip(': ')}: expected a mapping with {wanted}, got {_said(value)}")
            return {}
        joiner = "" if where.endswith(": ") else "."
        for name in value:
            if name not in fields:
                guess = nearest(str(name), fields)
                hint = f"; did you mean '{guess}'?" if guess else f" (known: {', '.join(sorted(fields))})"
                problems.append(f"{where}{joiner}{name}: unknown key{hint}")
        problems.extend(f"{where}{joiner}{name}: is missing" for name in needed if name not in value)
        return {
            name: fields[name](entry, f"{where}{joiner}{name}", problems)
            for name, entry in value.items()
            if name in fields
        }

    return check
