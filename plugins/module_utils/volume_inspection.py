# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host can tell about its volumes, and about the disk of its workspaces."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import disk_quota
from ansible_collections.codeopen.workspaces.plugins.module_utils.disk_limits import asked_limit
from ansible_collections.codeopen.workspaces.plugins.module_utils.file_trees import used_bytes
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import (
    VolumeBook,
    quota_key,
    workspace_key,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_orphans import gather, is_orphan
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_owners import owners_of
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_run import look
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import Volume, size_of

if TYPE_CHECKING:
    from docker import DockerClient


class VolumeInspector:
    """Looks at the volumes of a host.

    :param measure: whether to count what is in them.
    """

    def __init__(self, client: DockerClient, state_dir: str, measure: bool) -> None:
        self._state_dir = state_dir
        self._measure = measure
        self._book = VolumeBook(state_dir)
        self._quotas = disk_quota.of_host(self._book)
        self._host = look(client)
        self._gone = gather(client, state_dir, self._host.workspaces)

    def volumes(self, names: Collection[str]) -> list[dict[str, Any]]:
        """What is known about these volumes, about all where none is named."""
        found = [volume for volume in self._host.volumes.values() if volume.ours]
        return [
            self._facts(volume)
            for volume in sorted(found, key=lambda volume: volume.name)
            if not names or volume.name in names
        ]

    def workspaces(self, volumes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What the volumes of each workspace have together.

        :param volumes: as ``volumes`` gives them; those of a workspace that are not among them count, too.
        """
        told = []
        for name in sorted({str(volume["workspace"]) for volume in volumes if volume["workspace"]}):
            shared = [volume for volume in self._host.volumes.values() if volume.ours and volume.workspace == name]
            shared = [volume for volume in shared if not self._size(volume)]
            limit = asked_limit(SecretsStore(self._state_dir, name))
            known = {str(volume["name"]): volume for volume in volumes}
            parts = [known[one.name] if one.name in known else self._facts(one) for one in shared]
            used = sum(part.get("used", 0) for part in parts) if self._measure else None
            paths = [volume.path for volume in shared]
            told.append(
                {
                    "name": name,
                    "volumes": sorted(volume.name for volume in shared),
                    **self._limit(workspace_key(name), paths, limit, used),
                    "limit": limit,
                }
            )
        return told

    def _size(self, volume: Volume) -> int:
        return size_of(volume, self._book.volumes().get(volume.name, {}))

    def _facts(self, volume: Volume) -> dict[str, Any]:
        known = self._book.volumes().get(volume.name, {})
        owner = owners_of([volume], self._book.volumes(), self._state_dir)[volume.name]
        size = self._size(volume)
        used = used_bytes(volume.path) if self._measure and os.path.isdir(volume.path) else None
        return {
            "name": volume.name,
            "workspace": volume.workspace,
            "owner": owner or "",
            "labels": volume.user_labels,
            "driver": volume.driver,
            "path": volume.path,
            "created": volume.created,
            "unfinished": "unfinished" in known,
            "used_by": [
                {"container": use.container, "state": use.state, "writes": use.writes} for use in volume.used_by
            ],
            "orphan": is_orphan(volume, self._gone),
            "size": size,
            **self._limit(quota_key(volume.name), [volume.path], size, used),
        }

    def _limit(self, key: str, paths: Sequence[str], limit: int, used: Optional[int]) -> dict[str, Any]:
        """How far a limit is used up, and who sees to it."""
        reason = ""
        if limit:
            reasons = [self._quotas.unenforced(path) if path else "its files are not on this host" for path in paths]
            reason = next((text for text in reasons if text), "")
            if not reason and self._quotas.lacks(key, paths, limit):
                reason = "the limit is not set yet; the next run sets it"
            elif not reason and paths:
                used = self._quotas.usage(key, paths[0]).used
        told: dict[str, Any] = {
            "over": bool(limit and used is not None and used > limit),
            "enforced": bool(limit and paths and not reason),
            "watched_because": reason,
        }
        if used is not None:
            told["used"] = used
        return told
