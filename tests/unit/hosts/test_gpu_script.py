# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test-gpu` where there is no GPU: one clear line, and nothing is installed."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def start(tmp_path):
    """Runs the script with only the named programs on its PATH; the end of it."""
    for program in ("bash", "dirname"):
        (tmp_path / program).symlink_to(shutil.which(program))

    def _start(stand_in=""):
        if stand_in:
            (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{stand_in}\n")
            (tmp_path / "nvidia-smi").chmod(0o755)
        return subprocess.run(
            [str(tmp_path / "bash"), str(ROOT / "scripts/test-gpu.sh")],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return _start


@pytest.mark.parametrize(
    ("stand_in", "words"),
    [
        ("", "there is no nvidia-smi here."),
        ("echo 'No devices were found'; exit 6", "nvidia-smi -L says: No devices were found"),
        (
            "echo 'NVIDIA-SMI has failed because it could not talk to the driver.' >&2; exit 9",
            "could not talk to the driver.",
        ),
        ("exit 0", "nvidia-smi -L says: nothing"),
    ],
)
def test_a_machine_without_a_gpu_is_told_so_in_one_line(start, stand_in, words):
    ended = start(stand_in)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("make test-gpu needs a machine with an NVIDIA GPU")
    assert ended.stderr.endswith(words + "\n")
    assert ended.stderr.count("\n") == 1


def test_the_tests_for_a_gpu_are_found():
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", "gpu", "tests/gpu"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("test_real_gpu.py::") == 3
