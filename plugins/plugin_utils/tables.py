# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people to read in a terminal, which filters make of the results of modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

# What moves a terminal's cursor or colors it: a workspace writes what it likes into its log.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def entries_of(value: Any, name: str, kind: str, key: str) -> Sequence[Mapping[str, Any]]:
    """The input of a filter, seen to be a list of what its module returns.

    :param name: of the filter.
    :param kind: what the entries are, in words.
    :param key: what each of them has.
    :raises AnsibleFilterError: it is something else.
    """
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise AnsibleFilterError(f"{name} expects a list of {kind}, not {type(value).__name__}")
    for entry in value:
        if not isinstance(entry, Mapping) or key not in entry:
            raise AnsibleFilterError(f"{name} expects entries with '{key}', as the module returns them")
    return value


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines with columns as wide as their longest cell, under a header."""
    cells = [list(header), *([_printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)


def _printable(text: str) -> str:
    plain = _ESCAPE.sub("", text)
    return "".join(sign if sign.isprintable() else " " for sign in plain)
