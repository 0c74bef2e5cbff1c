# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts pip into a virtual environment, as the get-pip.py that ansible-test would download from its own server.

Python brings a pip along; that one fetches the version asked for from wherever pip is configured to.
"""

from __future__ import annotations

import subprocess
import sys


def main() -> int:
    """Install what the command line names, options that only get-pip.py has aside."""
    wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    # In a process of its own, since ensurepip switches off pip's configuration in the one it runs in.
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
    return subprocess.call([sys.executable, "-m", "pip", "install", *wanted])


if __name__ == "__main__":
    sys.exit(main())
