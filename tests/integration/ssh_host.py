# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine as a host that is reached by SSH."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

OPTIONS = {"StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "ControlMaster": "no", "ControlPath": "none"}


@dataclasses.dataclass
class SshHost:
    """An SSH server on loopback for the user who runs the tests.

    :ivar port: where it listens.
    :ivar process: the server, in which all its connections are.
    """

    port: int
    process: subprocess.Popen[str]
    folder: Path

    @property
    def key(self) -> Path:
        """The private key that it lets in."""
        return self.folder / "user"

    def ansible(self) -> dict[str, Any]:
        """Ansible's variables of the host."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": " ".join(f"-o {name}={value}" for name, value in OPTIONS.items()),
            "ansible_ssh_transfer_method": "piped",
            "ansible_python_interpreter": sys.executable,
        }

    def command(self) -> Path:
        """A folder with the command ``ssh`` as somebody's configuration would make it: it has the key, and no prompt."""
        program = self.folder / "bin" / "ssh"
        if not program.exists():
            program.parent.mkdir()
            options = {**OPTIONS, "IdentityFile": str(self.key), "BatchMode": "yes", "LogLevel": "ERROR"}
            (self.folder / "config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
            program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.folder}/config "$@"\n')
            program.chmod(0o755)
        return program.parent


@contextlib.contextmanager
def ssh_host(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[SshHost]:
    """A host that is reached by SSH as long as it is needed.

    :param folder: where its keys lie, and nothing else.
    :param environment: variables that its sessions have too.
    """
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    command = [sys.executable, str(Path(__file__).with_name("ssh_server.py"))]
    command += [str(folder / "host"), str(folder / "user.pub")]
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as server:
        try:
            assert server.stdout is not None
            yield SshHost(int(server.stdout.readline()), server, folder)
        finally:
            server.kill()
