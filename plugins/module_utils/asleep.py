# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workspaces sleep: the idle policy stopped them, and they are started again when somebody asks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import Item
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle_records import IdleRecords
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown

if TYPE_CHECKING:
    from docker import DockerClient


def problems_of_wake(wake: Iterable[str], workspaces: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names to wake that the list does not have."""
    names = {str(entry.get("name")) for entry in workspaces}
    return [f"wake: {unknown('workspace', name, names)}." for name in wake if name not in names]


class Sleepers:
    """The sleeping workspaces of a host.

    :param wake: names of those that are asked for now.
    """

    def __init__(self, client: DockerClient, state_dir: str, wake: Collection[str]) -> None:
        self._api: Any = client.api
        self._records = IdleRecords(state_dir)
        self._wake = wake
        self._marked: dict[str, tuple[str, str]] = {}

    def mark(self, items: Iterable[Item]) -> None:
        """Note which of these stay asleep."""
        self._marked = self._records.asleep()
        for item in items:
            # Who asks for another state, or takes the policy from a workspace, asks for the workspace.
            left_alone = item.state == "started" and item.entry.get("idle_minutes") and item.name not in self._wake
            item.asleep = bool(left_alone) and item.name in self._marked and self._sleeps(item.name, item.observed)

    def forget_others(self, items: Iterable[Item]) -> None:
        """See that those that do not stay asleep now do not seem to later, when they were stopped by somebody."""
        self._records.forget(item.name for item in items if item.name in self._marked and not item.asleep)

    def _sleeps(self, workspace: str, observed: Observed) -> bool:
        container = observed.current
        container_id, started = self._marked[workspace]
        if observed.previous is not None or container is None or container.id != container_id:
            return False
        if container.state != "exited":
            return False
        with engine_words(f"Looking at {container.name}"):
            state = self._api.inspect_container(container.id)["State"]
        return str(state["StartedAt"]) == started
