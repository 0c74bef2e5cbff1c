# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a host keeps, written beside their place and renamed into it: a run that is killed at any moment leaves
the old or the new one, never a half."""

from __future__ import annotations

import os
from typing import Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

TEMPORARY = ".new"
ROOT_HINT = "Run the task as root ('become: true'), or give a state_dir that this user may write."


def read_text(path: str) -> Optional[str]:
    """The text of a file, or None where there is none.

    :raises WorkspacesError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WorkspacesError(f"{path} cannot be read: {error.strerror}. {ROOT_HINT}") from error


def write_link(path: str, target: str) -> None:
    """Make a path a symbolic link, whatever file it was.

    :raises WorkspacesError: it cannot be written.
    """
    temporary = f"{path}{TEMPORARY}"
    try:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.symlink(target, temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise WorkspacesError(f"{path} cannot be written: {error.strerror}. {ROOT_HINT}") from error


def write_text(path: str, text: str, mode: int, uid: Optional[int]) -> None:
    """Write a file anew.

    :param uid: whose it and its group are; the caller's where this is None.
    :raises WorkspacesError: it cannot be written.
    """
    # One name for all tries: what a killed run left is replaced, not added to.
    temporary = f"{path}{TEMPORARY}"
    try:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            if uid is not None:
                os.fchown(stream.fileno(), uid, uid)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise WorkspacesError(f"{path} cannot be written: {error.strerror}. {ROOT_HINT}") from error
