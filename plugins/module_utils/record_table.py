# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table in the file ``records.sqlite``. Reading makes no file, the first write does.

One object serves all threads of a run. SQLite's own journal leaves whole transactions after any end of it: a killed run
loses none, a machine without power the last ones at most.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Optional
from urllib.parse import quote

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

# Bytes: as much as the file takes that all connections share.
_ROOM = 32 * 1024


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
        self._kept: Optional[sqlite3.Connection] = None

    def read(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """The rows of a query; none where there is no record yet, or no such table in it.

        :raises WorkspacesError: the record cannot be read.
        """
        if not os.path.exists(self._path):
            return []
        with self._lock, self._words():
            try:
                return self._rows("mode=rw", query, values)
            except sqlite3.OperationalError:
                if not self._disk_full():
                    raise
                # There is no room for what SQLite makes beside the record, even to read it. Nor does anybody write.
                return self._rows("immutable=1", query, values)

    def _rows(self, how: str, query: str, values: tuple[Any, ...]) -> list[Any]:
        with closing(self._connect(how)) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._name,)).fetchone()
            return connection.execute(query, values).fetchall() if there else []

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements are written all or none, when the block ends without an error.

        It is kept for the next time: the end of the last one makes SQLite wait for the disk.

        :raises WorkspacesError: the record cannot be written.
        """
        with self._lock, self._words():
            if self._kept is None:
                self._kept = self._begun()
                # Also at the end of Python.
                weakref.finalize(self, self._kept.close)
            with self._kept:
                yield self._kept

    def _begun(self) -> sqlite3.Connection:
        """A connection that writes, to a record that has the table."""
        os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
        if not os.path.exists(self._path):
            # The last lines of logs are in it.
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
        connection = self._connect("mode=rw")
        try:
            # Written at the end of a file of its own, for which nobody waits until the disk has it.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, how: str) -> sqlite3.Connection:
        """:param how: parameters of https://www.sqlite.org/uri.html."""
        return sqlite3.connect(f"file:{quote(self._path)}?{how}", uri=True, timeout=30, check_same_thread=False)

    def _disk_full(self) -> bool:
        try:
            return shutil.disk_usage(os.path.dirname(self._path)).free < _ROOM
        except OSError:
            return False

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            # SQLite's own words for it depend on what it was about to write.
            if getattr(error, "errno", 0) == errno.ENOSPC or "disk is full" in str(error) or self._disk_full():
                reason = "the disk is full. Make room there; the next run goes on."
            else:
                reason = f"{error}. If it is damaged, move it away: a new one is begun."
            raise WorkspacesError(f"The record of workspaces {self._path} cannot be used: {reason}") from error
