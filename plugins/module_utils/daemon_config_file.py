# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and replacing one file so that a kill at any moment leaves the old or the new one, whole."""

from __future__ import annotations

import array
import errno
import fcntl
import glob
import os
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

_TEMPORARY = ".codeopen-"
_SELINUX = "security.selinux"
# linux/fs.h: FS_IOC_GETFLAGS, FS_IMMUTABLE_FL, FS_APPEND_FL
_GET_FLAGS = 0x80086601
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20


@dataclass(frozen=True)
class FileState:
    """A file as it was read.

    :param path: the file itself, with symbolic links followed.
    :param text: its content, or None where there is no file.
    """

    path: str
    text: Optional[str] = None
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


def resolve(path: str, follow: bool) -> str:
    """The file that a write to ``path`` must replace.

    :param follow: whether a symbolic link may be followed.
    :raises WorkspacesError: a link that may not be followed or leads nowhere, or a path that is no file.
    """
    if os.path.islink(path):
        target = os.path.realpath(path)
        if not follow:
            raise WorkspacesError(f"{path} is a symbolic link to {target}. Give that as path, or set follow to true.")
        if not os.path.exists(target):
            raise WorkspacesError(f"{path} is a symbolic link to {target}, which does not exist. Mend or remove it.")
        path = target
    if os.path.exists(path) and not os.path.isfile(path):
        raise WorkspacesError(f"{path} is not a regular file.")
    return path


def read(path: str) -> FileState:
    """The file at ``path``, which need not exist.

    :raises WorkspacesError: it cannot be read, or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except FileNotFoundError:
        return FileState(path=path, uid=os.geteuid(), gid=os.getegid())
    except OSError as error:
        raise WorkspacesError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WorkspacesError(f"{path} is not UTF-8 text (byte {error.start}). It was left as it is.") from error
    return FileState(path, text, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def write(state: FileState, text: str) -> None:
    """Replace the file of ``state`` by ``text``, with its mode and owner.

    :raises WorkspacesError: it could not be written; the old file is still there, untouched.
    """
    _refuse_locked(state.path)
    folder, name = os.path.split(state.path)
    try:
        os.makedirs(folder, mode=0o755, exist_ok=True)
        _remove_leftovers(folder, name)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}{_TEMPORARY}", dir=folder)
    except OSError as error:
        raise _failure(state.path, error) from error
    try:
        try:
            _fill(descriptor, text.encode("utf-8"), state)
        finally:
            os.close(descriptor)
        os.replace(temporary, state.path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _failure(state.path, error) from error
        raise
    _sync_folder(folder)


def _fill(descriptor: int, content: bytes, state: FileState) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
    os.fchown(descriptor, state.uid, state.gid)
    os.fchmod(descriptor, state.mode)
    # Where SELinux labels files, a new one in /etc has another label than the one it replaces may have.
    with suppress(OSError):
        os.setxattr(descriptor, _SELINUX, os.getxattr(state.path, _SELINUX))
    os.fsync(descriptor)


def delete(path: str) -> None:
    """Remove the file, and make sure that it stays removed after a power cut.

    :raises WorkspacesError: it could not be removed.
    """
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise _failure(path, error) from error


def back_up(state: FileState) -> str:
    """Keep a copy beside the file, named as Ansible names its backups; the path of the copy.

    :raises WorkspacesError: no copy could be made.
    """
    stamp = time.strftime("%Y-%m-%d@%H:%M:%S")
    copy = f"{state.path}.{os.getpid()}.{stamp}~"
    write(FileState(copy, None, state.mode, state.uid, state.gid), state.text or "")
    return copy


def _remove_leftovers(folder: str, name: str) -> None:
    # The caller holds the lock, so a temporary file is one that a killed run left.
    for path in glob.glob(os.path.join(glob.escape(folder), f".{glob.escape(name)}{_TEMPORARY}*")):
        os.unlink(path)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_locked(path: str) -> None:
    for candidate in (path, os.path.dirname(path)):
        flags = _inode_flags(candidate)
        if flags & (_IMMUTABLE | _APPEND_ONLY):
            word, letter = ("immutable", "i") if flags & _IMMUTABLE else ("append-only", "a")
            raise WorkspacesError(
                f"{path} was left as it is: {candidate} is {word}. "
                f"If that is not on purpose, run chattr -{letter} {candidate}."
            )


def _inode_flags(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        flags = array.array("L", [0])
        fcntl.ioctl(descriptor, _GET_FLAGS, flags, True)
        return flags[0]
    except OSError:
        # Not every file system has such flags.
        return 0
    finally:
        os.close(descriptor)


def _failure(path: str, error: OSError) -> WorkspacesError:
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "its file system is mounted read-only",
        errno.EACCES: "access is denied; run with become",
        errno.EPERM: "it is not permitted; run with become, and see lsattr for flags",
        errno.EBUSY: "it is a mount of its own; name the file that is mounted there",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return WorkspacesError(f"{path} was left as it is, it could not be written: {reason}.")
