# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a workspace gets from its host besides its own volumes: directories, and volumes that stand alone. Pure."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.host_paths import system_place, within

# Places in a container that are the engine's, or this collection's.
_OWN_TARGETS = ("/dev", "/proc", "/sys", "/run/codeopen")
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def is_path(source: object) -> bool:
    """Whether a source is a directory of the host, and not the name of a volume."""
    return str(source).startswith("/")


def problems_of_mounts(entry: Mapping[str, Any]) -> Iterable[str]:
    """Mistakes that are seen without looking at the host."""
    targets = {str(volume.get("path")): f"volume {volume.get('name')}" for volume in entry.get("volumes") or []}
    for mount in entry.get("mounts") or []:
        source, target = str(mount.get("source") or ""), str(mount.get("target") or "")
        where = f"mount {source!r}"
        if is_path(source):
            place = system_place(os.path.normpath(source))
            if os.path.normpath(source) != source:
                yield f"{where}: expected a path without '..', '//' or a '/' at its end: {os.path.normpath(source)}."
            elif place:
                yield f"{where}: no workspace gets {relation(source, place)}: expected a directory such as /srv/data."
        elif not _VOLUME.fullmatch(source):
            yield f"{where}: expected the absolute path of a directory, or the name of a volume."
        elif mount.get("uid") is not None:
            yield f"{where}: uid is for directories of the host, and this is a volume: leave it out."
        if not target.startswith("/") or os.path.normpath(target) != target or target == "/":
            yield f"{where}: target {target!r}: expected an absolute path without '..', '//' or a '/' at its end."
        elif any(within(target, own) for own in _OWN_TARGETS):
            yield f"{where}: target {target}: not one of {', '.join(_OWN_TARGETS)}, which are taken."
        if target in targets:
            yield f"{where}: target {target} is that of {targets[target]}, too."
        targets[target] = where


def engine_mounts(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The mounts in the words of the engine's request."""
    return [
        {
            "Type": "bind" if is_path(mount["source"]) else "volume",
            "Source": str(mount["source"]),
            "Target": str(mount["target"]),
            "ReadOnly": bool(mount.get("read_only")),
        }
        for mount in entry.get("mounts") or []
    ]


def words(entry: Mapping[str, Any]) -> list[str]:
    """The mounts as people write them."""
    return [
        f"{mount['source']}:{mount['target']}{':ro' if mount.get('read_only') else ''}"
        for mount in entry.get("mounts") or []
    ]


def relation(source: str, place: str) -> str:
    """How a path meets a place of the system, in words."""
    if source == place:
        return f"{place} of its host"
    return f"{source}, which is in {place}" if within(source, place) else f"{source}, which has {place} in it"
