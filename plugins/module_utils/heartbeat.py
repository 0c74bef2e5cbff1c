# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody still waits for a job that runs in the background: whoever does touches a file now and then."""

from __future__ import annotations

import os
import threading
import time

# Seconds of silence after which nobody waits any more.
ABANDONED = 60.0
_POLL_SECONDS = 2.0


def is_abandoned(path: str) -> bool:
    """Whether the file was not touched for long, or is gone."""
    try:
        return time.time() - os.stat(path).st_mtime >= ABANDONED
    except OSError:
        return True


def stop_when_abandoned(path: str, stop: threading.Event) -> None:
    """Set ``stop`` when nobody waits any more; returns at once."""

    def watch() -> None:
        while not stop.wait(_POLL_SECONDS):
            if is_abandoned(path):
                stop.set()

    threading.Thread(target=watch, daemon=True).start()
