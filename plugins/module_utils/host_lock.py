# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time on a host, and a name for whoever is in the way.

The kernel gives a flock back when its holder dies, however it dies, so no stale lock is ever left to remove.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

_POLL_SECONDS = 0.2


@contextmanager
def host_lock(
    path: str, purpose: str, timeout: float, notify: Optional[Callable[[str], None]] = None
) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs.

    :param path: the lock file; its directory is made when it is missing.
    :param purpose: what the holder does, shown to those who wait.
    :param timeout: seconds to wait for another holder; 0 does not wait.
    :param notify: called once, with who holds the lock, before waiting.
    :raises WorkspacesError: the lock was still held after ``timeout``, or the file cannot be used.
    """
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise WorkspacesError(f"The lock file {path} cannot be used: {error.strerror}.") from error
    try:
        _acquire(descriptor, path, timeout, notify)
        _write_holder(descriptor, purpose)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: str, timeout: float, notify: Optional[Callable[[str], None]]) -> None:
    deadline = time.monotonic() + timeout
    notified = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        left = deadline - time.monotonic()
        if left <= 0:
            raise WorkspacesError(
                f"{_holder_text(descriptor)} still holds {path} after {timeout:g} seconds. "
                "Try again when it is done, or give a longer lock_timeout."
            )
        if notify is not None and not notified:
            notify(f"Waiting for {_holder_text(descriptor)}, which holds {path}.")
            notified = True
        time.sleep(min(_POLL_SECONDS, left))


def _write_holder(descriptor: int, purpose: str) -> None:
    holder = {
        "pid": os.getpid(),
        "user": user_name(),
        "host": socket.gethostname(),
        "purpose": purpose,
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, (json.dumps(holder) + "\n").encode(), 0)


def _holder_text(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0).decode())
        return "{purpose} (process {pid} of {user} on {host}, since {since})".format(**holder)
    except (ValueError, KeyError, TypeError):
        # Between the other's flock and its first write there is nothing to read.
        return "Another run"


def user_name() -> str:
    """Who runs this; behind sudo, who called it."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
