# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of networks and of the host's interfaces that stand for them. Pure."""

from __future__ import annotations

import hashlib
import re

SHARED_NETWORK = "codeopen-workspaces"
# How the bridges of our networks begin. Those that the engine names are "br-" and hex digits.
BRIDGES = "br-co-"
_DIGITS = 9
# The engine's option of a network for it.
BRIDGE_OPTION = "com.docker.network.bridge.name"


def network_name(owner: str) -> str:
    """The engine's network of an owner's workspaces."""
    return f"codeopen-owner-{owner}" if owner else SHARED_NETWORK


def bridge_name(state_dir: str, owner: str) -> str:
    """The host's interface for an owner's network."""
    return bridge_of(state_dir, network_name(owner))


def bridge_of(state_dir: str, network: str) -> str:
    """The host's interface for a network, within the 15 letters of the kernel.

    It is known before the network is made, and stays when that is made anew, so rules of the host's filter can name
    it. Engines that share a host's interfaces have state directories of their own.
    """
    return f"{BRIDGES}{hashlib.sha256(f'{state_dir} {network}'.encode()).hexdigest()[:_DIGITS]}"


def is_bridge(name: str) -> bool:
    """Whether an interface is called as those of our networks."""
    return re.fullmatch(rf"{BRIDGES}[0-9a-f]{{{_DIGITS}}}", name) is not None
