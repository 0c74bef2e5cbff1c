# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what became of the workspaces of a host: every transition, kept in SQLite."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.record_table import RecordTable
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
_LAST = (
    'SELECT workspace, "end", time FROM transitions WHERE id IN (SELECT MAX(id) FROM transitions GROUP BY workspace)'
)


class Records:
    """The table ``transitions`` of a host's record."""

    def __init__(self, state_dir: str) -> None:
        self._table = RecordTable(state_dir, "transitions", _SCHEMA)

    def last_states(self) -> dict[str, str]:
        """The last state of every workspace that is known."""
        return {str(name): str(state) for name, state, _moment in self._table.read(_LAST)}

    def since(self, state: str) -> dict[str, float]:
        """Since when the workspaces are in a state whose last state it is, in seconds since 1970."""
        return {str(name): float(moment) for name, last, moment in self._table.read(_LAST) if last == state}

    def history(self, workspace: str, limit: int) -> list[dict[str, Any]]:
        """The last transitions of a workspace, the latest first."""
        rows = self._table.read(
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
        with self._table.writing() as connection:
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
