# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a lock: its flock, what it says of the holder, and the holder's process."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Mapping
from typing import Any


def flock(descriptor: int, kind: int) -> bool:
    """Take a flock; whether it was to be had."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_file(descriptor: int, path: str) -> bool:
    """Whether the path still leads to the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def read(descriptor: int) -> dict[str, Any]:
    """What the file says of its holder."""
    size = os.fstat(descriptor).st_size
    try:
        value = json.loads(os.pread(descriptor, size, 0).decode())
    except ValueError:
        # Between a holder's flock and its first write, or after an end in the middle of one.
        return {}
    return value if isinstance(value, dict) else {}


def write(descriptor: int, holder: Mapping[str, Any]) -> None:
    """Say it."""
    text = (json.dumps(holder) + "\n").encode()
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def look(path: str) -> tuple[dict[str, Any], Any]:
    """What the holder of a lock says of itself, and what changes with its signs of life."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}, None
    try:
        found = os.fstat(descriptor)
        return read(descriptor), (found.st_ino, found.st_mtime_ns)
    finally:
        os.close(descriptor)


def process_name(pid: int) -> str:
    """What no other process of this machine is called, now or later: the PID's namespace, and when it was started.

    It is empty where there is no such process. The fields are those of proc_pid_stat(5), after the name in brackets.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            started = file.read().rpartition(")")[2].split()[19]
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            boot = file.read().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')} {pid} {started}"
    except (OSError, IndexError):
        return ""


def end_holder(holder: Mapping[str, Any]) -> bool:
    """Kill a holder; whether it was one that this process may kill, which one of another container is not."""
    pid = holder.get("pid")
    if not isinstance(pid, int) or not holder.get("process") or process_name(pid) != holder["process"]:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def holder_text(holder: Mapping[str, Any]) -> str:
    """A holder in words."""
    try:
        return "{purpose} (process {pid} of {user} on {host}, since {since})".format(**holder)
    except KeyError:
        return "Another run"
