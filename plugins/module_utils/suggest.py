# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answering an unknown word with the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like ``word``, or an empty string where none comes close."""
    matches = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.5)
    return matches[0] if matches else ""


def unknown(kind: str, word: object, known: Iterable[str]) -> str:
    """One sentence that says ``word`` is unknown, what it was probably meant to be, and what there is."""
    names = sorted(known)
    guess = nearest(str(word), names)
    hint = f"; did you mean '{guess}'?" if guess else ""
    there_is = ", ".join(names) if names else "none"
    return f"unknown {kind} '{word}'{hint} (known: {there_is})"
