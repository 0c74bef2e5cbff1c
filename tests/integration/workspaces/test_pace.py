# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine starts no more containers at once than its host's CPUs are good for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet import STARTS_PER_CPU

from .own_fleet import converge

if TYPE_CHECKING:
    import pytest

    from .conftest import Host

CPUS = 1
WORKSPACES = 5


class Starts:
    """Counts the starts that an engine is busy with at once."""

    def __init__(self, start: Any) -> None:
        self._start = start
        self._lock = threading.Lock()
        self.now = self.most = self.all = 0

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
        yield
        with self._lock:
            self.now -= 1

    def __call__(self, container_id: str) -> None:
        with self._counted():
            # Long enough for all others to come, if they may.
            time.sleep(0.5)
            self._start(container_id)


def test_no_more_starts_at_once_than_the_cpus_are_good_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect()
    starts = Starts(client.api.start)
    info = dict(client.api.info(), NCPU=CPUS)
    monkeypatch.setattr(client.api, "start", starts)
    monkeypatch.setattr(client.api, "info", lambda: info)
    results = converge(host, client, *(host.entry(f"w{number}") for number in range(WORKSPACES)))
    assert [result.get("error") for result in results] == [None] * WORKSPACES
    assert starts.all == WORKSPACES
    assert starts.most == CPUS * STARTS_PER_CPU
