# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host remembers of its looks at workspaces, and which of them the idle policy sent to sleep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.codeopen.workspaces.plugins.module_utils.idle import Look, Sample
from ansible_collections.codeopen.workspaces.plugins.module_utils.record_table import RecordTable

# "asleep" is when the run of the container began that the policy ended; empty while it has not.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS looks (
    workspace TEXT PRIMARY KEY,
    container TEXT NOT NULL,
    started TEXT NOT NULL,
    boot TEXT NOT NULL,
    moment REAL NOT NULL,
    cpu_usage REAL NOT NULL,
    idle REAL NOT NULL,
    last_active REAL NOT NULL,
    asleep TEXT NOT NULL DEFAULT ''
);
"""


class IdleRecords:
    """The table ``looks`` of a host's record."""

    def __init__(self, state_dir: str) -> None:
        self._table = RecordTable(state_dir, "looks", _SCHEMA)

    def looks(self) -> dict[str, Look]:
        """The last look at each workspace."""
        rows = self._table.read(
            "SELECT workspace, container, started, boot, moment, cpu_usage, idle, last_active FROM looks"
        )
        return {str(row[0]): Look(Sample(*row[1:6]), row[6], row[7]) for row in rows}

    def remember(self, looks: Mapping[str, Look]) -> None:
        """Write looks, all or none, in the place of earlier ones."""
        rows = [
            (
                name, look.sample.container, look.sample.started, look.sample.boot, look.sample.moment,
                look.sample.cpu, look.idle, look.last_active,
            )
            for name, look in looks.items()
        ]  # fmt: skip
        if rows:
            with self._table.writing() as connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO looks"
                    " (workspace, container, started, boot, moment, cpu_usage, idle, last_active)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )

    def forget(self, workspaces: Iterable[str]) -> None:
        """Remove what is known of workspaces."""
        rows = [(name,) for name in workspaces]
        if rows:
            with self._table.writing() as connection:
                connection.executemany("DELETE FROM looks WHERE workspace = ?", rows)

    def fall_asleep(self, workspace: str) -> None:
        """Note that the policy ended the run of the container that was last looked at."""
        with self._table.writing() as connection:
            connection.execute("UPDATE looks SET asleep = started WHERE workspace = ?", (workspace,))

    def asleep(self) -> dict[str, tuple[str, str]]:
        """Container and start of the runs that the policy ended, by workspace.

        A container that was started since then has another start, whoever did it and whatever became of it.
        """
        rows = self._table.read("SELECT workspace, container, asleep FROM looks WHERE asleep != ''")
        return {str(name): (str(container), str(started)) for name, container, started in rows}
