# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as variables for a playbook, one workspace for each flavor alone and with each add-on of images/.

Arguments name the flavors and add-ons to take; without any, all are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

IMAGES = Path(__file__).resolve().parent.parent / "images"


def names(kind: str) -> list[str]:
    """The components of a kind, by their folders."""
    found = sorted(path.parent.name for path in (IMAGES / kind).glob("*/component.yml"))
    return [name for name in found if not sys.argv[1:] or name in sys.argv[1:]]


def main() -> None:
    """Print the variables as JSON."""
    workspaces = [
        # The largest tier satisfies whatever an add-on requires.
        {"name": "-".join(["check", flavor, *addons]), "flavor": flavor, "addons": addons, "tier": "power"}
        for flavor in names("flavors")
        for addons in [[], *([addon] for addon in names("addons"))]
    ]
    print(json.dumps({"codeopen_workspaces": workspaces}))


if __name__ == "__main__":
    main()
