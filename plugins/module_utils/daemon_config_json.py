# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A JSON text that belongs to others as well: its values, and its layout, which stays. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import DaemonConfigError, type_name

_BYTE_ORDER_MARK = "\ufeff"
_DEFAULT_INDENT = "    "


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


def rewrite(text: str, after: Mapping[str, Any], path: str) -> str:
    """``text`` with its values changed to ``after``; an empty one is that of a new file."""
    return render(after, style_of(text or "{}\n"))


def unfit(value: Any) -> str:
    """Why a single value cannot stand in JSON, or an empty string."""
    return "which JSON does not know" if isinstance(value, float) and not math.isfinite(value) else ""


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
