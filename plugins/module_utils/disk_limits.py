# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk that a workspace's tier gives to its volumes together: enforced where the file system can, else said not to
be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import LABEL_VOLUME
from ansible_collections.codeopen.workspaces.plugins.module_utils.disk_quota import Quotas
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import Item, describe_live, mark_failed
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook, workspace_key
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import parse_volumes, size_of

if TYPE_CHECKING:
    from docker import DockerClient


def asked_limit(store: SecretsStore) -> int:
    """Bytes that a workspace's volumes may use, as last asked for; 0 where that is not known."""
    limit = store.asked().get("disk", 0)
    return limit if isinstance(limit, int) else 0


class DiskLimits:
    """The limits of a run's workspaces. It is asked by one thread only.

    :param data_root: where the engine keeps volumes.
    """

    def __init__(self, client: DockerClient, quotas: Quotas, book: VolumeBook, data_root: str) -> None:
        self._api: Any = client.api
        self._quotas = quotas
        self._book = book
        self._place = f"{data_root}/volumes"
        self._reason = quotas.unenforced(self._place)

    def describe(self, items: list[Item]) -> None:
        """Say who sees to the limit of each workspace, and which are to be set."""
        paths = {} if self._reason else self._paths()
        for item in items:
            limit = int(item.entry.get("disk") or 0)
            if item.state == "absent" or item.failed:
                continue
            if limit:
                item.result["disk"] = {"limit": limit, "enforced": not self._reason, "watched_because": self._reason}
            if self._reason:
                continue
            mine = paths.get(item.name, [])
            key = workspace_key(item.name)
            if not limit:
                describe_live(item, {"disk": self._quotas.limit_of(key, [self._place, *mine])}, {"disk": 0})
            elif mine and self._quotas.lacks(key, mine, limit):
                found = self._quotas.usage(key, self._place).limit
                describe_live(item, {"disk": found or "watched"}, {"disk": limit})

    def apply(self, items: list[Item]) -> None:
        """Set the limits of those that were changed; a workspace whose limit is refused has failed."""
        if self._reason:
            return
        self._book.look_again()
        paths = self._paths()
        for item in items:
            limit, mine = int(item.entry.get("disk") or 0), paths.get(item.name, [])
            if item.failed or item.state == "absent" or not item.result["changed"]:
                continue
            key = workspace_key(item.name)
            try:
                if not limit and self._quotas.limit_of(key, [self._place, *mine]):
                    self._quotas.lift(key, [self._place, *mine])
                elif limit and mine and self._quotas.lacks(key, mine, limit):
                    self._quotas.apply(key, mine, limit)
            except (WorkspacesError, OSError) as error:
                mark_failed(item, error)

    def _paths(self) -> dict[str, list[str]]:
        """Where the volumes of each workspace are that share its limit: those without a budget of their own."""
        with engine_words("Listing volumes"):
            rows = self._api.volumes(filters={"label": [LABEL_WORKSPACE, LABEL_VOLUME]}).get("Volumes") or []
        found: dict[str, list[str]] = {}
        for volume in parse_volumes(rows, []).values():
            if volume.path and not size_of(volume, self._book.volumes().get(volume.name, {})):
                found.setdefault(volume.workspace, []).append(volume.path)
        return found
