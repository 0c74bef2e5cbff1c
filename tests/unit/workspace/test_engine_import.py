# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The docker SDK is imported without paramiko, which it needs for nothing here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from ansible_collections.codeopen.workspaces.plugins.module_utils import engine
import docker.transport
assert docker.transport.SSHHTTPAdapter
assert "paramiko" not in sys.modules
import paramiko
print(paramiko.VERSION)
"""


def test_it_is_neither_imported_nor_hidden(tmp_path: Path) -> None:
    (tmp_path / "paramiko.py").write_text("print('imported')\nVERSION = 1\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    # Only whoever asks for it himself gets it.
    assert (done.stdout, done.stderr) == ("imported\n1\n", "")
