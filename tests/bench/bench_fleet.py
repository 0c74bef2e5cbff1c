# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a fleet: one ``workspace`` task against a ``docker_container`` loop. Prints one JSON dictionary.

Both sides run the same image with the same limits, volume, port and variables, and both wait until it is healthy.
The time of a task is the playbook's without that of a playbook that does nothing; whole playbooks are shown, too.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import docker
from fleet_parts import NOTHING, UNCHANGED_RUNS, Playbooks, ours, print_figures, theirs

COUNT = 50


def measure(client: docker.DockerClient, image: str, folder: Path, prefix: str) -> dict[str, Any]:
    """All figures; times in seconds."""
    books = Playbooks(folder)
    our_task = ours(image, prefix, folder / "state", COUNT)
    create = {
        "ours": books.seconds(our_task, True),
        "loop": books.seconds(theirs(image, prefix, "healthy", COUNT), True),
    }
    times: dict[str, list[float]] = {"ours": [], "loop": [], "nothing": []}
    for _run in range(UNCHANGED_RUNS):
        times["nothing"].append(books.seconds(NOTHING, False))
        times["ours"].append(books.seconds(our_task, False))
        times["loop"].append(books.seconds(theirs(image, prefix, "started", COUNT), False))
    unchanged = {side: statistics.median(values) for side, values in times.items()}
    idle = unchanged.pop("nothing")
    return {
        "workspaces": COUNT,
        "create_seconds": round(create["ours"], 2),
        "create_loop_seconds": round(create["loop"], 2),
        "create_ratio": round(create["loop"] / create["ours"], 1),
        "unchanged_seconds": round(unchanged["ours"], 2),
        "unchanged_loop_seconds": round(unchanged["loop"], 2),
        "unchanged_ratio_playbooks": round(unchanged["loop"] / unchanged["ours"], 1),
        "unchanged_ratio": round((unchanged["loop"] - idle) / (unchanged["ours"] - idle), 1),
        "empty_playbook_seconds": round(idle, 2),
    }


if __name__ == "__main__":
    print_figures(measure)
