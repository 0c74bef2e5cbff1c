# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of planning: 10,000 workspaces from their list to the plan, and how the time grows from 1,000.

Prints one JSON dictionary. Reading the catalogue's files counts, as it does when the filter runs.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import (
    find_catalogue,
    plan_from_files,
)

RUNS = 5
SIZES = (1000, 10000)


def requests(count: int) -> list[dict[str, Any]]:
    """Workspaces that differ in everything that a person may vary."""
    catalogue = find_catalogue()
    tiers = list(catalogue.tiers)[-2:]
    addons: list[list[str]] = [[], ["code-server"]]
    kinds = itertools.cycle(itertools.product(sorted({"js", "python"} & set(catalogue.flavors)), addons, tiers))
    return [
        {
            "name": f"w{number}",
            "flavor": flavor,
            "addons": chosen,
            "tier": tier,
            "ports": {"opencode": 10000 + number},
            "environment": {"NUMBER": str(number)},
        }
        for number, (flavor, chosen, tier) in zip(range(count), kinds)
    ]


def seconds(workspaces: list[dict[str, Any]]) -> float:
    """How long the plan takes."""
    begun = time.perf_counter()
    plan = plan_from_files(workspaces)
    taken = time.perf_counter() - begun
    if len(plan["workspaces"]) != len(workspaces):
        raise SystemExit("the plan lacks workspaces")
    return taken


def main() -> None:
    """Print the figures."""
    lists = {size: requests(size) for size in SIZES}
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    # In turns, so that whatever else the machine does touches both.
    for _run in range(RUNS):
        for size in SIZES:
            times[size].append(seconds(lists[size]))
    small, large = (statistics.median(times[size]) for size in SIZES)
    figures = {"resolve_1000_seconds": small, "resolve_10000_seconds": large, "resolve_growth_ratio": large / small}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
