# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the directories and volumes that workspaces are to get from their host they may have."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.host_paths import system_place
from ansible_collections.codeopen.workspaces.plugins.module_utils.mounts import is_path, relation
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import WORKSPACE_UID
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import nearest


def host_problems(
    workspaces: Sequence[Mapping[str, Any]], owners: Mapping[str, Optional[str]], forbidden: Iterable[str]
) -> list[str]:
    """What stands against the mounts on this host.

    :param workspaces: without mistakes of their own.
    :param owners: the owner of each volume that there is; empty for nobody, None for one that is not known.
    :param forbidden: places of this host that no workspace gets, such as the engine's data.
    """
    further = list(forbidden)
    problems = []
    for entry in workspaces:
        if entry.get("state") == "absent":
            continue
        for mount in entry.get("mounts") or []:
            source = str(mount["source"])
            found = _directory_problem(mount, further) if is_path(source) else _volume_problem(source, entry, owners)
            if found:
                problems.append(f"Workspace '{entry['name']}': mount {source!r}: {found}")
    return problems


def _directory_problem(mount: Mapping[str, Any], forbidden: Iterable[str]) -> str:
    source = str(mount["source"])
    place = system_place(source, forbidden)
    if place:
        return f"no workspace gets {relation(source, place)}."
    try:
        found = os.lstat(source)
    except OSError as error:
        return f"{error.strerror}; make it first: the engine would make it as root's."
    real = os.path.realpath(source)
    if real != source:
        # Whoever owns the link could turn it elsewhere between this look and the container's start.
        return f"it is, or is behind, a symbolic link: give {real} itself."
    if not stat.S_ISDIR(found.st_mode):
        return "it is no directory."
    uid = WORKSPACE_UID if mount.get("uid") is None else int(mount["uid"])
    if found.st_uid != uid:
        return f"it belongs to uid {found.st_uid}, expected {uid}: give it to {uid}, or say uid: {found.st_uid}."
    return ""


def _volume_problem(name: str, entry: Mapping[str, Any], owners: Mapping[str, Optional[str]]) -> str:
    if name not in owners:
        guess = nearest(name, owners)
        return f"there is no such volume of this collection{f'; did you mean {guess!r}?' if guess else '.'}"
    mine, owner = str(entry.get("owner") or ""), owners[name]
    if owner is None:
        return (
            "it belongs to a workspace of which this host does not know whose it is: bring that one up with this list, "
            "or give the volume an owner with workspace_volume."
        )
    if owner and owner != mine:
        whose = f"that of {mine}" if mine else "nobody's"
        return f"the volume is {owner}'s, and the workspace is {whose}."
    return ""
