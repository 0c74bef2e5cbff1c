# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TOML's values: from a text by the library, and into a text. Pure."""

from __future__ import annotations

import datetime
import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import Path
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

try:
    import tomllib
except ImportError:
    try:
        # What became a part of Python 3.11, for older ones.
        import tomli as tomllib  # type: ignore[import-not-found,no-redef]
    except ImportError:
        tomllib = None  # type: ignore[assignment]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LARGEST = 2**63


def load(text: str) -> dict[str, Any]:
    """The values of a TOML text.

    :raises WorkspacesError: the host has no library for it.
    :raises ValueError: it is not TOML; the message names line and column.
    """
    if tomllib is None:
        version = ".".join(str(part) for part in sys.version_info[:2])
        raise WorkspacesError(
            f"Python {version} at {sys.executable} cannot read TOML. "
            "Install the package python3-tomli on the host (or tomli from PyPI), or use Python 3.11 or later there."
        )
    return dict(tomllib.loads(text))


def unfit(value: Any) -> str:
    """Why a single value cannot stand in TOML, or an empty string."""
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return "which is beyond TOML's 64 bits"
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return "which is no Unicode text"
    return ""


def key(name: str) -> str:
    """One part of a key, in quotes where it needs them."""
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def header_name(path: Path) -> str:
    """Several parts of a key, as a header has them."""
    return ".".join(key(part) for part in path)


def inline(value: Any) -> str:
    """``value`` on one line."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key(name)} = {inline(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(inline(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return _text(value) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def is_tables(value: Any) -> bool:
    """Whether ``value`` is written as ``[[…]]``."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def sections(path: Path, value: Any) -> list[list[str]]:
    """A table or an array of tables as sections; each is a list of lines, its header first."""
    if isinstance(value, Mapping):
        return _sections("[%s]", path, value)
    return [section for item in value for section in _sections("[[%s]]", path, item)]


def _sections(header: str, path: Path, table: Mapping[str, Any]) -> list[list[str]]:
    below = {name: item for name, item in table.items() if isinstance(item, Mapping) or is_tables(item)}
    lines = [f"{key(name)} = {inline(item)}" for name, item in table.items() if name not in below]
    found = []
    # A table that holds nothing but tables is there by their headers.
    if lines or not below or header != "[%s]":
        found.append([header % header_name(path), *lines])
    return found + [section for name, item in below.items() for section in sections((*path, name), item)]
