# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wakes whoever waits for a container when the engine has news of it, so that nobody asks over and over.

All workspaces of a run share one stream of events. It is no more than a bell: what became of a container is asked of
the engine, and whoever waits also looks again without news, for the stream may end at any time.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import ENGINE_ERRORS
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE

if TYPE_CHECKING:
    from docker import DockerClient

_FILTERS = {"type": ["container"], "label": [LABEL_WORKSPACE], "event": ["health_status", "die"]}
# Seconds from one look to the next where the engine tells what happens; otherwise from the first to the second, and
# at most.
_PAUSE_WITH_NEWS = 5.0
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 1.0
# Whoever waits sees within so many seconds that the run is to stop.
_STOP_SECONDS = 0.5


class ContainerNews:
    """The engine's events about the health and the end of workspaces' containers."""

    def __init__(self, client: DockerClient) -> None:
        self._api: Any = client.api
        self._bell = threading.Condition()
        self._rung: Counter[str] = Counter()
        self._stream: Optional[Any] = None
        self._asked = False
        self._listening = False

    def count(self, container_id: str) -> int:
        """How much there has been of a container; to be asked for before one looks at it."""
        with self._bell:
            if not self._asked:
                self._asked = True
                self._listen()
            return self._rung[container_id]

    def wait(self, container_id: str, known: int, looks: int, longest: float, stop: threading.Event) -> None:
        """Return when there is reason to look at a container again.

        :param known: its :meth:`count` before it was last looked at.
        :param looks: how often it was looked at in vain.
        :param longest: seconds that this may take.
        :param stop: ends it soon after it is set.
        """
        begun = time.monotonic()
        with self._bell:
            while self._rung[container_id] == known and not stop.is_set():
                pause = _PAUSE_WITH_NEWS if self._listening else min(_FIRST_PAUSE * 1.2**looks, _LONGEST_PAUSE)
                left = min(pause, longest) - (time.monotonic() - begun)
                if left <= 0:
                    return
                self._bell.wait(min(left, _STOP_SECONDS))

    def close(self) -> None:
        """Stop listening."""
        stream = self._stream
        if stream is not None:
            # Over SSH it cannot be closed, which the SDK says in several ways; then it ends with the connection.
            with suppress(*ENGINE_ERRORS, OSError, AttributeError, UnboundLocalError):
                stream.close()

    def _listen(self) -> None:
        try:
            self._stream = self._api.events(filters=_FILTERS, decode=True)
        except ENGINE_ERRORS:
            # What is wrong with the engine is said by whoever wants something of it.
            return
        self._listening = True
        threading.Thread(target=self._read, args=(self._stream,), daemon=True).start()

    def _read(self, stream: Any) -> None:
        # An engine that ends, or a stream that close() has taken away.
        with suppress(*ENGINE_ERRORS, OSError, ValueError, AttributeError):
            for event in stream:
                with self._bell:
                    self._rung[str(event["Actor"]["ID"])] += 1
                    self._bell.notify_all()
        with self._bell:
            self._listening = False
            self._bell.notify_all()
