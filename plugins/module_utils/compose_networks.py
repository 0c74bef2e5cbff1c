# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a Compose project: one for each owner, as the module has them, and yet not the same ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import (
    BRIDGE_OPTION,
    bridge_of,
    is_bridge,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_OWNER


def network_key(owner: str) -> str:
    """An owner's network in the file."""
    return f"owner-{owner}" if owner else "workspaces"


def networks_of(owners: Iterable[str], project: str, state_dir: str) -> dict[str, Any]:
    """The networks of these owners, which are Compose's own: it refuses to use one that it did not make."""
    return {
        network_key(owner): {
            "driver": "bridge",
            "driver_opts": {BRIDGE_OPTION: _bridge(project, state_dir, network_key(owner))},
            "labels": {LABEL_OWNER: owner},
        }
        for owner in sorted(set(owners))
    }


def is_our_bridge(driver_opts: Any) -> bool:
    """Whether a network's options say no more than what every network of workspaces has."""
    return (
        isinstance(driver_opts, Mapping)
        and list(driver_opts) == [BRIDGE_OPTION]
        and is_bridge(str(driver_opts[BRIDGE_OPTION]))
    )


def _bridge(project: str, state_dir: str, key: str) -> str:
    """The host's interface for a network.

    Two networks cannot have one, so it is of the name that the engine has for this one. That has an underscore, which
    no network of the module's has, and no key of ours: so neither those nor another project's are ever called alike.
    """
    return bridge_of(state_dir.rstrip("/"), f"{project}_{key}")
