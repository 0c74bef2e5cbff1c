# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host keeps files in memory only: what is there is on no disk, and is gone when the host is started anew."""

from __future__ import annotations

import hashlib
import os
import stat

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

# In this order; systemd has the first on tmpfs, and every host of containers the second.
PLACES = ("/run", "/dev/shm")
_IN_MEMORY = ("tmpfs", "ramfs")
_MOUNTS = "/proc/self/mounts"


def folder_at(place: str, state_dir: str) -> str:
    """The folder that belongs to a state directory, at one of the places."""
    return f"{place}/codeopen-{hashlib.sha256(state_dir.encode()).hexdigest()[:12]}"


def folders_of_host(state_dir: str) -> list[str]:
    """The folders in memory that this user has made for a state directory, wherever secrets are to be now.

    At a place where anybody may make a folder, one that somebody else made, or may write into, is none of them.
    """
    found = []
    for path in (folder_at(place, state_dir) for place in PLACES):
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if is_own(status):
            found.append(path)
    return found


def is_own(status: os.stat_result) -> bool:
    """Whether this is a directory of this user's into which nobody else writes."""
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def memory_folder(state_dir: str, mounts: str = _MOUNTS) -> str:
    """The folder in memory that belongs to a state directory; it need not be there.

    :param mounts: the kernel's table of mounts, proc_pid_mounts(5).
    :raises WorkspacesError: the host has no such place.
    """
    try:
        with open(mounts, encoding="utf-8") as stream:
            rows = [line.split() for line in stream]
    except OSError as error:
        raise WorkspacesError(f"{mounts} cannot be read: {error.strerror}.") from error
    # A later mount hides an earlier one at its place.
    kinds = {row[1]: row[2] for row in rows}
    for place in PLACES:
        if kinds.get(place) in _IN_MEMORY:
            return folder_at(place, state_dir)
    raise WorkspacesError(
        f"This host has no file system in memory at {' or '.join(PLACES)} to keep secrets in; "
        "'secrets_in: disk' keeps them beside the workspace's password."
    )
