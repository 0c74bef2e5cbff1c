# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose volumes are: their own owner's, or that of the workspace to which they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import Volume, owner_of


def owners_of(
    volumes: Iterable[Volume],
    book: Mapping[str, Mapping[str, Any]],
    state_dir: str,
    workspaces: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Optional[str]]:
    """Whose each volume is, by its name: empty for nobody, None where it belongs to a workspace of unknown owner.

    :param book: what the book has, by name of the volume.
    :param workspaces: those that are asked for now; others have the owner that they were last asked with.
    """
    wished = {
        str(entry["name"]): str(entry.get("owner") or "") for entry in workspaces if entry.get("state") != "absent"
    }
    return {volume.name: _owner(volume, book.get(volume.name, {}), state_dir, wished) for volume in volumes}


def _owner(volume: Volume, known: Mapping[str, Any], state_dir: str, wished: Mapping[str, str]) -> Optional[str]:
    owner = owner_of(volume, known)
    if owner or not volume.workspace:
        return owner
    if volume.workspace in wished:
        return wished[volume.workspace]
    asked = SecretsStore(state_dir, volume.workspace).asked()
    return str(asked["owner"] or "") if "owner" in asked else None
