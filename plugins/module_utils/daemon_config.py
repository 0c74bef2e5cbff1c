# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging wanted keys into a configuration that belongs to others as well, whatever format it is in. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Union

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import ProblemsError

Path = tuple[str, ...]


class DaemonConfigError(ProblemsError):
    """Mistakes in the engine's configuration."""

    heading = "in the engine's configuration"


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
    """Equality as JSON and TOML have it: true is not 1, and 1.0 is not 1; the order of keys does not count."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other))
    return _kind(one) is _kind(other) and (bool(one == other) or (_is_nan(one) and _is_nan(other)))


def _is_nan(value: Any) -> bool:
    # TOML knows it, and it does not equal itself.
    return isinstance(value, float) and math.isnan(value)


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


def check_wishes(wanted: Mapping[str, Any], absent: Sequence[Path], unfit: Callable[[Any], str]) -> None:
    """See that the wishes make sense.

    :param unfit: why a single value cannot stand in the file's format, or an empty string.
    :raises DaemonConfigError: a key that is wanted and absent at once, a value that is null or cannot be written.
    """
    problems = [
        f"{dotted(path)} is wanted in config and named in absent as well" for path in absent if _has(wanted, path)
    ]
    for path, value in _leaves(wanted, ()):
        if value is None:
            problems.append(f"config: {dotted(path)} is null; to remove the key, name it in absent")
        elif unfit(value):
            problems.append(f"config: {dotted(path)} is {value!r}, {unfit(value)}")
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
