# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest file system that scripts run in: busybox under all its names. No registry is needed for it."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Optional


def busybox_root(programs: Optional[Mapping[str, bytes]] = None) -> bytes:
    """Give it as a tar archive.

    :param programs: further executable files, contents by path.
    :raises RuntimeError: busybox is not installed.
    """
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeError("busybox is missing: install the package busybox-static")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("bin", "tmp", "home", "srv", "run"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for name, content in {"bin/busybox": Path(busybox).read_bytes(), **(programs or {})}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
    return stream.getvalue()
