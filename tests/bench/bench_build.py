# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of building: base, two flavors, an add-on on each. Prints one JSON dictionary.

Cold: one solve against ``docker build`` one after the other. Unchanged: what decides that nothing is to be done
against ``docker buildx bake`` of the same five targets. Both sides run in turns, in one run; medians are compared.
"""

from __future__ import annotations

import json
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration" / "images"))
from ansible_collections.codeopen.workspaces.plugins.module_utils import (
    bake,
    base_source,
    build_run,
    buildx,
    context_archive,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from conftest import Module, PlanMaker  # type: ignore[import-not-found]

COLD_RUNS = 2
UNCHANGED_RUNS = 5
# Seconds that each layer's step takes: waiting, as downloads are.
STEP = 3
SHAPE = [("base", None), ("one", "base"), ("two", "base"), ("one-more", "one"), ("two-more", "two")]


def seconds(function: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def base_on_the_host(prefix: str, directory: Path) -> dict[str, Any]:
    """Give the description of a base that lies on the host, so that no registry is measured."""
    rootfs = directory / "rootfs"
    (rootfs / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", rootfs / "bin" / "busybox")
    for name in ("sh", "sleep", "echo"):
        (rootfs / "bin" / name).symlink_to("busybox")
    archive = {"suite": prefix, "variant": "minbase", "packages": [], "mirror": ""}
    base_image = {"digest": "", "references": [], "timeout": 1, "retries": 0, "archive": archive}
    tar = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], check=True, capture_output=True).stdout
    label = f'LABEL {bake.LABEL_BASE_SOURCE}="archive {prefix}"'
    name = base_source.local_name(base_image)
    command = ["docker", "import", "--change", label, "-", name]
    subprocess.run(command, input=tar, check=True, stdout=subprocess.DEVNULL)
    return base_image


def make_plan(directory: Path, prefix: str, base_image: dict[str, Any]) -> dict[str, Any]:
    """Plan the five layers, with a word in each that no build cache has seen."""
    maker = PlanMaker(directory, prefix, base_image)
    word = secrets.token_hex(4)
    for target, parent in SHAPE:
        maker.layer(target, parent, f"RUN sleep {STEP}; echo {word} > /{target}")
    plan: dict[str, Any] = maker.plan()
    return plan


def one_after_the_other(plan: dict[str, Any]) -> None:
    images = {layer["target"]: layer["image"] for layer in plan["layers"]}
    for layer in plan["layers"]:
        below = images[layer["parent"]] if layer["parent"] else base_source.local_name(plan["base_image"])
        command = ["docker", "build", "--quiet", "--build-arg", f"BASE_IMAGE={below}", "--tag", layer["image"]]
        subprocess.run([*command, layer["context"]], check=True, capture_output=True)


def bake_unchanged(plan: dict[str, Any], directory: Path) -> Callable[[], None]:
    """Give a function that runs the module's own bake command again, with nothing changed."""
    layers = plan["layers"]
    archive = directory / "contexts.tar"
    with open(archive, "wb") as stream:
        context_archive.write_archive(layers, stream)
    context_archive.unpack_archive(str(archive), str(directory))
    folders = {layer["target"]: context_archive.folder_name(layer) for layer in layers}
    definition = bake.definition(
        layers,
        {},
        {target: (directory / folder / "Dockerfile").read_text() for target, folder in folders.items()},
        folders,
        {
            "image": base_source.local_name(plan["base_image"]),
            "source": f"archive {plan['base_image']['archive']['suite']}",
        },
        None,
    )

    def run() -> None:
        environment = buildx.environment_for(None, str(directory))
        status = buildx.bake(definition, str(directory), environment, lambda text: None, lambda: None)[0]
        if status:
            raise SystemExit(f"bake ended with {status}")

    return run


def survey(plan: dict[str, Any]) -> None:
    """Do what the module does for an unchanged plan: connect, list, compare."""
    request = build_run.Request(plan, None, False, "/nonexistent", None, 1.0, "")
    client = connect(None)
    states = build_run.survey(client, request)
    client.close()
    if {state.state for state in states} != {"up_to_date"}:
        raise SystemExit("the plan is not up to date")


def measure(directory: Path, prefix: str) -> dict[str, float]:
    base_image = base_on_the_host(prefix, directory)
    solve, serial = [], []
    for number in range(COLD_RUNS):
        plan = make_plan(directory / f"serial{number}", f"{prefix}-serial", base_image)
        serial.append(seconds(lambda plan=plan: one_after_the_other(plan)))  # type: ignore[misc]
        plan = make_plan(directory / f"solve{number}", f"{prefix}-solve", base_image)
        (directory / f"module{number}").mkdir()
        module = Module(directory / f"module{number}")
        solve.append(seconds(lambda module=module, plan=plan: check(module.run(plan))))  # type: ignore[misc]
    (directory / "bake").mkdir()
    baking = bake_unchanged(plan, directory / "bake")
    baking()
    surveys, processes, bakes = [], [], []
    for number in range(UNCHANGED_RUNS):
        surveys.append(seconds(lambda: survey(plan)))
        processes.append(seconds(lambda: module.run(plan)))
        bakes.append(seconds(baking))
    figures = {
        "build_cold_one_solve_seconds": statistics.median(solve),
        "build_cold_one_after_the_other_seconds": statistics.median(serial),
        "build_cold_ratio": statistics.median(serial) / statistics.median(solve),
        "build_unchanged_seconds": statistics.median(surveys),
        "build_unchanged_whole_process_seconds": statistics.median(processes),
        "build_unchanged_bake_seconds": statistics.median(bakes),
        "build_unchanged_ratio": statistics.median(bakes) / statistics.median(surveys),
        "build_unchanged_whole_process_ratio": statistics.median(bakes) / statistics.median(processes),
    }
    return {name: round(value, 3) for name, value in figures.items()}


def check(result: dict[str, Any]) -> None:
    if not result.get("changed"):
        raise SystemExit(result.get("msg", result))


def main() -> None:
    prefix = f"bench{secrets.token_hex(4)}"
    client = docker.from_env()
    try:
        with tempfile.TemporaryDirectory() as directory:
            figures = measure(Path(directory), prefix)
    finally:
        for image in client.api.images():
            for tag in image.get("RepoTags") or ():
                if tag.startswith((f"{prefix}-", f"codeopen-debian:{prefix}")):
                    client.api.remove_image(tag, force=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
