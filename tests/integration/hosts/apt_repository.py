# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for vendors' package repositories: signed by a key made for the test, served from the host itself."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path


class SigningKey:
    """A key of its own.

    :param home: an empty folder for it.
    """

    def __init__(self, home: Path) -> None:
        home.chmod(0o700)
        self._gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
        self._run("--quick-generate-key", "stand-in <none@example.com>", "ed25519", "sign", "never")

    def public(self) -> bytes:
        """The key that a host must trust, as text."""
        return self._run("--armor", "--export")

    def sign(self, release: Path) -> None:
        """Write ``InRelease`` beside ``release``."""
        self._run("--yes", "--clearsign", "--output", str(release.with_name("InRelease")), str(release))

    def _run(self, *arguments: str) -> bytes:
        return subprocess.run([*self._gpg, *arguments], check=True, capture_output=True).stdout


def publish(root: Path, index: Path, release: Path, packages: Sequence[Path], key: SigningKey) -> None:
    """Make a repository of packages that lie under ``root``.

    :param index: the list of packages to write, under the folder of ``release``.
    :param release: the file that vouches for the list.
    """
    entries = "".join(_entry(package, root) for package in packages)
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(entries)
    digest = hashlib.sha256(entries.encode()).hexdigest()
    listed = index.relative_to(release.parent)
    release.write_text(
        "Origin: stand-in\nArchitectures: amd64\nComponents: stable\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n {digest} {len(entries)} {listed}\n"
    )
    key.sign(release)


def _entry(package: Path, root: Path) -> str:
    control = subprocess.run(["dpkg-deb", "--field", str(package)], check=True, capture_output=True, text=True).stdout
    content = package.read_bytes()
    return (
        f"{control.rstrip()}\nFilename: {package.relative_to(root)}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    )
