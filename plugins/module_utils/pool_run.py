# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of a host's pools, as workspaces that a run brings to their states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import LABEL_VOLUME
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_book import PoolBook
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_names import LONGEST_POOL

if TYPE_CHECKING:
    from docker import DockerClient


def pool_entries(client: DockerClient, state_dir: str, pools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The unclaimed members that pools of the plan are to have, as workspaces of the plan.

    :raises PlanError: a pool cannot be had.
    """
    if not pools:
        return []
    problems = list(_problems(pools))
    if problems:
        raise PlanError(problems)
    with engine_words("Listing containers"):
        rows: list[Mapping[str, Any]] = client.api.containers(all=True, filters={"label": LABEL_WORKSPACE})
    with engine_words("Listing volumes"):
        rows += client.api.volumes(filters={"label": [LABEL_WORKSPACE, LABEL_VOLUME]}).get("Volumes") or []
    names = {str((row.get("Labels") or {})[LABEL_WORKSPACE]) for row in rows}
    return PoolBook(state_dir).entries(pools, names)


def _problems(pools: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    seen = set()
    for pool in pools:
        name = str(pool["name"])
        if name in seen:
            yield f"Pool '{name}' is in the list more than once."
        seen.add(name)
        if int(pool["size"]) < 0:
            yield f"Pool '{name}': size is {pool['size']}: expected 0 or more."
        if not name or len(name) > LONGEST_POOL:
            yield f"Pool {name!r}: expected a name of at most {LONGEST_POOL} characters."
