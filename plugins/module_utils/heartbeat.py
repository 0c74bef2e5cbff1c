# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody still waits for a job that runs in the background: whoever does touches a file now and then."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable

# Seconds of silence after which nobody waits any more.
ABANDONED = 60.0
_POLL_SECONDS = 2.0


class Heartbeat:
    """The file that somebody touches. Only that its time changes counts, and not what the time is: clocks are set."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._touched = -1
        self._heard = time.monotonic()

    def is_abandoned(self) -> bool:
        """Whether the file was not touched for long, or is gone."""
        try:
            touched = os.stat(self._path).st_mtime_ns
        except OSError:
            return True
        now = time.monotonic()
        if touched != self._touched:
            self._touched, self._heard = touched, now
        return now - self._heard >= ABANDONED


def stop_when_abandoned(is_abandoned: Callable[[], bool], stop: threading.Event) -> None:
    """Set ``stop`` when nobody waits any more; returns at once."""

    def watch() -> None:
        while not stop.wait(_POLL_SECONDS):
            if is_abandoned():
                stop.set()

    threading.Thread(target=watch, daemon=True).start()
