# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a workspace's health check says of each of its services. Pure."""

from __future__ import annotations

import re
from typing import Any

_LINE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*): (?P<word>healthy|UNHEALTHY|note)(: (?P<reason>.*))?")


def services(output: str) -> dict[str, dict[str, Any]]:
    """The services of an output of ``codeopen-health``: ``health``, and where it is not healthy ``reason`` and
    ``last_lines`` of its log. Notes, which count for nothing, are services of health ``note``."""
    found: dict[str, dict[str, Any]] = {}
    lines: list[str] = []
    for line in output.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            service: dict[str, Any] = {"health": match["word"].lower()}
            if match["reason"]:
                service["reason"] = match["reason"]
            if match["word"] == "UNHEALTHY":
                lines = service["last_lines"] = []
            found[match["name"]] = service
        elif line.startswith("    | "):
            lines.append(line[len("    | ") :])
    return found
