# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of a host: what the engine's listings say of them, what is wished, and what stands against it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import LABEL_VOLUME
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_paths import within
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_OWNER, LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import format_size, parse_size
from ansible_collections.codeopen.workspaces.plugins.module_utils.schema import NAME
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import nearest

# The budget that it was made with; the book of volumes has the one that counts.
LABEL_BUDGET = "codeopen.budget"
OWN_LABELS = "codeopen."
# The engine's own rule.
VOLUME_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
NONE, CREATE, CLONE, SET, REMOVE = "none", "create", "clone", "set", "remove"


@dataclass(frozen=True)
class Use:
    """A container that has a volume.

    :ivar state: the engine's word.
    :ivar writes: whether a process may write into it at this moment.
    """

    container: str
    state: str
    writes: bool


@dataclass(frozen=True)
class Volume:
    """A volume of the engine.

    :ivar path: where its files are on the engine's host; empty where they are elsewhere.
    """

    name: str
    driver: str
    path: str
    labels: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    used_by: tuple[Use, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether this collection made it."""
        return LABEL_VOLUME in self.labels

    @property
    def workspace(self) -> str:
        """The workspace that it belongs to; empty for none."""
        return self.labels.get(LABEL_WORKSPACE, "")

    @property
    def user_labels(self) -> dict[str, str]:
        """Its labels but for the collection's own."""
        return {key: value for key, value in self.labels.items() if not key.startswith(OWN_LABELS)}

    @property
    def users(self) -> str:
        """Who uses it, for people."""
        return ", ".join(f"{use.container} ({use.state})" for use in self.used_by)


@dataclass(frozen=True)
class VolumeWish:
    """What is wished of a volume; what is None stays as it is.

    :ivar size: its budget in bytes, 0 for none.
    """

    name: str
    owner: Optional[str] = None
    size: Optional[int] = None
    labels: Optional[Mapping[str, str]] = None
    workspace: str = ""
    clone_from: str = ""
    absent: bool = False

    def all_labels(self) -> dict[str, str]:
        """The labels of a new volume."""
        labels = {LABEL_VOLUME: self.name, **(self.labels or {})}
        for label, value in ((LABEL_OWNER, self.owner), (LABEL_WORKSPACE, self.workspace)):
            if value:
                labels[label] = value
        if self.size:
            labels[LABEL_BUDGET] = str(self.size)
        return labels


def parse_volumes(volumes: Iterable[Mapping[str, Any]], containers: Iterable[Mapping[str, Any]]) -> dict[str, Volume]:
    """The volumes of an engine by name.

    :param volumes: rows of the engine's listing of volumes.
    :param containers: rows of its listing of all containers.
    """
    mounts = [
        (mount, str((row.get("Names") or [row.get("Id", "")])[0]).lstrip("/"), str(row.get("State", "")))
        for row in containers
        for mount in row.get("Mounts") or []
    ]
    found = {}
    for row in volumes:
        path = _path(row)
        found[str(row["Name"])] = Volume(
            name=str(row["Name"]),
            driver=str(row.get("Driver", "")),
            path=path,
            labels=row.get("Labels") or {},
            created=str(row.get("CreatedAt") or ""),
            used_by=tuple(
                # What is paused writes nothing until it goes on.
                Use(container, state, state in ("running", "restarting") and bool(mount.get("RW", True)))
                for mount, container, state in mounts
                if _is_of(mount, str(row["Name"]), path)
            ),
        )
    return found


def _path(row: Mapping[str, Any]) -> str:
    options = row.get("Options") or {}
    if row.get("Driver") != "local":
        return ""
    if options.get("device"):
        # A directory of the host, which the engine mounts when a container starts; else NFS or a device.
        bound = "bind" in str(options.get("o") or "").split(",")
        return str(options["device"]) if bound else ""
    return str(row.get("Mountpoint") or "")


def _is_of(mount: Mapping[str, Any], name: str, path: str) -> bool:
    if mount.get("Type") == "volume":
        return mount.get("Name") == name
    return mount.get("Type") == "bind" and bool(path) and within(str(mount.get("Source") or ""), path)


def parse_wishes(entries: Sequence[Mapping[str, Any]], problems: list[str]) -> list[VolumeWish]:
    """The wishes of a list; each mistake in it is added to ``problems``."""
    wishes: list[VolumeWish] = []
    for entry in entries:
        name = str(entry.get("name") or "")
        where = f"Volume '{name}'"
        if not re.fullmatch(VOLUME_NAME, name):
            problems.append(
                f"Volume {name!r}: not a volume's name; expected letters, digits, '_', '.' and '-', at least two."
            )
        if any(wish.name == name for wish in wishes):
            problems.append(f"{where} is in the list more than once.")
        for key in ("owner", "workspace"):
            if entry.get(key) and not re.fullmatch(NAME, str(entry[key])):
                problems.append(
                    f"{where}: {key} {entry[key]!r}: expected lower-case letters, digits and single hyphens "
                    "between them."
                )
        size = None
        try:
            size = None if entry.get("size") is None else parse_size(entry["size"])
        except ValueError as error:
            problems.append(f"{where}: size: {error}.")
        own = sorted(str(key) for key in entry.get("labels") or {} if str(key).startswith(OWN_LABELS))
        if own:
            problems.append(f"{where}: labels: {', '.join(own)}: labels in '{OWN_LABELS}' are the collection's own.")
        absent = entry.get("state") == "absent"
        if absent and entry.get("clone_from"):
            problems.append(f"{where}: clone_from is given, and state is absent: expected one of them.")
        labels = entry.get("labels")
        wishes.append(
            VolumeWish(
                name=name,
                owner=entry.get("owner"),
                size=size,
                labels=None if labels is None else {str(key): str(value) for key, value in labels.items()},
                workspace=str(entry.get("workspace") or ""),
                clone_from=str(entry.get("clone_from") or ""),
                absent=absent,
            )
        )
    return wishes


def action_for(wish: VolumeWish, volume: Optional[Volume], known: Mapping[str, Any]) -> str:
    """What is to be done.

    :param known: what the book has of the volume.
    """
    if wish.absent:
        return NONE if volume is None else REMOVE
    if volume is None or "unfinished" in known:
        return CLONE if wish.clone_from else CREATE
    owner, size = owner_of(volume, known), size_of(volume, known)
    same = (wish.owner is None or wish.owner == owner) and (wish.size is None or wish.size == size)
    return NONE if same else SET


def has_to_go(wish: VolumeWish, volume: Optional[Volume], known: Mapping[str, Any]) -> bool:
    """Whether a volume is the half-filled rest of an interrupted copy, or about to become a copy."""
    return volume is not None and "unfinished" in known and bool(known["unfinished"] or wish.clone_from)


def owner_of(volume: Volume, known: Mapping[str, Any]) -> str:
    """Whose a volume is."""
    return str(known.get("owner", volume.labels.get(LABEL_OWNER, "")))


def size_of(volume: Volume, known: Mapping[str, Any]) -> int:
    """A volume's budget in bytes, 0 for none."""
    label = volume.labels.get(LABEL_BUDGET, "")
    return int(known.get("size", label if label.isdigit() else 0))


def refusals(wish: VolumeWish, volumes: Mapping[str, Volume], known: Mapping[str, Any], force: bool) -> Iterable[str]:
    """What stands against a wish on this host, in words.

    :param force: whether files may be copied while they are written.
    """
    volume = volumes.get(wish.name)
    where = f"Volume '{wish.name}'"
    if volume is not None and not volume.ours:
        yield f"{where} is not this collection's: it has no label {LABEL_VOLUME}, and is left alone."
        return
    if volume is not None and volume.used_by and (wish.absent or has_to_go(wish, volume, known)):
        yield f"{where} is in use by {volume.users}. A volume in use is never removed: remove what uses it first."
    if wish.absent:
        return
    source = known.get("unfinished")
    if volume is not None and source and not wish.clone_from:
        yield (
            f"{where} is an unfinished copy of {source}: "
            f"give clone_from: {source} to make it anew, or remove it with state: absent."
        )
    elif volume is not None and source is None:
        if wish.labels is not None and dict(wish.labels) != volume.user_labels:
            yield (
                f"{where} has the labels {volume.user_labels}, and {dict(wish.labels)} are asked for. The engine never "
                "changes labels: leave them out, or clone it to another name with these."
            )
        if wish.workspace and wish.workspace != volume.workspace:
            yield (
                f"{where} belongs to {volume.workspace or 'no workspace'}, and {wish.workspace} is asked for. "
                "That never changes: clone it to another name."
            )
        return
    if wish.clone_from:
        yield from _source_refusals(where, wish, volumes, force)


def _source_refusals(where: str, wish: VolumeWish, volumes: Mapping[str, Volume], force: bool) -> Iterable[str]:
    source = volumes.get(wish.clone_from)
    if source is None or wish.clone_from == wish.name:
        guess = nearest(wish.clone_from, [name for name in volumes if name != wish.name])
        hint = f"; did you mean '{guess}'?" if guess else "."
        yield f"{where}: clone_from: there is no other volume '{wish.clone_from}'{hint}"
        return
    if not source.path:
        yield f"{where}: clone_from: the files of '{source.name}' are not on this host (driver {source.driver})."
    writers = ", ".join(use.container for use in source.used_by if use.writes)
    if writers and not force:
        yield (
            f"{where}: clone_from: {writers} may write into '{source.name}' while it is copied. Stop or pause it "
            "first; with force: true the copy may have files of different moments."
        )


def shrunk(wish: VolumeWish, used: int) -> str:
    """Why a budget cannot be that small; empty where it can."""
    if not wish.size or used <= wish.size:
        return ""
    return (
        f"Volume '{wish.name}': size is {format_size(wish.size)}, and {format_size(used)} are in it: "
        "expected a budget that is not below that."
    )
