# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SSH server on loopback whose whole life is one process, so that a connection can be made to drop.

Run by tests with the files of the host's key and of the client's public key as arguments; it prints its port.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import asyncssh


async def execute(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run what the client asks for by this machine's shell."""
    # In a session of its own, as a login has it: what it starts outlives the connection.
    command = await asyncio.create_subprocess_exec(
        *("sh", "-c", process.command or ":"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    await process.redirect(stdin=command.stdin, stdout=command.stdout, stderr=command.stderr)
    await process.stdout.drain()
    await process.stderr.drain()
    process.exit(await command.wait())


async def main(host_key: str, client_key: str) -> None:
    """Serve until the process is ended."""
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=client_key, process_factory=execute,
        encoding=None,
    )  # fmt: skip
    print(server.get_port(), flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
