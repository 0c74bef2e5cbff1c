# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a claim: how long the next person waits for a workspace of a pool. Prints one JSON dictionary.

The time is that of a playbook with the one task, whole and without that of a playbook that does nothing.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import docker
from fleet_parts import NOTHING, UNCHANGED_RUNS, Playbooks, ours, print_figures

PEOPLE = 5


def measure(client: docker.DockerClient, image: str, folder: Path, prefix: str) -> dict[str, Any]:
    """All figures; times in seconds."""
    books = Playbooks(folder)
    state_dir = str(folder / "state")
    (member,) = ours(image, prefix, folder / "state", 1)["codeopen.workspaces.workspace"]["workspaces"]
    del member["ports"][0]["host"]
    pool = {"name": prefix, "size": PEOPLE, "workspace": dict(member, owner=f"pool-{prefix}")}
    fill = {"codeopen.workspaces.workspace": {"workspaces": [], "pools": [pool], "state_dir": state_dir}}
    books.seconds(fill, True)
    idle = statistics.median(books.seconds(NOTHING, False) for _run in range(UNCHANGED_RUNS))
    claims = []
    for number in range(PEOPLE):
        claim = {"pool": prefix, "claimant": f"{prefix}-person-{number}", "state_dir": state_dir}
        claims.append(books.seconds({"codeopen.workspaces.workspace_claim": claim}, True))
    whole = statistics.median(claims)
    return {"claim_seconds": round(whole - idle, 2), "claim_playbook_seconds": round(whole, 2)}


if __name__ == "__main__":
    print_figures(measure)
