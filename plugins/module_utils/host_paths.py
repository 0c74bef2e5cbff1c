# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places on a host, and which of them no workspace may get. Pure."""

from __future__ import annotations

from collections.abc import Iterable

# With these a container would have its host: programs, configuration, devices, sockets and everybody's data.
SYSTEM_PLACES = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin", "/sys",
    "/usr", "/var/backups", "/var/cache", "/var/lib", "/var/log", "/var/mail", "/var/run", "/var/spool",
)  # fmt: skip


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or in it; both are absolute and normalized."""
    return folder == "/" or path == folder or path.startswith(f"{folder}/")


def system_place(path: str, further: Iterable[str] = ()) -> str:
    """The place of the system that a path is, is in, or has in it; empty where it is none of these.

    :param path: absolute and normalized, without symbolic links.
    :param further: places of this host that are as forbidden, such as the engine's data.
    """
    for place in (*SYSTEM_PLACES, *further):
        if place and (within(path, place) or within(place, path)):
            return place
    return ""
