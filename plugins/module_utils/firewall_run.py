# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a module that keeps rules in the engine's filter: compare, change, and keep them for the next start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_file as files
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_boot import (
    DROP_IN_MODE,
    SCRIPT_MODE,
    boot_script,
    drop_in,
    drop_in_path,
    script_path,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_iptables import (
    Filter,
    NoFilter,
    host_has_ipv6,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import (
    USER_CHAIN,
    Guard,
    Rule,
    Table,
    read,
    script,
    wanted,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR

# One lock for all guards, which share the engine's chain.
_LOCK = "locks/published-ports.lock"

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "service": {"type": "str", "default": "docker"},
    "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
    "lock_timeout": {"type": "float", "default": 300},
}


@dataclass(frozen=True)
class Place:
    """Where the rules are kept; the fields are options of the modules.

    :ivar interfaces: the engine's bridges; a ``+`` at the end stands for any ending.
    :ivar service: name of the engine's service.
    :ivar lock_timeout: seconds.
    """

    interfaces: Sequence[str]
    service: str
    state_dir: str
    lock_timeout: float


@dataclass
class Outcome:
    """What was found and done."""

    changed: bool = False
    versions: list[int] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)


def run(guard: Guard, entries: Optional[Mapping[int, Sequence[Rule]]], place: Place, check_mode: bool) -> Outcome:
    """Bring a chain of ours, and what loads it at the host's next start, to what is wished.

    :param entries: the chain's rules by version of the internet protocol; None where everything of it is to go.
    :param check_mode: only tell what would change.
    :raises NoFilter: the engine does not filter here.
    :raises WorkspacesError: the filter refused a change, or the lock was not to be had.
    """
    # Check mode leaves nothing behind, not even the file of the lock.
    lock = host_lock(f"{place.state_dir}/{_LOCK}", guard.module, place.lock_timeout)
    with nullcontext() if check_mode else lock:
        return _Run(guard, entries, place, check_mode).run()


class _Run:
    def __init__(
        self, guard: Guard, entries: Optional[Mapping[int, Sequence[Rule]]], place: Place, check_mode: bool
    ) -> None:
        self.guard = guard
        self.entries = entries
        self.place = place
        self.check_mode = check_mode
        self.outcome = Outcome()

    def run(self) -> Outcome:
        guard = self.guard
        tables = self._tables()
        kept = {version: self.entries[version] for version in tables} if self.entries is not None else {}
        changes = [(version, table, wanted(table, kept.get(version))) for version, table in tables.items()]
        changes = [(version, before, after) for version, before, after in changes if before is not after]
        # All of them before the first is made.
        for version, before, after in changes:
            Filter(version).check(script(before, after))
        if self.entries is None:
            self._keep(drop_in_path(guard, self.place.service), None, DROP_IN_MODE)
            self._keep(script_path(guard), None, SCRIPT_MODE)
        for version, before, after in changes:
            self._tell(f"{Filter(version).program} -S", before.text(), after.text())
            if not self.check_mode:
                Filter(version).change(script(before, after))
        if self.entries is not None:
            self._keep(script_path(guard), boot_script(guard, kept), SCRIPT_MODE)
            if os.path.isdir("/run/systemd/system"):
                self._keep(drop_in_path(guard, self.place.service), drop_in(guard), DROP_IN_MODE)
            self.outcome.versions = sorted(kept)
            self.outcome.rules = [rule.render(guard.chain) for version in sorted(kept) for rule in kept[version]]
        return self.outcome

    def _tables(self) -> dict[int, Table]:
        # Where there is no filter, nothing of ours is in it.
        if self.entries is None and not Filter(4).installed():
            return {}
        tables = {4: read(Filter(4).listing(), self.guard)}
        if self.entries is not None and not tables[4].used:
            raise NoFilter(
                f"No forwarded packet comes by the chain {USER_CHAIN}, which the engine makes when it starts: it does "
                "not run, or its configuration has iptables: false or a firewall-backend other than iptables. "
                f"Nothing keeps {self.guard.keeps}; all was left as it is. Where that is as it should be, give the "
                f"role engine {self.guard.without}."
            )
        try:
            tables[6] = read(Filter(6).listing(), self.guard)
        except WorkspacesError as error:
            if self.entries is not None and host_has_ipv6(self.place.interfaces):
                self.outcome.warnings.append(f"By IPv6, nothing keeps {self.guard.keeps}: {error}")
        return tables

    def _keep(self, path: str, text: Optional[str], mode: int) -> None:
        state = files.read(path)
        if state.text == text and (text is None or (state.mode, state.uid) == (mode, 0)):
            return
        before, after = state.text or "", text or ""
        if before == after:
            before, after = f"mode {state.mode:04o}, owner {state.uid}\n", f"mode {mode:04o}, owner 0\n"
        self._tell(path, before, after)
        if self.check_mode:
            return
        if text is None:
            files.delete(path)
        else:
            files.write(files.FileState(path, state.text, mode, 0, 0), text)

    def _tell(self, header: str, before: str, after: str) -> None:
        self.outcome.changed = True
        self.outcome.diff.append({"before_header": header, "after_header": header, "before": before, "after": after})
