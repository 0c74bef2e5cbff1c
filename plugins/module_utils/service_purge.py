# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the volumes of a workspace of a Swarm, which only the engine of their node can."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError, RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_item import ServiceItem
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import follow
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Swarm, SwarmState

_POLL = 0.5
_PATIENCE = 30.0


class VolumePurge:
    """The volumes of one workspace.

    :param engines: addresses of nodes' engines, by the node's name.
    :param own: the engine of this run.
    """

    def __init__(
        self, item: ServiceItem, state: SwarmState, engines: Mapping[str, str], own: Swarm, stop: threading.Event
    ) -> None:
        self._item = item
        self._state = state
        self._engines = engines
        self._own = own
        self._stop = stop

    def run(self) -> None:
        """Remove them.

        :raises RolloutError: their node cannot be asked; nothing is forgotten then.
        """
        node_id = self._item.record.node
        node = follow(node_id, self._state.nodes)
        by_hand = f"'docker volume rm $(docker volume ls -q -f label=codeopen.workspace={self._item.name})'"
        if node is None:
            self._item.notes.append(f"Its node {node_id} is gone from the Swarm; if it comes back: {by_hand} there.")
            return
        if node.id == self._state.own_node:
            self._drop_volumes(self._own)
            return
        address = self._engines.get(node.name)
        if not address:
            raise RolloutError(
                f"its volumes are on {node.name}, whose engine this run has no address of: name it in engines, or "
                f"{by_hand} there. Until then the Swarm remembers where they are."
            )
        try:
            client = connect(address)
        except EngineError as error:
            raise RolloutError(
                f"its volumes are on {node.name}, which is not reached: {error} Until then the Swarm remembers them."
            ) from error
        try:
            self._drop_volumes(Swarm(client))
        finally:
            client.close()

    def _drop_volumes(self, there: Swarm) -> None:
        """Remove them as soon as its containers, which stopped, are gone."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                there.remove_volumes(self._item.name)
                return
            except EngineError as error:
                if "in use" not in str(error) or time.monotonic() > end or self._stop.wait(_POLL):
                    raise
