# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``workspace``, killed by signal 9 right after its nth change to the engine.

Run by tests as a program with n as its argument; everything else about it is real.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import requests
from ansible_collections.codeopen.workspaces.plugins.modules.workspace import main

CHANGING = ("POST", "PUT", "DELETE")


class Bomb:
    """Counts the changes that pass, and goes off after the last one."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.send = requests.Session.send

    def __call__(self, session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        answer = self.send(session, request, **options)
        if request.method in CHANGING:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return answer


if __name__ == "__main__":
    bomb = Bomb(int(sys.argv[1]))

    def send(session: Any, request: Any, **options: Any) -> Any:
        return bomb(session, request, **options)

    requests.Session.send = send  # type: ignore[method-assign]
    sys.argv = sys.argv[:1]
    main()
