# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging wanted keys into a daemon.json that belongs to others as well. Pure: text and dictionaries only."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Union

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import ProblemsError

Path = tuple[str, ...]

_BYTE_ORDER_MARK = "\ufeff"
_DEFAULT_INDENT = "    "


class DaemonConfigError(ProblemsError):
    """Mistakes in the engine's configuration."""

    heading = "in the engine's configuration"


class _Number(float):
    """A fraction or exponent that is written again as it was read: 1e3 stays 1e3."""

    text: str


@dataclass(frozen=True)
class Style:
    """How a file is laid out, so that a change leaves the rest of it alone.

    :param indent: one step, or an empty string for a file on one line.
    """

    indent: str = _DEFAULT_INDENT
    newline: str = "\n"
    ends_with_newline: bool = True
    byte_order_mark: bool = False


def parse(text: str, path: str) -> dict[str, Any]:
    """The object in ``text``; keys keep their order.

    :param path: the file, for messages.
    :raises DaemonConfigError: empty, not JSON, not an object, or a key given twice.
    """
    content = text[1:] if text.startswith(_BYTE_ORDER_MARK) else text
    if not content.strip():
        raise DaemonConfigError(
            [
                f"{path} is there but empty, as an interrupted write leaves it. Put its content back from a backup, "
                "or delete the file or write {} into it if nothing is missing."
            ]
        )
    try:
        value = json.loads(content, object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DaemonConfigError(
            [
                f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}. "
                "It was left as it is; mend it by hand."
            ]
        ) from error
    except RecursionError as error:
        raise DaemonConfigError([f"{path} is nested too deeply to be read. It was left as it is."]) from error
    except _Refused as error:
        raise DaemonConfigError([f"{path} {error}. It was left as it is; mend it by hand."]) from error
    if not isinstance(value, dict):
        raise DaemonConfigError([f"{path} holds {type_name(value)}, expected an object. It was left as it is."])
    return value


class _Refused(Exception):
    pass


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            # The engine takes the last one and says nothing, so a person does not see which one counts.
            raise _Refused(f"gives the key '{key}' twice")
        result[key] = value
    return result


def _number(text: str) -> _Number:
    number = _Number(text)
    number.text = text
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise _Refused(f"holds {text}, which JSON does not know")


def style_of(text: str) -> Style:
    """The layout of an existing file's ``text``."""
    indent = re.search(r"[\[{]\r?\n([ \t]+)\S", text)
    one_line = "\n" not in text.strip()
    empty = not text.strip(" \t\r\n{}" + _BYTE_ORDER_MARK)
    return Style(
        indent=indent.group(1) if indent else ("" if one_line and not empty else _DEFAULT_INDENT),
        newline="\r\n" if "\r\n" in text else "\n",
        ends_with_newline=text.endswith("\n"),
        byte_order_mark=text.startswith(_BYTE_ORDER_MARK),
    )


def render(config: Mapping[str, Any], style: Style) -> str:
    """``config`` as text in ``style``."""
    body = _render(config, style, "")
    start = _BYTE_ORDER_MARK if style.byte_order_mark else ""
    return start + body + (style.newline if style.ends_with_newline else "")


def _render(value: Any, style: Style, margin: str) -> str:
    if isinstance(value, _Number):
        return value.text
    if not isinstance(value, (Mapping, list)):
        return _scalar(value)
    opening, closing = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
    if not value:
        return opening + closing
    inner = margin + style.indent
    if isinstance(value, Mapping):
        items = [f"{_scalar(str(key))}: {_render(item, style, inner)}" for key, item in value.items()]
    else:
        items = [_render(item, style, inner) for item in value]
    if not style.indent:
        return opening + ", ".join(items) + closing
    lines = ("," + style.newline).join(inner + item for item in items)
    return f"{opening}{style.newline}{lines}{style.newline}{margin}{closing}"


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair can be written in JSON by its escape only.
        return json.dumps(value, ensure_ascii=True)
    return text


def merge(current: Mapping[str, Any], wanted: Mapping[str, Any], list_merge: str = "replace") -> dict[str, Any]:
    """``current`` with ``wanted`` in it. Objects are merged at any depth; whatever ``wanted`` does not name stays.

    :param list_merge: ``replace`` takes the wanted list, ``append`` adds the wanted items that are missing.
    """
    result = dict(current)
    for key, value in wanted.items():
        before = result.get(key)
        if isinstance(value, Mapping):
            result[key] = merge(before if isinstance(before, Mapping) else {}, value, list_merge)
        elif isinstance(value, list) and isinstance(before, list) and list_merge == "append":
            result[key] = before + [item for item in _distinct(value) if not _holds(before, item)]
        elif key not in result or not same(before, value):
            result[key] = value
    return result


