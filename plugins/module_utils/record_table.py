# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table in the file ``records.sqlite``. Reading makes no file, the first write does.

One object serves all threads of a run. SQLite's own journal leaves whole transactions after any end of it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError


def records_path(state_dir: str) -> str:
    """Where a host's record is."""
    return os.path.join(state_dir, "records.sqlite")


class RecordTable:
    """One table of the record.

    :param schema: the statements that make it where it is not there.
    """

    def __init__(self, state_dir: str, name: str, schema: str) -> None:
        self._path = records_path(state_dir)
        self._name = name
        self._schema = schema
        self._lock = threading.Lock()

    def read(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """The rows of a query; none where there is no record yet, or no such table in it.

        :raises WorkspacesError: the record cannot be read.
        """
        if not os.path.exists(self._path):
            return []
        with self._lock, self._open("rw") as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._name,)).fetchone()
            return connection.execute(query, values).fetchall() if there else []

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements are written all or none, when the block ends without an error.

        :raises WorkspacesError: the record cannot be written.
        """
        os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
        with self._lock, self._open("rwc") as connection:
            connection.executescript(self._schema)
            with connection:
                yield connection

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
            hint = "If it is damaged, move it away: a new one is begun."
            if "full" in str(error) or getattr(error, "errno", 0) == errno.ENOSPC:
                hint = "Make room there; the next run goes on."
            raise WorkspacesError(f"The record of workspaces {self._path} cannot be used: {error}. {hint}") from error
        finally:
            if connection is not None:
                connection.close()
