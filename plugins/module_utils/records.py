# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what became of the workspaces of a host: every transition, kept in SQLite."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.states import Transition

# How many transitions of a workspace are kept.
KEPT = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS transitions (
    id INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    time REAL NOT NULL,
    start TEXT NOT NULL,
    "end" TEXT NOT NULL,
    cause TEXT NOT NULL,
    who TEXT NOT NULL,
    run TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_workspace ON transitions (workspace, id);
"""
_LAST = 'SELECT workspace, "end" FROM transitions WHERE id IN (SELECT MAX(id) FROM transitions GROUP BY workspace)'


def records_path(state_dir: str) -> str:
    """Where a host's record is."""
    return os.path.join(state_dir, "records.sqlite")


class Records:
    """The file ``records.sqlite``; reading makes no file, the first write does.

    One object serves all threads of a run. SQLite's own journal leaves whole transactions after any end of it.
    """

    def __init__(self, state_dir: str) -> None:
        self._path = records_path(state_dir)
        self._lock = threading.Lock()

    def last_states(self) -> dict[str, str]:
        """The last state of every workspace that is known."""
        return {str(name): str(state) for name, state in self._read(_LAST)}

    def history(self, workspace: str, limit: int) -> list[dict[str, Any]]:
        """The last transitions of a workspace, the latest first."""
        rows = self._read(
            'SELECT time, start, "end", cause, who, run, details FROM transitions'
            " WHERE workspace = ? ORDER BY id DESC LIMIT ?",
            (workspace, limit),
        )
        return [
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
                "from": start,
                "to": end,
                "cause": cause,
                "who": who,
                "run": run,
                **json.loads(details),
            }
            for moment, start, end, cause, who, run, details in rows
        ]

    def add(self, workspace: str, transitions: Iterable[Transition], who: str, run: str) -> None:
        """Write transitions, all or none."""
        now = time.time()
        rows = [
            (workspace, now, step.start, step.end, step.cause, who, run, json.dumps(dict(step.details or {})))
            for step in transitions
        ]
        if not rows:
            return
        os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
        with self._lock, self._open("rwc") as connection:
            connection.executescript(_SCHEMA)
            with connection:
                connection.executemany(
                    'INSERT INTO transitions (workspace, time, start, "end", cause, who, run, details)'
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
                connection.execute(
                    "DELETE FROM transitions WHERE workspace = ? AND id NOT IN"
                    " (SELECT id FROM transitions WHERE workspace = ? ORDER BY id DESC LIMIT ?)",
                    (workspace, workspace, KEPT),
                )

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        if not os.path.exists(self._path):
            return []
        with self._lock, self._open("rw") as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        connection: Optional[sqlite3.Connection] = None
        try:
            if mode == "rwc" and not os.path.exists(self._path):
                # The last lines of logs are in it.
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
            connection = sqlite3.connect(f"file:{self._path}?mode={mode}", uri=True, timeout=30)
            yield connection
        except (sqlite3.Error, OSError) as error:
            raise WorkspacesError(
                f"The record of workspaces {self._path} cannot be used: {error}. "
                "If it is damaged, move it away: a new one is begun."
            ) from error
        finally:
            if connection is not None:
                connection.close()
