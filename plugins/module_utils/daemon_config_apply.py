# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the running engine take a changed file, and putting the old one back where it does not come up with it.

What the engine last ran with is recorded before the file changes. So a run that was killed between the change and
the restart is finished by the next one, and several changes need one restart.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_file as config_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import Path, dotted
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_file import FileState
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import EngineProcess
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_service import (
    EngineRecipe,
    EngineService,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError, WorkspacesError

_POLL_SECONDS = 0.2
_RELOAD_SECONDS = 10


@dataclass(frozen=True)
class Pending:
    """A change that the engine has not taken yet.

    :param previous: the file as the engine last read it.
    :param pid: the engine's process at the time of the change.
    :param started: the start time of that process.
    :param recipe: how it was run.
    :param applying: a restart was begun.
    """

    previous: FileState
    pid: int
    started: int
    recipe: EngineRecipe
    applying: bool = False


class Record:
    """The file that remembers a pending change, readable by root alone, for proxies may carry passwords.

    :param state_dir: the collection's state directory on the host.
    :param path: the configuration file.
    """

    def __init__(self, state_dir: str, path: str) -> None:
        name = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self.folder = os.path.join(state_dir, "daemon-config")
        self.file = os.path.join(self.folder, f"{name}.json")

    def load(self, process: Optional[EngineProcess]) -> Optional[Pending]:
        """The pending change, or None. An engine that was started since has taken it."""
        try:
            with open(self.file, encoding="utf-8") as file:
                value = json.load(file)
            pending = Pending(
                previous=FileState(**value.pop("previous")), recipe=EngineRecipe(**value.pop("recipe")), **value
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise WorkspacesError(
                f"{self.file} cannot be read: {error}. Restart the engine, then delete that file."
            ) from error
        same = process is not None and (process.pid, process.started) == (pending.pid, pending.started)
        return pending if same or pending.applying else None

    def save(self, pending: Pending) -> None:
        """Remember ``pending``."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        state = FileState(self.file, None, 0o600, os.geteuid(), os.getegid())
        config_file.write(state, json.dumps(asdict(pending)))

    def clear(self) -> None:
        """Forget it."""
        if os.path.exists(self.file):
            config_file.delete(self.file)


def restart(
    engine: EngineService,
    record: Record,
    pending: Pending,
    changed: Sequence[Path],
    after: Mapping[str, Any],
    timeout: float,
) -> None:
    """Restart the engine with its new file.

    :param changed: the keys that differ from what the engine ran with.
    :param after: the new configuration.
    :param timeout: seconds that the engine has to come up.
    :raises EngineError: it did not come up; the old file is in place and the engine runs with it again.
    """
    pending = Pending(pending.previous, pending.pid, pending.started, pending.recipe, applying=True)
    record.save(pending)
    said = engine.restart(pending.recipe, timeout)
    if not said:
        record.clear()
        return
    rejected = put_back(pending.previous)
    again = engine.restart(pending.recipe, timeout)
    if again:
        raise EngineError(
            f"The engine does not come up with the new {pending.previous.path} ({blame(changed, after, said)}). "
            f"The old file was put back, but the engine does not come up with it either.\n"
            f"With the new file: {said}\nWith the old file: {again}\nThe new file was kept as {rejected}."
        )
    record.clear()
    raise EngineError(
        f"The engine does not come up with the new {pending.previous.path}: {blame(changed, after, said)}. "
        f"The old file was put back and the engine runs with it again.\nThe engine said: {said}\n"
        f"The new file was kept as {rejected}."
    )


def reload(
    engine: EngineService, record: Record, pending: Pending, changed: Sequence[Path], after: Mapping[str, Any]
) -> None:
    """Make the engine read its new file without a restart, and see in its answers that it did.

    :raises EngineError: it refused; the old file is in place again.
    """
    process = engine.process()
    if process is None:
        raise EngineError(f"The engine that reads {pending.previous.path} is gone; start it and run this again.")
    engine.reload(process)
    keys = {path[0] for path in changed}
    deadline = time.monotonic() + _RELOAD_SECONDS
    missing = not_taken(keys, after, engine.info())
    while missing and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        missing = not_taken(keys, after, engine.info())
    if missing:
        rejected = put_back(pending.previous)
        engine.reload(process)
        record.clear()
        raise EngineError(
            f"The engine read {pending.previous.path} again but did not take {', '.join(missing)}; see its log. "
            f"The old file was put back. The new file was kept as {rejected}."
        )
    record.clear()


def put_back(previous: FileState) -> str:
    """Make ``previous`` the file again; the path of the copy of what was there instead."""
    rejected = config_file.read(previous.path)
    copy = config_file.back_up(rejected) if rejected.text is not None else ""
    if previous.text is None:
        config_file.delete(previous.path)
    else:
        config_file.write(previous, previous.text)
    return copy


def not_taken(keys: set[str], after: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """Those of ``keys`` that the engine's answer shows otherwise than the configuration; most it does not show."""
    shown = {
        "debug": info.get("Debug"),
        "default-runtime": info.get("DefaultRuntime"),
        "labels": sorted(info.get("Labels") or []),
        "live-restore": info.get("LiveRestoreEnabled"),
    }
    wanted = dict(after)
    if isinstance(after.get("labels"), list):
        wanted["labels"] = sorted(after["labels"])
    missing = [key for key in sorted(keys) if key in shown and key in wanted and shown[key] != wanted[key]]
    if "runtimes" in keys and not set(after.get("runtimes") or {}) <= set(info.get("Runtimes") or {}):
        missing.append("runtimes")
    return missing


def blame(changed: Sequence[Path], after: Mapping[str, Any], said: str) -> str:
    """Which of the changed keys the engine's words point to."""
    if len(changed) == 1:
        return f"the changed key is {dotted(changed[0])}"
    named = [path for path in changed if any(_mentions(said, word) for word in _words(path, after))]
    if named:
        return f"it names {_join(named)}"
    return f"the changed keys are {_join(changed)}"


def _words(path: Path, after: Mapping[str, Any]) -> list[str]:
    value: Any = after
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list) else [value]
    flat = [inner for item in values for inner in (item.values() if isinstance(item, Mapping) else [item])]
    # A text of one or two letters stands in any log. Of addresses, the engine leaves the scheme out.
    long_enough = [item.rpartition("://")[2] for item in flat if isinstance(item, str) and len(item) > 2]
    return [path[-1], *long_enough]


def _mentions(said: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", said) is not None


def _join(paths: Sequence[Path]) -> str:
    return ", ".join(dotted(path) for path in paths)