def _distinct(items: Sequence[Any]) -> list[Any]:
    result: list[Any] = []
    for item in items:
        if not _holds(result, item):
            result.append(item)
    return result


def _holds(items: Sequence[Any], wanted: Any) -> bool:
    return any(same(item, wanted) for item in items)


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: true is not 1, and 1.0 is not 1; the order of keys does not count."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other))
    return _kind(one) is _kind(other) and bool(one == other)


def _kind(value: Any) -> type:
    return float if isinstance(value, float) else type(value)


def remove(current: Mapping[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    """``current`` without the keys at ``paths``. A path that is not there is no mistake."""
    result = dict(current)
    for path in paths:
        _remove(result, path)
    return result


def _remove(holder: dict[str, Any], path: Path) -> None:
    head, rest = path[0], path[1:]
    if not rest:
        holder.pop(head, None)
    elif isinstance(holder.get(head), Mapping):
        child = dict(holder[head])
        _remove(child, rest)
        holder[head] = child


def key_paths(absent: Sequence[Union[str, Sequence[str]]]) -> list[Path]:
    """The keys to remove. ``a.b`` and ``[a, b]`` are the same; the list is for keys that have a dot in them.

    :raises DaemonConfigError: an empty key or something that is neither text nor a list of texts.
    """
    paths = []
    problems = []
    for entry in absent:
        parts = entry.split(".") if isinstance(entry, str) else entry
        if not isinstance(parts, (list, tuple)) or not parts or not all(isinstance(p, str) and p for p in parts):
            problems.append(
                f"absent: {entry!r} names no key; expected something like 'runtimes.nvidia' "
                "or a list like [runtimes, io.containerd.runc.v2]"
            )
            continue
        paths.append(tuple(parts))
    if problems:
        raise DaemonConfigError(problems)
    return paths


def check_wishes(wanted: Mapping[str, Any], absent: Sequence[Path]) -> None:
    """:raises DaemonConfigError: a key that is wanted and absent at once, or a value that is null."""
    problems = [
        f"{dotted(path)} is wanted in config and named in absent as well" for path in absent if _has(wanted, path)
    ]
    for path, value in _leaves(wanted, ()):
        if value is None:
            problems.append(f"config: {dotted(path)} is null; to remove the key, name it in absent")
        elif isinstance(value, float) and not math.isfinite(value):
            problems.append(f"config: {dotted(path)} is {value}, which JSON does not know")
    if problems:
        raise DaemonConfigError(problems)


def _has(config: Any, path: Path) -> bool:
    for part in path:
        if not isinstance(config, Mapping) or part not in config:
            return False
        config = config[part]
    return True


def _leaves(value: Any, path: Path) -> list[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        return [found for key, item in value.items() for found in _leaves(item, (*path, str(key)))]
    if isinstance(value, list):
        return [found for item in value for found in _leaves(item, path)]
    return [(path, value)]


def changed_paths(before: Mapping[str, Any], after: Mapping[str, Any], base: Path = ()) -> list[Path]:
    """The deepest keys whose values differ between two configurations, in order of ``after`` then ``before``."""
    paths: list[Path] = []
    for key in [*after, *(key for key in before if key not in after)]:
        values = [side[key] for side in (before, after) if key in side]
        if len(values) == 2 and same(*values):
            continue
        if all(isinstance(value, Mapping) for value in values) and any(values):
            # An object that appears or goes whole: its keys are what changed.
            paths += changed_paths(before.get(key, {}), after.get(key, {}), (*base, key))
        else:
            paths.append((*base, key))
    return paths


def dotted(path: Sequence[str]) -> str:
    """``path`` for messages; a key with a dot in it is quoted."""
    return ".".join(f'"{part}"' if "." in part else part for part in path)


def type_name(value: Any) -> str:
    """What JSON calls the type of ``value``, with its article."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return "null" if value is None else names.get(type(value), "a number")


_CREDENTIALS = re.compile(r"(://)([^/@\s\"]+)@")


def without_credentials(text: str) -> str:
    """``text`` with user and password of each address replaced, for diffs and messages."""
    return _CREDENTIALS.sub(r"\1********@", text)


def credentials(config: Any) -> set[str]:
    """The user:password parts of all addresses in ``config``, to be kept out of Ansible's output."""
    if isinstance(config, Mapping):
        return {found for item in config.values() for found in credentials(item)}
    if isinstance(config, list):
        return {found for item in config for found in credentials(item)}
    if not isinstance(config, str):
        return set()
    return {match.group(2).partition(":")[2] for match in _CREDENTIALS.finditer(config)} - {""}
