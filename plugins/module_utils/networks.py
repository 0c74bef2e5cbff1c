# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's networks of workspaces: one for each owner, so that workspaces of different owners do not meet."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import NOT_FOUND, engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import (
    BRIDGE_OPTION,
    SHARED_NETWORK,
    bridge_name,
    network_name,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_OWNER

if TYPE_CHECKING:
    from docker import DockerClient


# Locks guard the runs of one state directory, so those of another's know nothing of what is about to be used.
LABEL_STATE_DIR = "codeopen.state-dir"


class Networks:
    """The networks on one engine. Whoever changes them holds the lock of the host's workspaces.

    :param state_dir: where the host's state lies, path.
    """

    def __init__(self, client: DockerClient, state_dir: str) -> None:
        self._api: Any = client.api
        self._state_dir = state_dir

    def ids(self) -> dict[str, str]:
        """The engine's networks, ids by name."""
        with engine_words("Listing networks"):
            return {str(network["Name"]): str(network["Id"]) for network in self._api.networks()}

    def ensure(self, owners: Iterable[str]) -> None:
        """Make the networks of these owners that are missing; an empty owner is that of the shared network.

        :raises EngineError: the engine has no addresses left for one, say.
        """
        there = self.ids()
        for owner in sorted(set(owners)):
            name = network_name(owner)
            if name in there:
                continue
            labels = {LABEL_OWNER: owner, LABEL_STATE_DIR: self._state_dir}
            options = {BRIDGE_OPTION: bridge_name(self._state_dir, owner)}
            try:
                with engine_words(f"Creating network {name}"):
                    self._api.create_network(
                        name, driver="bridge", options=options, labels=labels, check_duplicate=True
                    )
            except EngineError as error:
                if "address pool" in str(error):
                    raise EngineError(
                        f"{error}. The engine gives some 30 networks addresses by itself; "
                        "'default-address-pools' in its configuration gives it more."
                    ) from error
                raise

    def remove_unused(self, but: Iterable[str] = ()) -> None:
        """Remove the networks of owners whose last container is gone; the shared one stays, and those of others.

        :param but: networks that somebody is about to use.
        """
        keep = {SHARED_NETWORK, *but}
        filters = {"label": [LABEL_OWNER, f"{LABEL_STATE_DIR}={self._state_dir}"]}
        with engine_words("Listing networks"):
            names = [network["Name"] for network in self._api.networks(filters=filters)]
            # The listing of networks counts only containers that run.
            used = {
                name
                for row in self._api.containers(all=True)
                for name in (row.get("NetworkSettings") or {}).get("Networks") or {}
            }
        for name in names:
            if name in keep or name in used:
                continue
            try:
                with engine_words(f"Removing network {name}"), suppress(*NOT_FOUND):
                    self._api.remove_network(name)
            except EngineError as error:
                # Somebody came to use it meanwhile.
                if "active endpoints" not in str(error):
                    raise
