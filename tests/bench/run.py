# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the benchmarks of this folder one after the other and prints one table.

Arguments name some of them, for instance ``resolve start``; without any, all run. The status is 1 where a benchmark
failed; a figure that misses its goal is shown as such and is no failure, because it depends on the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Goal:
    """What a figure is held against."""

    limit: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'under'} {self.limit:g}"

    def met(self, value: float) -> bool:
        """Whether a figure keeps to it."""
        return value >= self.limit if self.at_least else value < self.limit


GOALS = {
    "resolve_10000_seconds": Goal(1),
    "resolve_growth_ratio": Goal(15),
    "build_cold_ratio": Goal(1, at_least=True),
    "build_unchanged_ratio": Goal(5, at_least=True),
    "create_ratio": Goal(4, at_least=True),
    "unchanged_ratio": Goal(20, at_least=True),
    "hundred_create_loop_ratio": Goal(5, at_least=True),
    "hundred_create_compose_ratio": Goal(1, at_least=True),
    "hundred_create_compose_task_ratio": Goal(1, at_least=True),
    "hundred_unchanged_loop_ratio": Goal(30, at_least=True),
    "hundred_unchanged_compose_ratio": Goal(1, at_least=True),
    "hundred_unchanged_compose_task_ratio": Goal(1, at_least=True),
    "hundred_one_changed_more_seconds": Goal(3),
    "three_hundred_growth_ratio": Goal(4.5),
    "three_hundred_module_megabytes": Goal(200),
    "claim_playbook_seconds": Goal(2),
    "start_healthy_seconds": Goal(5),
    "base_image_megabytes": Goal(757),
    "services_warm_seconds": Goal(12),
    "services_cold_seconds": Goal(45),
    "catalogue_unchanged_seconds": Goal(60),
    "catalogue_rebuilt_seconds": Goal(60),
    "dev8_mvp_megabytes": Goal(2500),
}
# What takes hours is measured where it is named.
LONG = {"rebuild"}
HEADER = ("FIGURE", "VALUE", "GOAL", "")


def measure(script: Path) -> dict[str, float] | None:
    """The figures that a benchmark prints last, or None where it failed."""
    print(f"measuring {script.stem.partition('_')[2]} ...", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        return None
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def table(figures: dict[str, float]) -> str:
    """The figures beside their goals."""
    rows = [HEADER]
    for name, value in figures.items():
        goal = GOALS.get(name)
        verdict = "" if goal is None else "met" if goal.met(value) else "MISSED"
        rows.append((name, f"{value:g}", str(goal or ""), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def main() -> int:
    """Run what was asked for."""
    known = {script.stem.partition("_")[2]: script for script in sorted(FOLDER.glob("bench_*.py"))}
    names = sys.argv[1:] or [name for name in known if name not in LONG]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    figures: dict[str, float] = {}
    failed = []
    for name in names:
        result = measure(known[name])
        if result is None:
            failed.append(name)
        else:
            figures.update(result)
    print(table(figures))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
