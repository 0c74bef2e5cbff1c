# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the module daemon_config: read, merge, check, write, make the engine take it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_apply as apply_
from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_file as config_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import (
    DaemonConfigError,
    Path,
    changed_paths,
    check_wishes,
    dotted,
    merge,
    remove,
    same,
    without_credentials,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_checks import Finding
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_kinds import KINDS
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import (
    EngineProcess,
    service_commands,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_service import (
    DEFAULT_PATH,
    EngineService,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR


@dataclass(frozen=True)
class Wishes:
    """What a person asks for; the fields are the module's options. None stands for what the engine has."""

    config: Mapping[str, Any]
    absent: Sequence[Path]
    engine: str = "docker"
    path: Optional[str] = None
    list_merge: str = "replace"
    follow: bool = True
    backup: bool = True
    apply: str = "none"
    apply_timeout: float = 30
    service: Optional[str] = None
    address: Optional[str] = None
    state_dir: str = DEFAULT_STATE_DIR
    lock_timeout: float = 300


@dataclass
class Outcome:
    """What was found and done; the fields are the module's return values."""

    path: str
    changed: bool = False
    changed_keys: list[str] = field(default_factory=list)
    applied: str = "none"
    reload_needed: bool = False
    restart_needed: bool = False
    backup_file: str = ""
    warnings: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""


def run(wishes: Wishes, check_mode: bool, folder: str) -> Outcome:
    """Bring the file, and as far as asked the engine, to the wished configuration.

    :param check_mode: only tell what would change.
    :param folder: a directory for temporary files.
    :raises WorkspacesError: with the file or the engine as it was before.
    """
    kind = KINDS[wishes.engine]
    check_wishes(wishes.config, wishes.absent, kind.format.unfit)
    address = wishes.address or kind.address
    if wishes.apply != "none" and kind.daemon.program and not address.startswith("unix://"):
        raise WorkspacesError(
            f"apply is {wishes.apply}, and address is {address}; "
            "only an engine at a unix:// address is reloaded or restarted here."
        )
    # Check mode leaves nothing behind, not even the file of the lock.
    owner = f"daemon_config {wishes.path or kind.path}"
    lock = host_lock(f"{wishes.state_dir}/locks/daemon-config.lock", owner, wishes.lock_timeout)
    with nullcontext() if check_mode else lock:
        return _Run(wishes, check_mode, folder).run()


class _Run:
    def __init__(self, wishes: Wishes, check_mode: bool, folder: str) -> None:
        self.wishes = wishes
        self.kind = KINDS[wishes.engine]
        self.check_mode = check_mode
        self.folder = folder
        self.path = config_file.resolve(wishes.path or self.kind.path, wishes.follow)
        self.service = wishes.service or self.kind.service
        self.state = config_file.read(self.path)
        self.before = self._values(self.state.text)
        merged = merge(self.before, wishes.config, wishes.list_merge)
        self.after = remove(merged, wishes.absent)
        self.outcome = Outcome(path=self.path)

    def run(self) -> Outcome:
        wishes, outcome = self.wishes, self.outcome
        engine = EngineService(self.kind.daemon, self.path, self.service, wishes.address or self.kind.address)
        process = engine.process()
        text = self._text()
        differs = text != (self.state.text or "")
        paths = changed_paths(self.before, self.after)
        self._check(paths, process, text if differs else None)

        record = apply_.Record(wishes.state_dir, self.path)
        pending = record.load(process)
        if pending is None and process is not None and differs:
            pending = apply_.Pending(self.state, process.pid, process.started, engine.recipe(process))
        running_with = self._values(pending.previous.text) if pending else {}
        waiting = changed_paths(running_with, self.after) if pending else []
        action = "none" if pending is None else self.kind.action_for(running_with, self.after, waiting)
        if pending is not None and pending.applying:
            # A restart was begun and cut off: whether the engine runs, and with what, is unknown.
            action = "restart"
        outcome.changed_keys = [dotted(path) for path in paths]
        outcome.changed = differs
        outcome.before = without_credentials(self.state.text or "")
        outcome.after = without_credentials(text)
        outcome.reload_needed = action == "reload"
        outcome.restart_needed = action == "restart"
        if not self.check_mode:
            self._write(record, pending if action != "none" else None, text, differs)
        doing = self._doing(action)
        if doing != "none" and pending is not None:
            outcome.changed = True
            outcome.applied = doing
            if not self.check_mode and doing == "restart":
                apply_.restart(engine, record, pending, waiting, self.after, wishes.apply_timeout)
            elif not self.check_mode:
                apply_.reload(engine, record, pending, waiting, self.after)
            outcome.reload_needed = outcome.restart_needed = False
        return outcome

    def _values(self, text: Optional[str]) -> dict[str, Any]:
        return {} if text is None else self.kind.format.parse(text, self.path)

    def _text(self) -> str:
        if same(self.before, self.after):
            return self.state.text or ""
        return self.kind.format.rewrite(self.state.text or "", self.after, self.path)

    def _doing(self, action: str) -> str:
        if action == "none" or self.wishes.apply == "none":
            return "none"
        if self.wishes.apply == "restart":
            return "restart"
        if action == "restart" and self.wishes.apply == "reload":
            return "none"
        return action

    def _write(self, record: apply_.Record, pending: Optional[apply_.Pending], text: str, differs: bool) -> None:
        # First what the engine runs with, then the file: a kill in between leaves nothing to be done.
        if pending is None:
            record.clear()
        else:
            record.save(pending)
        if differs:
            if self.wishes.backup and self.state.text is not None:
                self.outcome.backup_file = config_file.back_up(self.state)
            config_file.write(self.state, text)

    def _check(self, paths: Sequence[Path], process: Optional[EngineProcess], text: Optional[str]) -> None:
        program_path = process.environment.get("PATH", DEFAULT_PATH) if process else DEFAULT_PATH
        findings = self.kind.check(self.after, lambda name: shutil.which(name, path=program_path))
        findings += self._collisions(process)
        ours = {path for path in paths if _present(self.after, path)}
        problems = [finding.text for finding in findings if _about(finding.path, ours)]
        # What others wrote is theirs to mend, and the engine may live with it.
        self.outcome.warnings += [
            f"{self.path}: {finding.text}" for finding in findings if not _about(finding.path, ours)
        ]
        hints = [finding.text for finding in self.kind.unknown_keys(self.after) if _about(finding.path, ours)]
        if text is not None:
            refused, warning = self.kind.validate(text, self.path, self.folder)
            if refused:
                culprit = apply_.blame(paths, self.after, refused)
                hint = "".join(f" ({hint})" for hint in hints)
                problems.append(f"{self.kind.checker} refuses it ({culprit}): {refused}{hint}")
                hints = []
            if warning:
                self.outcome.warnings.append(warning)
        self.outcome.warnings += [f"{self.path}: {hint}" for hint in hints]
        if problems:
            raise DaemonConfigError(
                [without_credentials(f"{self.path} was left as it is: {text}") for text in problems]
            )

    def _collisions(self, process: Optional[EngineProcess]) -> list[Finding]:
        commands = [(f"the running engine's command line (process {process.pid})", process.argv)] if process else []
        if self.path == os.path.realpath(self.kind.daemon.config_file_of([])):
            commands += service_commands(self.service)
        found: dict[str, str] = {}
        for source, argv in commands:
            for key, flag in self.kind.collisions(self.after, argv).items():
                found.setdefault(key, f"{key} collides with {flag.partition('=')[0]} in {source}; set it in one place")
        return [Finding(tuple(key.split(".")), text) for key, text in found.items()]


def _present(config: Any, path: Path) -> bool:
    for part in path:
        if not isinstance(config, Mapping) or part not in config:
            return False
        config = config[part]
    return True


def _about(path: Path, ours: set[Path]) -> bool:
    return any(path[: len(mine)] == mine or mine[: len(path)] == path for mine in ours)
