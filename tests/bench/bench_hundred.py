# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a hundred workspaces: one ``workspace`` task against a ``docker_container`` loop and ``docker compose up``.

All sides run the same image with the same limits, volume, port and variables, and all wait until it is healthy. Compose
is compared twice: its command with the process of the module, and Ansible's task for it with ours. Also how
the cost grows up to three hundred, and the most memory that the module takes there. Prints one JSON dictionary.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import docker
from compose_side import Compose
from fleet_parts import (
    EMPTY_MODULE,
    NOTHING,
    UNCHANGED_RUNS,
    Playbooks,
    ours,
    print_figures,
    remove,
    theirs,
)

COUNT = 100
# Of each pair, in turns.
CREATE_RUNS = 4
MANY = 300
MODULE = "ansible_collections.codeopen.workspaces.plugins.modules.workspace"
COMPOSE_PORTS = 34000


def module_seconds(task: dict[str, Any], changed: bool = False) -> float:
    """How long the module itself takes: a process of compiled code, as Compose is one."""
    arguments = dict(task["codeopen.workspaces.workspace"], _ansible_remote_tmp=tempfile.gettempdir())
    text = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
    # Python compiles at the first run, where it is not told to forget.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", MODULE]
    begin = time.perf_counter()
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)
    taken = time.perf_counter() - begin
    result = json.loads(done.stdout)
    if result.get("failed") or result["changed"] is not changed:
        raise RuntimeError(f"expected changed: {changed}, got: {done.stdout[-2000:]}")
    return taken


def ratio(theirs: Sequence[float], ours: Sequence[float], aside: float = 0.0) -> float:
    """How many times the time of ours theirs takes: the mean of what was measured next to each other.

    :param aside: seconds of ours that do not count.
    """
    pairs = zip(theirs, ours)
    return round(statistics.geometric_mean(their / (our - aside) for their, our in pairs), 2)


def created(books: Playbooks, task: dict[str, Any], compose: Compose) -> dict[str, list[float]]:
    """How long each side takes to create the same: two processes, and two tasks; what they made last stays."""
    times: dict[str, list[float]] = {}
    parameters = task["codeopen.workspaces.workspace"]
    gone = [dict(entry, state="absent") for entry in parameters["workspaces"]]
    remove_ours = {"codeopen.workspaces.workspace": dict(parameters, workspaces=gone, purge=True)}
    pairs: list[dict[str, Callable[[], float]]] = [
        {"module": lambda: module_seconds(task, True), "compose": compose.up},
        {"task": lambda: books.seconds(task, True), "compose_task": lambda: compose.task_seconds(books, True)},
    ]
    number = 0
    for pair in pairs:
        for run in range(CREATE_RUNS):
            if number:
                module_seconds(remove_ours, True)
                compose.down()
            number += 1
            # The second one has the first one's containers beside it.
            for side in sorted(pair, reverse=bool(run % 2)):
                times.setdefault(side, []).append(pair[side]())
    return times


def against_others(
    client: docker.DockerClient, books: Playbooks, image: str, folder: Path, prefix: str
) -> dict[str, Any]:
    """One task, a loop and Compose, side by side."""
    task, loop = ours(image, prefix, folder / "state", COUNT), theirs(image, prefix, "healthy", COUNT)
    compose = Compose(folder, image, prefix, COUNT, COMPOSE_PORTS)
    # Whatever is compiled once is.
    module_seconds({"codeopen.workspaces.workspace": {"workspaces": [], "state_dir": str(folder / "state")}})
    create = created(books, task, compose)
    times: dict[str, list[float]] = {}
    sides: dict[str, Callable[[], float]] = {
        "nothing": lambda: books.seconds(NOTHING, False),
        "empty": lambda: books.seconds(EMPTY_MODULE, False),
        "module": lambda: module_seconds(task),
        "compose": compose.up,
        "task": lambda: books.seconds(task, False),
        "compose_task": lambda: compose.task_seconds(books, False),
    }
    for number in range(UNCHANGED_RUNS):
        for side, seconds in sides.items():
            times.setdefault(side, []).append(seconds())
        one = ours(image, prefix, folder / "state", COUNT, f"other {number}")
        times.setdefault("one", []).append(books.seconds(one, True))
        books.seconds(task, True)
    compose.down()
    create_loop = books.seconds(loop, True)
    unchanged_loop = books.seconds(theirs(image, prefix, "started", COUNT), False)
    medians = {side: statistics.median(values) for side, values in times.items()}
    idle = medians["nothing"]
    task_create = statistics.median(create["task"])
    return {
        "hundred_create_seconds": round(task_create, 2),
        "hundred_create_loop_ratio": round(create_loop / task_create, 1),
        # One process against another, and one task against another.
        "hundred_create_compose_ratio": ratio(create["compose"], create["module"]),
        "hundred_create_compose_task_ratio": ratio(create["compose_task"], create["task"]),
        "hundred_unchanged_seconds": round(medians["task"], 2),
        "hundred_unchanged_loop_ratio": round((unchanged_loop - idle) / (medians["task"] - idle), 1),
        "hundred_unchanged_compose_ratio": ratio(times["compose"], times["module"]),
        "hundred_unchanged_compose_task_ratio": round((medians["compose_task"] - idle) / (medians["task"] - idle), 2),
        # A task against a bare command, and how much of the task Ansible takes to bring even an empty module.
        "hundred_unchanged_task_compose_ratio": ratio(times["compose"], times["task"], idle),
        "hundred_empty_module_seconds": round(medians["empty"] - idle, 2),
        "hundred_one_changed_more_seconds": round(medians["one"] - medians["task"], 2),
    }


def growth(books: Playbooks, image: str, folder: Path, prefix: str) -> dict[str, Any]:
    """What three hundred cost, for each of them, in comparison with a hundred; those are there already."""
    hundred = ours(image, prefix, folder / "state", COUNT)
    few = statistics.median(module_seconds(hundred) for _run in range(UNCHANGED_RUNS))
    many_task = ours(image, prefix, folder / "state", MANY)
    created = books.seconds(many_task, True)
    many = statistics.median(module_seconds(many_task) for _run in range(UNCHANGED_RUNS))
    return {
        "two_hundred_more_seconds": round(created, 2),
        "three_hundred_unchanged_seconds": round(many, 2),
        "three_hundred_growth_ratio": round(many / few, 2),
    }


def module_megabytes(task: dict[str, Any]) -> float:
    """The most memory that a process of the module alone takes; getrusage(2) has it in KiB."""
    program = (
        "import json, resource, subprocess, sys\n"
        f"subprocess.run([sys.executable, '-m', {MODULE!r}], stdin=sys.stdin, stdout=subprocess.DEVNULL, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
    )
    arguments = dict(task["codeopen.workspaces.workspace"], _ansible_remote_tmp=tempfile.gettempdir())
    text = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
    done = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(client: docker.DockerClient, image: str, folder: Path, prefix: str) -> dict[str, Any]:
    """All figures; times in seconds."""
    books = Playbooks(folder)
    figures = against_others(client, books, image, folder, prefix)
    # The loop's containers would be three hundred more.
    remove(client, f"{prefix}-loop")
    figures.update(growth(books, image, folder, prefix))
    largest = module_megabytes(ours(image, prefix, folder / "state", MANY))
    figures["three_hundred_module_megabytes"] = round(largest, 1)
    return figures


if __name__ == "__main__":
    print_figures(measure)
