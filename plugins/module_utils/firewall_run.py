# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the module published_ports: check the list, compare, change the filter, and keep it for the next start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_file as files
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import (
    Admission,
    admissions,
    check_interfaces,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_boot import (
    DROP_IN,
    DROP_IN_MODE,
    SCRIPT,
    SCRIPT_MODE,
    boot_script,
    drop_in_path,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_iptables import (
    Filter,
    host_has_ipv6,
    outward_interfaces,
    userland_proxy_runs,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import (
    INTERFACES,
    USER_CHAIN,
    Rule,
    Table,
    read,
    rules,
    script,
    wanted,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR


@dataclass(frozen=True)
class Wishes:
    """What a person asks for; the fields are the module's options."""

    allow: Sequence[Mapping[str, Any]]
    state: str = "present"
    interfaces: Sequence[str] = INTERFACES
    service: str = "docker"
    state_dir: str = DEFAULT_STATE_DIR
    lock_timeout: float = 300


@dataclass
class Outcome:
    """What was found and done."""

    changed: bool = False
    versions: list[int] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)


def run(wishes: Wishes, check_mode: bool) -> Outcome:
    """Bring the host's filter, and what loads it at the next start, to what is wished.

    :param check_mode: only tell what would change.
    :raises WorkspacesError: mistakes in the list, found before anything is touched, or what the filter refused.
    """
    admitted = admissions(wishes.allow)
    present = wishes.state == "present"
    check_interfaces(wishes.interfaces, outward_interfaces() if present else ())
    # Check mode leaves nothing behind, not even the file of the lock.
    lock = host_lock(f"{wishes.state_dir}/locks/published-ports.lock", "published_ports", wishes.lock_timeout)
    with nullcontext() if check_mode else lock:
        return _Run(wishes, admitted if present else None, check_mode).run()


class _Run:
    """:param admitted: None where everything of ours is to go."""

    def __init__(self, wishes: Wishes, admitted: Optional[list[Admission]], check_mode: bool) -> None:
        self.wishes = wishes
        self.admitted = admitted
        self.check_mode = check_mode
        self.outcome = Outcome()

    def run(self) -> Outcome:
        tables = self._tables()
        rules_of = {version: self._rules(version) for version in tables}
        changes = [(version, table, wanted(table, rules_of[version])) for version, table in tables.items()]
        changes = [(version, before, after) for version, before, after in changes if before is not after]
        # All of them before the first is made.
        for version, before, after in changes:
            Filter(version).check(script(before, after))
        if self.admitted is None:
            self._keep(drop_in_path(self.wishes.service), None, DROP_IN_MODE)
            self._keep(SCRIPT, None, SCRIPT_MODE)
        for version, before, after in changes:
            self._tell(f"{Filter(version).program} -S", before.text(), after.text())
            if not self.check_mode:
                Filter(version).change(script(before, after))
        if self.admitted is not None:
            kept = {version: entries for version, entries in rules_of.items() if entries is not None}
            self._keep(SCRIPT, boot_script(kept), SCRIPT_MODE)
            if os.path.isdir("/run/systemd/system"):
                self._keep(drop_in_path(self.wishes.service), DROP_IN, DROP_IN_MODE)
            self.outcome.versions = sorted(kept)
            self.outcome.rules = [rule.render() for version in sorted(kept) for rule in kept[version]]
        return self.outcome

    def _rules(self, version: int) -> Optional[list[Rule]]:
        return None if self.admitted is None else rules(self.admitted, self.wishes.interfaces, version)

    def _tables(self) -> dict[int, Table]:
        # Where there is no filter, nothing of ours is in it.
        if self.admitted is None and not Filter(4).installed():
            return {}
        ipv6 = self.admitted is not None and host_has_ipv6(self.wishes.interfaces)
        tables = {4: read(Filter(4).listing())}
        if self.admitted is not None and not tables[4].used:
            raise WorkspacesError(
                f"No forwarded packet comes by the chain {USER_CHAIN}, which the engine makes when it starts: it does "
                "not run, or its configuration has iptables: false or a firewall-backend other than iptables. "
                "Published ports were left as they are."
            )
        try:
            tables[6] = read(Filter(6).listing())
        except WorkspacesError as error:
            if ipv6:
                self.outcome.warnings.append(f"Ports that are reached by IPv6 were left as they are: {error}")
        if ipv6 and userland_proxy_runs():
            self.outcome.warnings.append(
                "The engine's userland proxy lets everybody reach by IPv6 what is published on all addresses, for its "
                "processes are not behind the engine's filter. Set userland-proxy: false in the engine's configuration."
            )
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
