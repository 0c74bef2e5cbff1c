# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what a run sees and does: each change of a workspace's state, as legal steps with cause, who and run."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import user_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import KEPT, Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.states import way

# By what the details of a failure tell a crash that the engine itself started the container again after.
ENDED = "ended"


class Journal:
    """The record of one run.

    :param writes: False in check mode, which only reads.
    :param tell: takes a line about each change, for people who wait.
    :param check: called before anything is written; what it raises keeps it from that.
    :ivar run: what tells this run from others.
    """

    def __init__(
        self,
        records: Records,
        tell: Optional[Callable[[str], None]] = None,
        writes: bool = True,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.check = check
        self.run = secrets.token_hex(6)
        self._records = records
        self._writes = writes
        self._tell = tell
        self._who = user_name()
        # Not read before it is needed: a run that is stuck may hold the record until this one has its locks.
        self._states: Optional[dict[str, str]] = None

    def look_again(self) -> dict[str, str]:
        """Read the last known states anew, which another run may have changed while this one waited; those."""
        self._states = self._records.last_states()
        return self._states

    def state(self, workspace: str) -> str:
        """The last known state, empty for one that nothing is known of."""
        return self._known().get(workspace, "")

    def move(self, workspace: str, state: str, cause: str, details: Optional[Mapping[str, Any]] = None) -> None:
        """Record that a workspace is in a state now; nothing where it was in it already."""
        steps = way(self.state(workspace), state, cause, details) if self._writes else []
        if steps:
            self.check()
            self._records.add(workspace, steps, self._who, self.run)
            self._known()[workspace] = state
            self.tell(f"{workspace}: {state} ({cause})")

    def knows_crash(self, workspace: str, ended: str) -> bool:
        """Whether a crash is in the record.

        :param ended: when it was, by the engine's clock and in its words.
        """
        return any(step.get(ENDED) == ended for step in self._records.history(workspace, KEPT))

    def _known(self) -> dict[str, str]:
        return self.look_again() if self._states is None else self._states

    def tell(self, line: str) -> None:
        """Let people who wait know."""
        if self._tell is not None:
            self._tell(line)
