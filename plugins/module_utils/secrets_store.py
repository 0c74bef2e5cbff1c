# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps about each workspace: its secrets, mounted read-only into it, its ports, and its configuration.

The directory of secrets is mounted, not its files, so that a running workspace sees a new value at once. What the user
gave is in memory, in a directory of its own that is mounted, too, and to which links lead; its password is on disk, or
it could not be started after its host was.

Every file is written beside its place and renamed into it, so that a run killed at any moment leaves the old or the
new one, never a half.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_files import (
    ROOT_HINT,
    TEMPORARY,
    read_text,
    write_link,
    write_text,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import folders_of_host, is_own

WORKSPACE_UID = 1000
PASSWORD_BYTES = 24
# Where the workspace finds what is kept in memory.
MEMORY_PATH = "/run/codeopen/secrets-in-memory"
# Files of this collection's own; what a user gives lies beside them.
OWN_FILES = ("password", "network")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def problems_of_secrets(secrets_by_workspace: Any) -> list[str]:
    """Every mistake in a mapping of workspaces to files to values, in words that hold no value."""
    if not isinstance(secrets_by_workspace, Mapping):
        return [f"secrets: expected a mapping of workspaces, got {type(secrets_by_workspace).__name__}."]
    named = ((f"secrets.{name}", files) for name, files in secrets_by_workspace.items())
    return [text for where, files in named for text in problems_of_files(where, files)]


def problems_of_files(where: str, files: Any) -> Iterable[str]:
    """Every mistake in a mapping of file names to values, in words that hold no value.

    :param where: what the mapping is called.
    """
    if not isinstance(files, Mapping):
        yield f"{where}: expected a mapping of file names to values, got {type(files).__name__}."
        return
    for name, value in files.items():
        if not _FILE_NAME.fullmatch(str(name)) or str(name).endswith(TEMPORARY):
            yield (
                f"{where}: {name!r} is not a secret's file name; expected letters, digits, '_', '.' and '-', "
                f"at most 64, not ending in '{TEMPORARY}'."
            )
        elif name in OWN_FILES:
            yield f"{where}.{name}: this file is the collection's own; choose another name."
        elif not isinstance(value, str) or not value or "\0" in value:
            kind = "an empty text" if value == "" else type(value).__name__
            yield f"{where}.{name}: expected a text, got {kind}; leave the name out to remove the file."


class SecretsStore:
    """The folder ``{state_dir}/workspaces/<name>`` of one workspace.

    Reading needs no folder; the first write makes it.

    :param memory: the folder in memory of all workspaces; empty where that is not asked for.
    :param check: called before anything is changed; what it raises keeps it from that.
    """

    def __init__(
        self, state_dir: str, workspace: str, memory: str = "", check: Callable[[], None] = lambda: None
    ) -> None:
        self._check = check
        self._state_dir = state_dir
        self._workspace = workspace
        self.path = os.path.join(state_dir, "workspaces", workspace)
        self.secrets_dir = os.path.join(self.path, "secrets")
        self.memory_dir = os.path.join(memory, workspace) if memory else ""
        self.password_file = os.path.join(self.secrets_dir, "password")
        self._network_file = os.path.join(self.secrets_dir, "network")
        # Outside of what is mounted: what it was before the update that goes on.
        self._network_before_file = os.path.join(self.path, "network.before")
        self._ports_file = os.path.join(self.path, "ports.json")
        self._asked_file = os.path.join(self.path, "asked.json")

    @property
    def exists(self) -> bool:
        """Whether anything is kept, on disk or in memory."""
        return any(os.path.isdir(path) for path in self._folders())

    def password(self) -> Optional[str]:
        """The password, or None before there is one."""
        text = read_text(self.password_file)
        return text.strip() if text else None

    def ensure_password(self, password: str = "") -> bool:
        """Make a password where there is none; whether one was made.

        :param password: the one to keep; without it one is made up.
        """
        if self.password():
            return False
        self._write_secret(self.password_file, (password or secrets.token_urlsafe(PASSWORD_BYTES)) + "\n")
        return True

    def user_secrets(self) -> dict[str, str]:
        """What the user gave, by file name."""
        names = sorted(os.listdir(self.secrets_dir)) if os.path.isdir(self.secrets_dir) else []
        found = {name: read_text(self._place(name)) for name in names if name not in OWN_FILES}
        return {name: text for name, text in found.items() if text is not None and not name.endswith(TEMPORARY)}

    def misplaced(self, files: Mapping[str, str]) -> list[str]:
        """The names of files that are on disk and should be in memory, or the other way round, or in both."""
        there = {name: os.path.join(self.secrets_dir, name) for name in files}
        left = {name for folder in self._left_in_memory() for name in os.listdir(folder)}
        return sorted(
            name
            for name, path in there.items()
            if name in left or (os.path.lexists(path) and os.path.islink(path) != bool(self.memory_dir))
        )

    def write_user_secrets(self, files: Mapping[str, str]) -> None:
        """Set what the user gave: each file is replaced as a whole, and those without a value are removed.

        :param files: values by file name, without mistakes.
        """
        found = self.user_secrets()
        names = os.listdir(self.secrets_dir) if os.path.isdir(self.secrets_dir) else []
        for name in sorted(set(names) - set(files) - set(OWN_FILES)):
            self._remove(name)
        misplaced = self.misplaced(files)
        for name, text in files.items():
            if found.get(name) == text and name not in misplaced:
                continue
            path = os.path.join(self.secrets_dir, name)
            if self.memory_dir:
                self._write_secret(os.path.join(self.memory_dir, name), text)
                write_link(path, f"{MEMORY_PATH}/{name}")
            else:
                self._write_secret(path, text)
        # The folder itself stays: a container that was made when secrets were in memory has it mounted.
        for folder in self._left_in_memory():
            for name in os.listdir(folder):
                self._check()
                os.unlink(os.path.join(folder, name))

    def network(self) -> str:
        """The network file's text; empty where there is none."""
        return read_text(self._network_file) or ""

    def write_network(self, text: str) -> None:
        """Set the network file; an empty text removes it."""
        if text == self.network():
            return
        if text:
            self._write_secret(self._network_file, text)
        else:
            self._check()
            os.unlink(self._network_file)

    def keep_network(self) -> None:
        """Keep the network file as it is now, for :meth:`restore_network`, also by a later run."""
        self._ensure_directories()
        write_text(self._network_before_file, self.network(), 0o600, None)

    def restore_network(self) -> None:
        """Make the network file what it was when it was kept; nothing where it was not."""
        text = read_text(self._network_before_file)
        if text is not None:
            self.write_network(text)
            self.forget_network()

    def forget_network(self) -> None:
        """Keep the former network file no longer."""
        if os.path.exists(self._network_before_file):
            self._check()
            os.unlink(self._network_before_file)

    def ports(self) -> dict[str, int]:
        """Host ports by port name, as last given."""
        text = read_text(self._ports_file)
        if not text:
            return {}
        try:
            return {str(name): int(port) for name, port in json.loads(text).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise WorkspacesError(
                f"{self._ports_file} is not a JSON object of port numbers: mend or remove it ({error})."
            ) from error

    def write_ports(self, ports: dict[str, int]) -> None:
        """Record host ports by port name."""
        if ports != self.ports():
            self._ensure_directories()
            write_text(self._ports_file, json.dumps(ports, sort_keys=True) + "\n", 0o600, None)

    def asked(self) -> dict[str, Any]:
        """The configuration that was last asked for and is in force, for people to compare; empty before the first."""
        try:
            value = json.loads(read_text(self._asked_file) or "{}")
        except ValueError:
            # Nothing depends on it: the next run that changes anything writes it anew.
            return {}
        return value if isinstance(value, dict) else {}

    def write_asked(self, configuration: Mapping[str, Any]) -> None:
        """Record the configuration that is in force."""
        if configuration != self.asked():
            self._ensure_directories()
            write_text(self._asked_file, json.dumps(configuration, sort_keys=True) + "\n", 0o600, None)

    def purge(self) -> None:
        """Remove all of it."""
        self._check()
        try:
            for path in self._folders():
                if os.path.isdir(path):
                    shutil.rmtree(path)
        except OSError as error:
            raise WorkspacesError(f"{path} cannot be removed: {error.strerror}.") from error

    def _folders(self) -> list[str]:
        return [path for path in (self.path, self.memory_dir, *self._left_in_memory()) if path]

    def _left_in_memory(self) -> list[str]:
        """Its folders in memory from runs that had secrets there; this one has them on disk, or at another place."""
        folders = [os.path.join(folder, self._workspace) for folder in folders_of_host(self._state_dir)]
        return [path for path in folders if path != self.memory_dir and os.path.isdir(path)]

    def _place(self, name: str) -> str:
        """Where the value of a secret is."""
        path = os.path.join(self.secrets_dir, name)
        if not os.path.islink(path):
            return path
        folders = [folder for folder in (self.memory_dir, *self._left_in_memory()) if folder]
        places = [os.path.join(folder, name) for folder in folders]
        return next((place for place in places if os.path.exists(place)), places[0] if places else path)

    def _remove(self, name: str) -> None:
        self._check()
        value, path = self._place(name), os.path.join(self.secrets_dir, name)
        if value != path and os.path.exists(value):
            os.unlink(value)
        os.unlink(path)

    def _write_secret(self, path: str, text: str) -> None:
        self._ensure_directories()
        write_text(path, text, 0o400, WORKSPACE_UID)

    def _ensure_directories(self) -> None:
        self._check()
        try:
            for path in (self._state_dir, os.path.dirname(self.path)):
                os.makedirs(path, mode=0o755, exist_ok=True)
            _directory(self.path, 0o700, None)
            _directory(self.secrets_dir, 0o500, WORKSPACE_UID)
            if self.memory_dir:
                _own_directory(os.path.dirname(self.memory_dir))
                _directory(self.memory_dir, 0o500, WORKSPACE_UID)
        except OSError as error:
            raise WorkspacesError(
                f"{error.filename or self.path} cannot be made: {error.strerror}. {ROOT_HINT}"
            ) from error


def _own_directory(path: str) -> None:
    """Make a directory where anybody may make one, and see that nobody did.

    :raises WorkspacesError: it is somebody else's.
    """
    os.makedirs(path, mode=0o755, exist_ok=True)
    if not is_own(os.lstat(path)):
        raise WorkspacesError(
            f"{path} is not this user's own directory, or others may write there: look who made it, and remove it."
        )


def _directory(path: str, mode: int, uid: Optional[int]) -> None:
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.stat(path)
    if uid is not None and (found.st_uid, found.st_gid) != (uid, uid):
        os.chown(path, uid, uid)
    if found.st_mode & 0o7777 != mode:
        os.chmod(path, mode)
