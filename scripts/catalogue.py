# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as variables for a playbook, the images that the tests are about.

Without arguments that is every add-on alone on the base, every flavor alone, every preset, and some combinations.
Arguments name flavors and add-ons: each flavor alone and with each add-on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Catalogue
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue

# A flavor with nothing in it, for add-ons alone.
BARE = Path(__file__).resolve().parent.parent / "tests" / "images" / "catalogue"
SPREAD = [
    ("fullstack", ["code-server", "gui"]),
    ("python", ["code-server"]),
    ("js", ["code-server", "toolbox"]),
    ("go", ["databases", "kubernetes"]),
    ("rust", ["docker", "ssh"]),
]


def _workspaces(wanted: list[tuple[str, tuple[str, ...], tuple[str, ...]]]) -> list[dict[str, Any]]:
    # Numbered, because the parts of a preset are more than a name may be long. The largest tier satisfies whatever an
    # add-on requires.
    return [
        {
            "name": f"check-{number}",
            "flavor": flavor,
            "addons": list(addons),
            "tier": "power",
            "leave_out": list(without),
        }
        for number, (flavor, addons, without) in enumerate(wanted, 1)
    ]


def chosen(catalogue: Catalogue, names: list[str]) -> list[dict[str, Any]]:
    """Each flavor of ``names`` alone and with each add-on of them."""
    flavors = [name for name in catalogue.flavors if name in names]
    addons = [name for name in catalogue.addons if name in names]
    return _workspaces([(flavor, more, ()) for flavor in flavors for more in [(), *((addon,) for addon in addons)]])


def whole(catalogue: Catalogue) -> list[dict[str, Any]]:
    """What the whole catalogue is tried by."""
    wanted: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [("bare", (addon,), ()) for addon in catalogue.addons]
    wanted += [(flavor, (), ()) for flavor in catalogue.flavors]
    wanted += [(preset.flavor, preset.addons, preset.leave_out) for preset in catalogue.presets.values()]
    wanted += [(flavor, tuple(addons), ()) for flavor, addons in SPREAD]
    return _workspaces(sorted({(flavor, tuple(sorted(addons)), without) for flavor, addons, without in wanted}))


def main() -> None:
    """Print the variables as JSON; ``CODEOPEN_LEAVE_OUT`` names tools to leave out."""
    names = sys.argv[1:]
    paths = [] if names else [str(BARE)]
    catalogue = find_catalogue(paths)
    variables = {
        "codeopen_workspaces": chosen(catalogue, names) if names else whole(catalogue),
        "codeopen_catalogue_paths": paths,
        "codeopen_leave_out": os.environ.get("CODEOPEN_LEAVE_OUT", "").split(),
    }
    print(json.dumps(variables))


if __name__ == "__main__":
    main()
