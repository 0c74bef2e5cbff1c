# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of files on the host: what they use, and copies of them."""

from __future__ import annotations

import os
import stat
import subprocess

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import format_size

_BLOCK = 512


def used_bytes(path: str) -> int:
    """Bytes of disk that a tree uses: blocks, holes not counted, each file once, one file system.

    What vanishes meanwhile is not counted.

    :raises WorkspacesError: it cannot be read.
    """
    try:
        top = os.lstat(path)
        total, seen, folders = top.st_blocks * _BLOCK, set(), [path]
        while folders:
            try:
                entries = list(os.scandir(folders.pop()))
            except FileNotFoundError:
                continue
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if found.st_dev != top.st_dev or found.st_ino in seen:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    folders.append(entry.path)
                elif found.st_nlink > 1:
                    seen.add(found.st_ino)
                total += found.st_blocks * _BLOCK
    except OSError as error:
        raise WorkspacesError(
            f"{error.filename or path} cannot be read: {error.strerror}. "
            "Run the task as root ('become: true') on the engine's own host."
        ) from error
    return total


def copy_tree(source: str, target: str) -> None:
    """Copy what is in a directory into another, with owners, modes, times, links, holes and extended attributes.

    The directory itself gets owner and mode of the source, too.

    :raises WorkspacesError: there is no room for it, or something could not be copied; what was copied stays.
    """
    needed, room = used_bytes(source), os.statvfs(target)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        raise WorkspacesError(f"{source} has {format_size(needed)}, and only {format_size(free)} are free for a copy.")
    copy = ["cp", "--archive", "--reflink=auto", "--sparse=auto", f"{source}/.", f"{target}/"]
    # The copy ends with this process, even if it is killed: the next one must not meet it.
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", *copy],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ, LC_ALL="C"),
    )
    if done.returncode:
        why = " ".join(done.stderr.strip().splitlines()[-3:])
        raise WorkspacesError(f"Copying {source} failed: {why or f'exit code {done.returncode}'}")
