# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a list of volumes to their states on one engine, and removes orphans where that is asked for.

Whoever runs it holds the lock of the host's workspaces. A volume that is being made is in the book as unfinished, so
that the run after one that was killed makes it anew and takes no half for a whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import disk_quota, volumes
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import NOT_FOUND, engine_words, list_containers
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import VolumeError, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.file_trees import copy_tree, used_bytes
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import WORKSPACE_UID
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook, quota_key
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_orphans import gather, is_orphan
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import Volume, VolumeWish

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True)
class VolumeSettings:
    """How a run goes about it.

    :ivar force: whether files may be copied while they are written.
    :ivar prune: whether orphans are removed.
    :ivar prune_of: the workspaces whose orphans these are; all where it is empty.
    """

    state_dir: str
    check_mode: bool = False
    force: bool = False
    prune: bool = False
    prune_of: Sequence[str] = ()


@dataclass(frozen=True)
class Host:
    """What an engine's volumes and containers were when a run began.

    :ivar workspaces: those that have a container.
    """

    volumes: Mapping[str, Volume]
    workspaces: frozenset[str]


def look(client: DockerClient) -> Host:
    """The volumes of an engine, and who uses them."""
    with engine_words("Listing volumes"):
        rows = client.api.volumes().get("Volumes") or []
    containers = list_containers(client, only_workspaces=False)
    names = {str((row.get("Labels") or {}).get(LABEL_WORKSPACE, "")) for row in containers}
    return Host(volumes.parse_volumes(rows, containers), frozenset(names))


