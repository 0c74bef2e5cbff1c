# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A socket before the engine's own, by which a test sees each request of a module, and does something before it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from typing import Callable

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import DEFAULT_HOST


def _pass_on(source: socket.socket, target: socket.socket, see: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            see(data)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def watched_engine(see: Callable[[str], None]) -> Iterator[str]:
    """The URL of such a socket, while the block runs.

    :param see: called with each request, ``GET /v1.45/containers/json?all=1`` say, before the engine gets it.
    """

    def request(data: bytes) -> None:
        line = data.split(b"\r\n", 1)[0]
        if line.endswith(b" HTTP/1.1"):
            see(line.decode()[: -len(" HTTP/1.1")])

    path = os.environ.get("DOCKER_HOST", DEFAULT_HOST)[len("unix://") :]
    # pytest's own folders have names too long for a socket.
    folder = tempfile.mkdtemp()
    opened: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/socket")
        listening.listen()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _address = listening.accept()
                    engine = socket.socket(socket.AF_UNIX)
                    opened.extend((client, engine))
                    engine.connect(path)
                    for arguments in ((client, engine, request), (engine, client, lambda _data: None)):
                        threading.Thread(target=_pass_on, args=arguments, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"unix://{folder}/socket"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for one in opened:
                one.close()
            shutil.rmtree(folder)
