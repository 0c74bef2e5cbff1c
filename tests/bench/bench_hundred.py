# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a hundred workspaces: one ``workspace`` task against a ``docker_container`` loop and ``docker compose up``.

All sides run the same image with the same limits, volume, port and variables, and all wait until it is healthy. Also how
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
from pathlib import Path
from typing import Any

import docker
from fleet_parts import (
    EMPTY_MODULE,
    FIRST_PORT,
    NOTHING,
    ROOT,
    UNCHANGED_RUNS,
    Playbooks,
    ours,
    print_figures,
    remove,
    theirs,
)

COUNT = 100
CREATE_RUNS = 4
MANY = 300
MODULE = "ansible_collections.codeopen.workspaces.plugins.modules.workspace"
BETWEEN = 1500


def compose_file(image: str, prefix: str) -> dict[str, Any]:
    """The same workspaces as services."""
    numbers = range(COUNT)
    return {
        "name": f"{prefix}-compose",
        "services": {
            f"s{number}": {
                "image": image,
                "container_name": f"{prefix}-compose-{number}",
                "cpus": 0.5,
                "mem_limit": "64m",
                "memswap_limit": "64m",
                "pids_limit": 4096,
                "restart": "unless-stopped",
                "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
                "environment": {"TEXT": "hello"},
                "ports": [f"127.0.0.1:{FIRST_PORT + 2 * BETWEEN + number}:4096"],
                "volumes": [f"home{number}:/home/developer"],
            }
            for number in numbers
        },
        "volumes": {f"home{number}": {"name": f"{prefix}-compose-{number}-home"} for number in numbers},
    }


def compose(path: Path, *command: str) -> float:
    """How long a command of Compose takes; the one that scripts/compose.sh fetches."""
    begin = time.perf_counter()
    subprocess.run(
        [str(ROOT / ".build/compose/docker-compose"), "--file", str(path), "--progress", "quiet", *command],
        check=True,
        stdout=sys.stderr,
        stdin=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def module_seconds(task: dict[str, Any]) -> float:
    """How long the module itself takes over an unchanged fleet: a process of compiled code, as Compose is one."""
    arguments = dict(task["codeopen.workspaces.workspace"], _ansible_remote_tmp=tempfile.gettempdir())
    text = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
    # Python compiles at the first run, where it is not told to forget.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", MODULE]
    begin = time.perf_counter()
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)
    taken = time.perf_counter() - begin
    result = json.loads(done.stdout)
    if result.get("failed") or result["changed"]:
        raise RuntimeError(f"expected an unchanged fleet: {done.stdout[-2000:]}")
    return taken


def created(books: Playbooks, task: dict[str, Any], file: Path) -> dict[str, float]:
    """How long one task and Compose take to create the same, in turns; what they made last stays."""
    times: dict[str, list[float]] = {"ours": [], "compose": []}
    parameters = task["codeopen.workspaces.workspace"]
    gone = [dict(entry, state="absent") for entry in parameters["workspaces"]]
    remove_ours = {"codeopen.workspaces.workspace": dict(parameters, workspaces=gone, purge=True)}
    sides = {
        "ours": lambda: books.seconds(task, True),
        "compose": lambda: compose(file, "up", "--detach", "--wait"),
    }
    for number in range(CREATE_RUNS):
        if number:
            books.seconds(remove_ours, True)
            compose(file, "down", "--volumes", "--timeout", "1")
        # The second one has the first one's containers beside it.
        for side in sorted(sides, reverse=bool(number % 2)):
            times[side].append(sides[side]())
    return {side: statistics.median(values) for side, values in times.items()}


def against_others(
    client: docker.DockerClient, books: Playbooks, image: str, folder: Path, prefix: str
) -> dict[str, Any]:
    """One task, a loop and Compose, side by side."""
    task, loop = ours(image, prefix, folder / "state", COUNT), theirs(image, prefix, "healthy", COUNT)
    file = folder / "compose.yml"
    file.write_text(json.dumps(compose_file(image, prefix)))
    create = created(books, task, file)
    times: dict[str, list[float]] = {"ours": [], "nothing": [], "empty": [], "compose": [], "one": [], "module": []}
    module_seconds(task)
    for number in range(UNCHANGED_RUNS):
        times["nothing"].append(books.seconds(NOTHING, False))
        times["empty"].append(books.seconds(EMPTY_MODULE, False))
        times["ours"].append(books.seconds(task, False))
        times["compose"].append(compose(file, "up", "--detach", "--wait"))
        times["module"].append(module_seconds(task))
        times["one"].append(books.seconds(ours(image, prefix, folder / "state", COUNT, f"other {number}"), True))
        books.seconds(task, True)
    compose(file, "down", "--volumes", "--timeout", "1")
    create_loop = books.seconds(loop, True)
    unchanged_loop = books.seconds(theirs(image, prefix, "started", COUNT), False)
    medians = {side: statistics.median(values) for side, values in times.items()}
    idle = medians["nothing"]
    return {
        "hundred_create_seconds": round(create["ours"], 2),
        "hundred_create_loop_ratio": round(create_loop / create["ours"], 1),
        "hundred_create_compose_ratio": round(create["compose"] / (create["ours"] - idle), 2),
        "hundred_unchanged_seconds": round(medians["ours"], 2),
        "hundred_unchanged_loop_ratio": round((unchanged_loop - idle) / (medians["ours"] - idle), 1),
        "hundred_unchanged_compose_ratio": round(medians["compose"] / (medians["ours"] - idle), 2),
        # Without what a task with an empty module takes.
        "hundred_unchanged_above_empty_compose_ratio": round(
            medians["compose"] / (medians["ours"] - medians["empty"]), 2
        ),
        "hundred_empty_module_seconds": round(medians["empty"] - idle, 2),
        # One process against another, without how Ansible brings a module to its host.
        "hundred_unchanged_module_compose_ratio": round(medians["compose"] / medians["module"], 2),
        "hundred_one_changed_more_seconds": round(medians["one"] - medians["ours"], 2),
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
