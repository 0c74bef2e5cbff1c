# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When to try again: a schedule of pauses and a loop over it. The clock is handed in; nothing here waits by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Callable, TypeVar

T = TypeVar("T")

# What registries and networks say when the same request may succeed a moment later.
TEMPORARY_MARKS = (
    "timeout",
    "timed out",
    "deadline exceeded",
    "request canceled",
    "connection refused",
    "connection reset",
    "broken pipe",
    "unexpected eof",
    "toomanyrequests",
    "too many requests",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway time",
)
# Digests and ports are full of digits, so a number counts only where it is called a status.
_STATUS = re.compile(r"(?:status|code|http)[^0-9]{0,12}(?:429|50[0-4])\b")
# What does not get better by asking again; wins over the marks above.
PERMANENT_MARKS = (
    "no such host",
    "server misbehaving",
    "unauthorized",
    "denied",
    "forbidden",
    "not found",
    "manifest unknown",
    "invalid reference",
    "x509",
    "certificate",
)


def backoff(retries: int, first: float = 1.0, factor: float = 2.0, longest: float = 30.0) -> Iterator[float]:
    """Yield the pauses in seconds before each further try: ``first``, then ``factor`` times the one before."""
    pause = first
    for number in range(retries):
        if number:
            pause *= factor
        yield min(pause, longest)


def is_temporary(message: str) -> bool:
    """Tell whether an error message speaks of something that may pass: a timeout, 429, 5xx, a refused connection."""
    text = message.lower()
    if any(mark in text for mark in PERMANENT_MARKS):
        return False
    return any(mark in text for mark in TEMPORARY_MARKS) or bool(_STATUS.search(text))


def retrying(
    operation: Callable[[], T],
    pauses: Iterator[float],
    sleep: Callable[[float], object],
    temporary: Callable[[Exception], bool],
    notify: Callable[[Exception, float], object],
) -> T:
    """Call ``operation`` until it succeeds, fails for good, or ``pauses`` has no more.

    :param sleep: waits for a number of seconds.
    :param temporary: tells whether an exception is worth another try.
    :param notify: told of the exception and of the pause in seconds before each further try.
    :raises Exception: the last exception of ``operation``.
    """
    while True:
        try:
            return operation()
        except Exception as error:
            if not temporary(error):
                raise
            for pause in pauses:
                notify(error, pause)
                sleep(pause)
                break
            else:
                raise
