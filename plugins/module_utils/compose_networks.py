# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a Compose project: one for each owner, as the module has them, and yet not the same ones. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import BRIDGES
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_OWNER

# As in networks.py, which needs an engine.
BRIDGE_OPTION = "com.docker.network.bridge.name"
_DIGITS = 9


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
        and re.fullmatch(rf"{BRIDGES}[0-9a-f]{{{_DIGITS}}}", str(driver_opts[BRIDGE_OPTION])) is not None
    )


def _bridge(project: str, state_dir: str, key: str) -> str:
    """The host's interface for a network, which rules of the host's filter know by how its name begins.

    Two networks cannot have one, so it is of the name that the engine has for this one. That has an underscore, which
    no network of the module's has, and no key of ours: so neither those nor another project's are ever called alike.
    """
    name = f"{state_dir.rstrip('/')} {project}_{key}"
    return f"{BRIDGES}{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"
