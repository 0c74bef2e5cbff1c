# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of a host, each a file: held by one run at a time, with a name for whoever is in the way.

The kernel gives a flock back when its holder dies, however it dies, so no stale lock is ever left to remove. A holder
that lives and is stuck, stopped or frozen, shows by its lease: it touches the file every few seconds. Who waits and
sees no touch for the time of a lease, by a clock that nobody sets, ends the stuck process and takes over. Each holder
has a fencing number, one higher than that of the last, by which a run sees that a lock is no longer its own.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import random
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import LockLost, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.lock_file import (
    end_holder,
    flock,
    holder_text,
    is_file,
    look,
    process_name,
    read,
    write,
)

# Seconds without a sign of its holder after which a lock is taken over, and how often a holder gives one.
LEASE = 60.0
RENEW = 5.0
_POLL_SECONDS = 0.2
# How old the answer to whether a lock is still held may be.
_LOOK_SECONDS = 1.0
# For how long at most, and how often, a lock is tried for that somebody only looks at.
_LOOKED_AT_SECONDS = 1.0
_LOOKED_AT_PAUSE = 0.004

Notify = Callable[[str], None]


class HostLock:
    """A lock that this process holds.

    :ivar path: the lock's file.
    :ivar fence: the holder's number.
    """

    def __init__(self, path: str, descriptor: int, purpose: str) -> None:
        self.path = path
        self._descriptor = descriptor
        self._guard = threading.Lock()
        self.fence = int(read(descriptor).get("fence", 0)) + 1
        self._holder: dict[str, Any] = {
            "fence": self.fence,
            "pid": os.getpid(),
            "process": process_name(os.getpid()),
            "user": user_name(),
            "host": socket.gethostname(),
            "purpose": purpose,
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write(descriptor, self._holder)

    @classmethod
    def take(cls, path: str, purpose: str) -> Optional[HostLock]:
        """The lock, or None where somebody else holds it.

        :raises WorkspacesError: the file cannot be used.
        """
        try:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            deadline = time.monotonic() + _LOOKED_AT_SECONDS
            while True:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                if not flock(descriptor, fcntl.LOCK_EX):
                    # Those who look at it share it for a moment; a holder shares it with nobody.
                    looked_at = flock(descriptor, fcntl.LOCK_SH)
                    os.close(descriptor)
                    if not looked_at or time.monotonic() > deadline:
                        return None
                    # Others that want it look at it in this way, too, and not all in the same moment.
                    time.sleep(random.uniform(0, _LOOKED_AT_PAUSE))
                    continue
                if is_file(descriptor, path):
                    return cls(path, descriptor, purpose)
                # Its last holder removed the file meanwhile.
                os.close(descriptor)
        except OSError as error:
            raise WorkspacesError(f"The lock file {path} cannot be used: {error.strerror}.") from error

    def renew(self) -> None:
        """Give a sign of life."""
        with self._guard:
            os.utime(self._descriptor)

    def is_held(self) -> bool:
        """Whether the lock is still this process's."""
        with self._guard:
            return is_file(self._descriptor, self.path) and read(self._descriptor) == self._holder

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Put what others have to know beside the holder's name.

        :raises WorkspacesError: the file cannot be written, on a full disk for example.
        """
        with self._guard:
            self._holder.update(facts)
            try:
                write(self._descriptor, self._holder)
            except OSError as error:
                raise WorkspacesError(f"The lock file {self.path} cannot be written: {error.strerror}.") from error

    def release(self, remove: bool = False) -> None:
        """Give it back.

        :param remove: whether the file goes, too.
        """
        # Whatever the file says then, it is free for whoever comes next.
        with suppress(OSError):
            if is_file(self._descriptor, self.path):
                if remove:
                    os.unlink(self.path)
                else:
                    write(self._descriptor, {"fence": self.fence})
        os.close(self._descriptor)


class Lease:
    """Gives signs of life for locks until it is ended, and tells when one was lost."""

    def __init__(self) -> None:
        self._locks: list[HostLock] = []
        self._guard = threading.Lock()
        self._ended = threading.Event()
        # When the locks were last looked at, and when that told whether they are held.
        self._looked = self._seen = time.monotonic()
        self._lost = self._problem = ""
        threading.Thread(target=self._watch, daemon=True).start()

    def add(self, locks: Iterable[HostLock]) -> None:
        """Keep these, too."""
        with self._guard:
            self._locks.extend(locks)

    def give_back(self, lock: HostLock, remove: bool = False) -> None:
        """Release one of them."""
        with self._guard:
            self._locks.remove(lock)
            lock.release(remove)

    def check(self) -> None:
        """See that all locks are still held, before anything is changed.

        :raises LockLost: one is not, or could not be looked at for the time of a lease.
        """
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        if self._lost:
            raise LockLost(
                f"The lock {self._lost} was removed or taken over while this run held it, so it changes nothing more. "
                "The next run goes on."
            )
        if self._problem and time.monotonic() - self._seen > LEASE:
            raise LockLost(
                f"For {LEASE:g} seconds this run could not see whether its locks are still held, so it changes nothing "
                f"more: {self._problem}. The next run goes on."
            )

    def end(self) -> None:
        """Give no more signs."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(RENEW):
            self._renew()
            self._look()

    def _renew(self) -> None:
        with self._guard:
            for lock in self._locks:
                # What keeps one sign from being given, a full disk for example, may be over when the next is due.
                with suppress(OSError):
                    lock.renew()

    def _look(self) -> None:
        with self._guard:
            now = time.monotonic()
            self._problem = ""
            for lock in self._locks:
                try:
                    if not lock.is_held():
                        self._lost = lock.path
                except OSError as error:
                    self._problem = str(error)
            self._looked = now
            self._seen = self._seen if self._problem else now


class Waiting:
    """The wait for a lock that somebody else holds.

    :param timeout: seconds to wait; 0 does not.
    :param notify: called once for each lock, with who holds it.
    """

    def __init__(self, timeout: float, notify: Optional[Notify]) -> None:
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._notify = notify
        self._path = ""
        self._sign: Any = None
        self._since = 0.0

    def once(self, path: str) -> None:
        """Wait a moment for the lock at ``path``, and take care of a holder that is stuck.

        :raises WorkspacesError: the time is over.
        """
        now = time.monotonic()
        holder, sign = look(path)
        if path != self._path and self._notify is not None:
            self._notify(f"Waiting for {holder_text(holder)}, which holds {path}.")
        if path != self._path or sign != self._sign:
            self._path, self._sign, self._since = path, sign, now
        elif now - self._since > LEASE and end_holder(holder):
            if self._notify is not None:
                self._notify(f"{holder_text(holder)} gave no sign for {LEASE:g} seconds: ended, to go on.")
            self._since = now
        left = self._deadline - now
        if left <= 0:
            raise WorkspacesError(
                f"{holder_text(holder)} still holds {path} after {self._timeout:g} seconds. "
                "Try again when it is done, or give a longer lock_timeout."
            )
        time.sleep(min(_POLL_SECONDS, left))


@contextmanager
def host_lock(path: str, purpose: str, timeout: float, notify: Optional[Notify] = None) -> Iterator[Lease]:
    """Hold the lock file ``path`` while the block runs.

    :param path: the lock file; its directory is made when it is missing.
    :param purpose: what the holder does, shown to those who wait.
    :param timeout: seconds to wait for another holder; 0 does not wait.
    :param notify: called with who holds the lock, before waiting.
    :raises WorkspacesError: the lock was still held after ``timeout``, or the file cannot be used.
    """
    waiting = Waiting(timeout, notify)
    lock = HostLock.take(path, purpose)
    while lock is None:
        waiting.once(path)
        lock = HostLock.take(path, purpose)
    lease = Lease()
    lease.add([lock])
    try:
        yield lease
    finally:
        lease.end()
        lease.give_back(lock)


def held_by_others(folder: str, ours: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What holders of a folder's locks tell, by file name; neither of those that are ``ours`` nor of free ones."""
    names = set(os.listdir(folder)) - set(ours) if os.path.isdir(folder) else set()
    found = {}
    for name in sorted(names):
        with suppress(OSError):
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                if not flock(descriptor, fcntl.LOCK_SH):
                    found[name] = read(descriptor)
            finally:
                os.close(descriptor)
    return found


def user_name() -> str:
    """Who runs this; behind sudo, who called it."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
