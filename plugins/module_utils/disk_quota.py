# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of disk that the kernel enforces: project quotas of XFS.

A project is a number that directories bear and files in them inherit; one limit holds for all of a project together.
Where a file system cannot do that, ``unenforced`` says why, and whoever asks can only watch.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_paths import within
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook

# Below are the numbers that the engine itself gives out, and those of /etc/projects.
FIRST_PROJECT = 1 << 20
# The kernel rounds limits to blocks of the file system, which are no larger than this.
_ROUNDED_TO = 64 * 1024
# struct fsxattr of linux/fs.h, and FS_IOC_FSGETXATTR to read it.
_ATTRIBUTES = struct.Struct("=IIIII8x")
_GET_ATTRIBUTES = 0x801C581F
_REPORT_LINE = re.compile(r"#(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s")


@dataclass(frozen=True)
class FileSystem:
    """What a path is on."""

    mount_point: str
    kind: str
    options: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Usage:
    """What a project uses and may use, in bytes; a limit of 0 is none."""

    used: int = 0
    limit: int = 0


def file_system(path: str, mountinfo: str) -> FileSystem:
    """The file system that a path is on. Pure.

    :param path: absolute, without symbolic links.
    :param mountinfo: text of ``/proc/self/mountinfo``, see proc(5).
    """
    best = FileSystem("", "")
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, source = before.split(), after.split()
        if not separator or len(fields) < 5 or len(source) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
        # Of two on one place the later one covers the other.
        if within(path, point) and len(point) >= len(best.mount_point):
            best = FileSystem(point, source[0], frozenset(source[2].split(",")))
    return best


def rounded(limit: int) -> int:
    """The limit as every file system can keep it, never 0, which would be none. Pure."""
    return max(_ROUNDED_TO, limit // _ROUNDED_TO * _ROUNDED_TO)


def parse_report(text: str) -> dict[int, Usage]:
    """What ``report -p -n -N -b`` says of each project. Pure."""
    return {
        int(match.group(1)): Usage(int(match.group(2)) * 1024, int(match.group(4)) * 1024)
        for match in _REPORT_LINE.finditer(text)
    }


def project_of(path: str) -> int:
    """The project that a directory bears; 0 for none, and where the file system knows of none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        answer = bytearray(_ATTRIBUTES.size)
        fcntl.ioctl(descriptor, _GET_ATTRIBUTES, answer)
        return int(_ATTRIBUTES.unpack(answer)[3])
    except OSError:
        return 0
    finally:
        os.close(descriptor)


class Quotas:
    """The project quotas of a host. Whoever changes them holds the lock of the host's workspaces.

    What shares a limit has a key, ``workspace:<name>`` or ``volume:<name>``, and the book knows its project.

    :param mountinfo: text of ``/proc/self/mountinfo``.
    :param program: path of xfs_quota, empty where there is none.
    """

    def __init__(self, book: VolumeBook, mountinfo: str, program: str) -> None:
        self._book = book
        self._mountinfo = mountinfo
        self._program = program
        self._reports: dict[str, dict[int, Usage]] = {}

    def unenforced(self, path: str) -> str:
        """Why a limit on a path is only watched; empty where the kernel enforces it."""
        found = file_system(os.path.realpath(path), self._mountinfo)
        if found.kind != "xfs":
            return f"{path} is on {found.kind or 'a file system of another host'}; limits are enforced on XFS only"
        if not found.options & {"prjquota", "pquota"}:
            return f"{found.mount_point} is XFS, mounted without the option prjquota"
        if not self._program:
            return "the program xfs_quota is missing; the package xfsprogs has it"
        if re.search(r"\s", path):
            return f"xfs_quota cannot take the path {path!r}, which has white space in it"
        return ""

    def usage(self, key: str, path: str) -> Usage:
        """What the kernel counts for a key on the file system of a path."""
        project = self._book.projects().get(key)
        return self._report(path).get(project, Usage()) if project is not None else Usage()

    def limit_of(self, key: str, paths: Iterable[str]) -> int:
        """The limit in bytes that the kernel enforces for a key on any of the file systems of paths, 0 for none."""
        return max((self.usage(key, path).limit for path in paths if not self.unenforced(path)), default=0)

    def lacks(self, key: str, paths: Iterable[str], limit: int) -> bool:
        """Whether any of the directories is not yet under this limit, in bytes."""
        project = self._book.projects().get(key)
        return any(
            project_of(path) != project or self.usage(key, path).limit != rounded(limit)
            for path in paths
            if os.path.isdir(path)
        )

    def apply(self, key: str, paths: Sequence[str], limit: int) -> None:
        """Put directories, and all that is in them, under a limit in bytes.

        :raises WorkspacesError: the program failed, or the limit is not in force after it.
        """
        for path in paths:
            project = self._project(key, path)
            # Its number comes first and the limit last, so that without a limit the number may not be everywhere.
            if project_of(path) != project or not self.usage(key, path).limit:
                self._run(path, f"project -s -p {path} {project}")
            self._run(path, f"limit -p bhard={rounded(limit)} {project}")
        self._reports.clear()
        if self.lacks(key, paths, limit):
            raise WorkspacesError(f"The limit of {key} is not in force, although {self._program} has set it.")

    def lift(self, key: str, paths: Iterable[str]) -> None:
        """Take the limit off and forget the project. The directories keep its number, which nobody else gets."""
        project = self._book.projects().get(key)
        if project is None:
            return
        for path in paths:
            if not self.unenforced(path):
                self._run(path, f"limit -p bhard=0 {project}")
        self._book.forget_project(key)
        self._reports.clear()

    def _project(self, key: str, path: str) -> int:
        known = self._book.projects()
        if key not in known:
            # One that is in use without being in the book is of a book that was lost.
            taken = {FIRST_PROJECT - 1, *known.values(), *self._report(path)}
            self._book.add_project(key, max(taken) + 1)
        return self._book.projects()[key]

    def _report(self, path: str) -> dict[int, Usage]:
        point = file_system(os.path.realpath(path), self._mountinfo).mount_point
        if point not in self._reports:
            self._reports[point] = parse_report(self._run(path, "report -p -n -N -b"))
        return self._reports[point]

    def _run(self, path: str, command: str) -> str:
        point = file_system(os.path.realpath(path), self._mountinfo).mount_point
        # /etc/projects has nothing to say here.
        files = ["-D", "/dev/null", "-P", "/dev/null"]
        done = subprocess.run(
            [self._program, "-x", *files, "-c", command, point],
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ, LC_ALL="C"),
        )
        # It exits with 0 after most mistakes, too.
        if done.returncode or done.stderr.strip():
            raise WorkspacesError(f"{self._program} -x -c '{command}' {point} failed: {done.stderr.strip()}")
        return done.stdout


def of_host(book: VolumeBook) -> Quotas:
    """The project quotas of this host."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        mountinfo = stream.read()
    # An ordinary user's PATH has no place for it.
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return Quotas(book, mountinfo, shutil.which("xfs_quota", path=places) or "")
