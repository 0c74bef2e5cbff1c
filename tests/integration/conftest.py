# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running playbooks as a person does, and reading what they did."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """The end of an ``ansible-playbook`` run."""

    status: int
    output: str

    def count(self, what: str, host: str = "localhost") -> int:
        """A number of the recap, such as ``changed``; -1 where the host is not in it."""
        found = re.search(rf"^{re.escape(host)}\s.*\b{what}=(\d+)", self.output, re.MULTILINE)
        return int(found.group(1)) if found else -1


class Playbooks:
    """Runs the collection's playbooks."""

    def __call__(
        self, playbook: str, *arguments: str, variables: dict[str, Any] | None = None, inventory: str | Path = ""
    ) -> Run:
        """Run ``playbooks/<playbook>.yml`` and return how it ended.

        :param variables: extra variables.
        :param inventory: path of the inventory; by default that of this machine.
        """
        command: Sequence[str] = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            f"playbooks/{playbook}.yml",
            "-i",
            str(inventory or ROOT / "inventories" / "local"),
            "--extra-vars",
            json.dumps(variables or {}),
            *arguments,
        ]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return Run(ended.returncode, ended.stdout)


@pytest.fixture(scope="session")
def playbook() -> Playbooks:
    """Runs a playbook: ``playbook("site", variables={...})``."""
    return Playbooks()


@pytest.fixture(scope="module")
def prefix() -> str:
    """A name that nothing else on this machine has."""
    return f"t{secrets.token_hex(4)}"
