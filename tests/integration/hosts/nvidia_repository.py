# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for NVIDIA's package repository. As a program: ``nvidia_repository.py FOLDER`` makes it there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from apt_repository import SigningKey, publish

STAND_INS = Path(__file__).parent / "stand_ins"
PROGRAMS = ("nvidia-container-runtime", "nvidia-container-runtime-hook", "nvidia-ctk")
VERSIONS = ("1.17.8", "1.16.0")
CONFIGURATION = """#accept-nvidia-visible-devices-envvar-when-unprivileged = true
disable-require = false

[nvidia-container-cli]
load-kmods = true
"""


def make_repository(root: Path, work: Path, key: SigningKey) -> None:
    """Fill the empty folder ``root``; ``work`` is another one."""
    flat = root / "stable/deb/amd64"
    flat.mkdir(parents=True)
    packages = [Path(shutil.move(_package(work, version), flat / f"{version}.deb")) for version in VERSIONS]
    publish(flat, flat / "Packages", flat / "Release", packages, key)
    (root / "gpgkey").write_bytes(key.public())


def _package(folder: Path, version: str) -> Path:
    tree = folder / f"tree-{version}"
    files = {
        "DEBIAN/control": f"Package: nvidia-container-toolkit\nVersion: {version}-1\nArchitecture: all\n"
        "Maintainer: stand-in <none@example.com>\nDescription: stand-ins for tests\n",
        "etc/nvidia-container-runtime/config.toml": CONFIGURATION,
        "usr/share/stand-in-toolkit-version": version,
        **{f"usr/bin/{program}": (STAND_INS / program).read_text() for program in PROGRAMS},
    }
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.startswith("usr/bin/") else 0o644)
    built = folder / f"nvidia-container-toolkit_{version}.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(built)]
    subprocess.run(command, check=True, capture_output=True)
    return built


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "gnupg").mkdir()
        (Path(scratch) / "work").mkdir()
        make_repository(Path(sys.argv[1]), Path(scratch) / "work", SigningKey(Path(scratch) / "gnupg"))
