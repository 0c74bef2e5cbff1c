# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may say of a pool of workspaces, checked. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import schema
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Catalogue
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_names import LONGEST_POOL, pool_owner
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_request import Request, parse_request

_SIZE = schema.whole(0, 1000)
# What a member has of its own, or gets with its claimant.
_NOT_SHARED = {
    "state": "members of a pool are started; 'size: 0' removes those that nobody claimed",
    "owner": "members of a pool get their owner when they are claimed",
}


def parse_pool(catalogue: Catalogue, value: Any, number: int, problems: list[str]) -> tuple[Request, int] | None:
    """The request that entry ``number`` (from 0) of the list of pools makes for each member, and how many of them
    wait; None where it is past understanding.

    Every mistake is added to ``problems``, beginning with the pool's name.
    """
    description = value
    found: list[str] = []
    name = value.get("name") if isinstance(value, dict) else None
    where = f"pool '{name}': " if isinstance(name, str) and name else f"pools[{number}]: "
    size = 0
    if isinstance(value, dict):
        description = {key: part for key, part in value.items() if key != "size" and key not in _NOT_SHARED}
        found += [f"{where}{key}: {why}" for key, why in _NOT_SHARED.items() if key in value]
        if "size" in value:
            size = _SIZE(value["size"], f"{where}size", found)
        else:
            found.append(f"{where}size: is missing; expected how many unclaimed workspaces wait")
    request = parse_request(catalogue, description, number, found, kind="pool")
    if request is not None:
        if len(request.name) > LONGEST_POOL:
            found.append(f"{where}its name is longer than {LONGEST_POOL} characters, which leaves none for numbers")
        found += [
            f"{where}ports.{port}: host port {wish.host} can be that of one workspace only; leave it out, so that each "
            "member gets a free one"
            for port, wish in request.ports.items()
            if wish.host is not None
        ]
    problems.extend(found)
    if request is None or found:
        return None
    return Request(**{**vars(request), "owner": pool_owner(request.name)}), size
