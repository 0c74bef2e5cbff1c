# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows about its volumes that the engine cannot keep, since a volume's labels never change: the file
``volumes.json`` in the state directory. Whoever writes it holds the lock of the host's workspaces."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_files import ROOT_HINT, read_text, write_text

if TYPE_CHECKING:
    from docker import DockerClient


def quota_key(volume: str) -> str:
    """By what the limit of a volume alone is known."""
    return f"volume:{volume}"


def workspace_key(workspace: str) -> str:
    """By what the limit of a workspace's volumes together is known."""
    return f"workspace:{workspace}"


class VolumeBook:
    """The book of volumes: for each its ``owner``, its ``size`` (bytes, 0 for no budget), and while it is being made
    ``unfinished``, the volume that it is to be a copy of, or an empty text; and the numbers of projects, see
    disk_quota.py."""

    def __init__(self, state_dir: str) -> None:
        self._path = os.path.join(state_dir, "volumes.json")
        self._content: Optional[dict[str, dict[str, Any]]] = None

    def volumes(self) -> dict[str, dict[str, Any]]:
        """What is known, by name of the volume."""
        return self._read()["volumes"]

    def projects(self) -> dict[str, int]:
        """Numbers of projects by key."""
        return self._read()["projects"]

    def look_again(self) -> None:
        """Forget what was read, which another run may have changed."""
        self._content = None

    def write_volume(self, name: str, entry: dict[str, Any]) -> None:
        """Set what is known about a volume."""
        self.volumes()[name] = entry
        self._write()

    def forget_volume(self, name: str) -> None:
        """Forget a volume."""
        if self.volumes().pop(name, None) is not None:
            self._write()

    def forget_others(self, volumes: Collection[str], purged: Iterable[str] = ()) -> None:
        """Forget volumes that the engine has no longer, lest new ones of their names inherit anything.

        :param volumes: those that it has.
        :param purged: workspaces that were purged.
        """
        gone = {name for name in self.volumes() if name not in volumes}
        keys = {*(quota_key(name) for name in gone), *(workspace_key(name) for name in purged)} & set(self.projects())
        for name in gone:
            del self.volumes()[name]
        for key in keys:
            del self.projects()[key]
        if gone or keys:
            self._write()

    def add_project(self, key: str, number: int) -> None:
        """Give a key its project."""
        self.projects()[key] = number
        self._write()

    def forget_project(self, key: str) -> None:
        """Forget a key's project."""
        if self.projects().pop(key, None) is not None:
            self._write()

    def _read(self) -> dict[str, dict[str, Any]]:
        if self._content is None:
            try:
                found = json.loads(read_text(self._path) or "{}")
                self._content = {key: dict(found.get(key) or {}) for key in ("volumes", "projects")}
            except (ValueError, TypeError, AttributeError) as error:
                raise WorkspacesError(
                    f"{self._path} is not a book of volumes: mend it, or move it away, and budgets have to be set "
                    f"again ({error})."
                ) from error
        return self._content

    def _write(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
        except OSError as error:
            raise WorkspacesError(f"{self._path} cannot be written: {error.strerror}. {ROOT_HINT}") from error
        write_text(self._path, json.dumps(self._read(), indent=1, sort_keys=True) + "\n", 0o600, None)


def forget_purged(client: DockerClient, book: VolumeBook, workspaces: Iterable[str]) -> None:
    """Forget the budgets and projects of volumes that went with their workspaces."""
    with engine_words("Listing volumes"):
        rows = client.api.volumes().get("Volumes") or []
    book.forget_others({str(row["Name"]) for row in rows}, workspaces)