class VolumeRun:
    """A run over a list of volumes."""

    def __init__(self, client: DockerClient, settings: VolumeSettings) -> None:
        self._client = client
        self._api: Any = client.api
        self._settings = settings
        self._book = VolumeBook(settings.state_dir)
        self._quotas = disk_quota.of_host(self._book)
        self._host = look(client)

    def converge(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Bring every volume to its state; each has its own result, with ``error`` where it failed.

        :raises VolumeError: with every mistake; nothing was touched then.
        """
        problems: list[str] = []
        wishes = volumes.parse_wishes(entries, problems)
        if not problems:
            for wish in wishes:
                problems.extend(self._refusals(wish))
        if problems:
            raise VolumeError(problems)
        if not self._settings.check_mode:
            self._book.forget_others(self._host.volumes.keys())
        # A volume that is copied may be one that goes.
        results = {wish.name: self._one(wish) for wish in sorted(wishes, key=lambda wish: wish.absent)}
        return [results[wish.name] for wish in wishes]

    def prune(self, kept: Sequence[str]) -> list[dict[str, Any]]:
        """Remove orphans, if that is asked for.

        :param kept: names of volumes that are never taken for orphans.
        """
        if not self._settings.prune:
            return []
        known = gather(self._client, self._settings.state_dir, self._host.workspaces)
        orphans = [
            volume
            for volume in self._host.volumes.values()
            if is_orphan(volume, known)
            and volume.name not in kept
            and (not self._settings.prune_of or volume.workspace in self._settings.prune_of)
        ]
        return [self._one(VolumeWish(volume.name, absent=True)) for volume in orphans]

    def _known(self, name: str) -> dict[str, Any]:
        return self._book.volumes().get(name, {})

    def _refusals(self, wish: VolumeWish) -> list[str]:
        found, known = self._host.volumes, self._known(wish.name)
        problems = list(volumes.refusals(wish, found, known, self._settings.force))
        if problems or not wish.size:
            return problems
        action = volumes.action_for(wish, found.get(wish.name), known)
        measured = found.get(wish.clone_from if action == volumes.CLONE else wish.name)
        if action in (volumes.CLONE, volumes.SET) and measured is not None and measured.path:
            problems.append(volumes.shrunk(wish, used_bytes(measured.path)))
        return [text for text in problems if text]

    def _one(self, wish: VolumeWish) -> dict[str, Any]:
        volume, known = self._host.volumes.get(wish.name), self._known(wish.name)
        action = volumes.action_for(wish, volume, known)
        before: dict[str, Any] = self._facts(volume, known) if volume is not None else {"state": "absent"}
        after: dict[str, Any] = dict(before) if action != volumes.REMOVE and not wish.absent else {"state": "absent"}
        if not wish.absent:
            after.update(state="present", workspace=volume.workspace if volume else wish.workspace)
            after["owner"] = before.get("owner", "") if wish.owner is None else wish.owner
            after["size"] = before.get("size", 0) if wish.size is None else wish.size
            if action == volumes.NONE and self._unlimited(wish.name, volume, after["size"]):
                action, before["limit"], after["limit"] = volumes.SET, "watched", "enforced"
            if action == volumes.CLONE:
                after["clone_of"] = wish.clone_from
        result: dict[str, Any] = {"name": wish.name, "changed": action != volumes.NONE, "action": action}
        result.update({key: after[key] for key in ("state", "owner", "size", "workspace") if key in after})
        if result["changed"]:
            result["diff"] = {"before": before, "after": after}
        if result["changed"] and not self._settings.check_mode:
            try:
                self._act(action, wish, after, volume)
            except (WorkspacesError, OSError) as error:
                result.update(error=str(error), state="failed")
        return result

    def _facts(self, volume: Volume, known: Mapping[str, Any]) -> dict[str, Any]:
        if "unfinished" in known:
            return {"state": "unfinished"}
        owner, size = volumes.owner_of(volume, known), volumes.size_of(volume, known)
        return {"state": "present", "owner": owner, "size": size, "workspace": volume.workspace}

    def _unlimited(self, name: str, volume: Volume | None, size: int) -> bool:
        if volume is None or not size or not volume.path or self._quotas.unenforced(volume.path):
            return False
        return self._quotas.lacks(quota_key(name), [volume.path], size)

    def _act(self, action: str, wish: VolumeWish, after: Mapping[str, Any], volume: Volume | None) -> None:
        if action == volumes.REMOVE and volume is not None:
            self._remove(wish.name, volume.path)
            return
        if action == volumes.SET and volume is not None:
            self._book.write_volume(wish.name, {"owner": after["owner"], "size": after["size"]})
            self._limit(wish.name, volume.path, after["size"])
            return
        if volumes.has_to_go(wish, volume, self._known(wish.name)):
            self._remove(wish.name, "")
        self._book.write_volume(wish.name, {"unfinished": wish.clone_from})
        try:
            self._make(wish)
        except (WorkspacesError, OSError):
            # What cannot be removed now is unfinished by the book, and the next run removes it.
            self._remove(wish.name, "")
            raise
        self._book.write_volume(wish.name, {"owner": after["owner"], "size": after["size"]})

    def _make(self, wish: VolumeWish) -> None:
        with engine_words(f"Creating volume {wish.name}"):
            made = self._api.create_volume(wish.name, driver="local", labels=wish.all_labels())
        path = str(made["Mountpoint"])
        if not os.path.isdir(path):
            raise WorkspacesError(
                f"{path}, where the engine keeps volume '{wish.name}', is not there or not for this user: "
                "run the task as root ('become: true') on the engine's own host."
            )
        if wish.size:
            self._limit(wish.name, path, wish.size)
        if wish.clone_from:
            copy_tree(self._host.volumes[wish.clone_from].path, path)
        else:
            os.chown(path, WORKSPACE_UID, WORKSPACE_UID)

    def _limit(self, name: str, path: str, size: int) -> None:
        if not path or self._quotas.unenforced(path):
            return
        if size:
            self._quotas.apply(quota_key(name), [path], size)
        else:
            self._quotas.lift(quota_key(name), [path])

    def _remove(self, name: str, path: str) -> None:
        with engine_words(f"Removing volume {name}"), suppress(*NOT_FOUND):
            self._api.remove_volume(name)
        self._quotas.lift(quota_key(name), [path] if path else [])
        self._book.forget_volume(name)
