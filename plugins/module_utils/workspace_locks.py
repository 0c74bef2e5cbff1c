# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks of a run over workspaces: the host's while it plans, and one for each of its workspaces until it ends.

So two runs over different workspaces work side by side, and two over the same one after the other. What a run is about
to take of the host, ports and networks, stands in its locks, for others that plan meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import (
    HostLock,
    Lease,
    Notify,
    Waiting,
    held_by_others,
    host_lock,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import Taken

_SUFFIX = ".lock"


@contextlib.contextmanager
def lock_one(state_dir: str, workspace: str, purpose: str, network: str = "") -> Iterator[Optional[Lease]]:
    """Hold the lock of one workspace while the block runs; None where another run has it.

    Only for what takes none of the host's ports, since runs that plan meanwhile are not told of any.

    :param network: what it is about to be connected to.
    :raises WorkspacesError: the lock cannot be used.
    """
    lock = HostLock.take(os.path.join(state_dir, "locks", "workspaces", workspace + _SUFFIX), purpose)
    if lock is None:
        yield None
        return
    lock.tell({"ports": [], "network": network})
    lease = Lease()
    lease.add([lock])
    try:
        yield lease
    finally:
        lease.end()
        lease.give_back(lock, remove=not os.path.isdir(os.path.join(state_dir, "workspaces", workspace)))


class WorkspaceLocks:
    """The locks of one run.

    :param purpose: what the run does, shown to those who wait.
    :param timeout: seconds to wait for each lock that another run holds.
    :param notify: called with who holds one, before waiting.
    """

    def __init__(self, state_dir: str, purpose: str, timeout: float, notify: Optional[Notify] = None) -> None:
        self._state_dir = state_dir
        self._host_path = os.path.join(state_dir, "locks", "workspaces.lock")
        self._folder = os.path.join(state_dir, "locks", "workspaces")
        self._purpose = purpose
        self._timeout = timeout
        self._notify = notify
        self._locks: dict[str, HostLock] = {}
        self._lease: Optional[Lease] = None

    @contextlib.contextmanager
    def planning(self, workspaces: Optional[Sequence[str]] = None) -> Iterator[None]:
        """Hold the host's lock while the block runs, and the locks of workspaces until :meth:`close`.

        :param workspaces: names without mistakes; where not given, all that any run has a lock of.
        :raises WorkspacesError: another run held one of them for too long, or a lock cannot be used.
        """
        waiting = Waiting(self._timeout, self._notify)
        while True:
            with self.host():
                busy = self._take_all(workspaces)
                if not busy:
                    if self._lease is None:
                        self._lease = Lease()
                    self._lease.add(self._locks.values())
                    yield
                    return
            # Whoever has it may need the host's lock to get done.
            waiting.once(busy)

    @contextlib.contextmanager
    def host(self) -> Iterator[None]:
        """Hold the host's lock while the block runs."""
        with host_lock(self._host_path, self._purpose, self._timeout, self._notify):
            yield

    def reserve(self, ports: Mapping[str, Sequence[Taken]], networks: Mapping[str, str]) -> None:
        """Tell other runs what the workspaces are about to take, by workspace."""
        for name, lock in self._locks.items():
            taken = [[one.address, one.port] for one in ports.get(name, ())]
            lock.tell({"ports": taken, "network": networks.get(name, "")})

    def reserved_ports(self) -> list[Taken]:
        """The host's ports that other runs are about to take."""
        return [
            Taken(int(port), str(address), f"workspace '{name}', which another run works on,", workspace=name)
            for name, facts in self._others().items()
            for address, port in facts.get("ports", [])
        ]

    def reserved_networks(self) -> set[str]:
        """The networks that other runs are about to connect workspaces to."""
        return {str(facts["network"]) for facts in self._others().values() if facts.get("network")}

    def check(self) -> None:
        """See that all locks are still held.

        :raises LockLost: one is not.
        """
        if self._lease is not None:
            self._lease.check()

    def close(self) -> None:
        """Give all locks back; that of a workspace that the host keeps nothing of is removed."""
        if self._lease is None:
            return
        self._lease.end()
        for name, lock in self._locks.items():
            gone = not os.path.isdir(os.path.join(self._state_dir, "workspaces", name))
            self._lease.give_back(lock, remove=gone)
        self._locks = {}

    def let_go(self, workspaces: Iterable[str]) -> None:
        """Give the locks of some workspaces back before the others."""
        for name in workspaces:
            if self._lease is not None:
                self._lease.give_back(self._locks.pop(name))

    def _take_all(self, workspaces: Optional[Sequence[str]]) -> str:
        """Take the locks of workspaces; the path of one that cannot be had, and then none is taken, or nothing."""
        names = workspaces
        if names is None:
            files = os.listdir(self._folder) if os.path.isdir(self._folder) else []
            names = [name[: -len(_SUFFIX)] for name in files]
        for name in sorted(names):
            path = os.path.join(self._folder, name + _SUFFIX)
            lock = HostLock.take(path, self._purpose)
            if lock is None:
                for taken in self._locks.values():
                    taken.release()
                self._locks = {}
                return path
            self._locks[name] = lock
        return ""

    def _others(self) -> dict[str, dict[str, Any]]:
        ours = [name + _SUFFIX for name in self._locks]
        return {name[: -len(_SUFFIX)]: facts for name, facts in held_by_others(self._folder, ours).items()}
