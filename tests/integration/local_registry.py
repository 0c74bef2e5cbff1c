# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real registry on loopback, empty, for as long as it is needed."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def local_registry(program: str, folder: Path) -> Iterator[str]:
    """The address of a registry that keeps its images in ``folder``.

    :raises RuntimeError: it ended at once; its log is ``folder/registry.log``.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    configuration = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"{host}:{port}"},
        "log": {"level": "error"},
    }
    (folder / "registry.yml").write_text(json.dumps(configuration))
    with open(folder / "registry.log", "wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
    try:
        while not _listens(host, port):
            if process.poll() is not None:
                raise RuntimeError(f"the registry ended at once, see {folder}/registry.log")
            time.sleep(0.05)
        yield f"{host}:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
