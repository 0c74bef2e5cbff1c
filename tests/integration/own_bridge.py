# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge for a second engine on a host. Without one, even with none, it takes away that of the engine that runs."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def own_bridge(address: str) -> Iterator[str]:
    """The name of a new bridge.

    :param address: its own, with the length of the prefix; no two at once may have the same.
    """
    bridge = f"cot-{secrets.token_hex(4)}"
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", address, "dev", bridge], check=True)
        yield bridge
    finally:
        subprocess.run(["ip", "link", "delete", bridge], check=True)
