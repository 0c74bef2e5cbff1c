# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/image-sizes.md: sizes, build times and start times of what scripts/catalogue.py lists, as they are here.

Build times come from the build logs of this machine, start times from a container of each image. Arguments are the
tools that the images lack. With ``--sizes-only`` the page is of the images that are built, without starting them, and
names the others; without, a missing one is an error.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import make_plan
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import WITHOUT
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import component_files, find_catalogue
from catalogue import BARE, whole

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "images"))
from running_workspace import engine_options, healthy_after, running_workspace  # noqa: E402

LOGS = Path("/var/lib/codeopen/logs")
FINISHED = re.compile(r"^\[[0-9:]+\] (\S+): layer finished in ([0-9.]+) s", re.MULTILINE)
STARTS = 3


def build_seconds() -> dict[str, float]:
    """Seconds of the last build of each layer, by target."""
    return {
        target: float(seconds)
        for log in sorted(LOGS.glob("build-*.log"))
        for target, seconds in FINISHED.findall(log.read_text(encoding="utf-8", errors="replace"))
    }


def start_seconds(image: str, *options: str) -> float:
    """Seconds from creation to healthy; the first start, which reads the image from the disk, does not count."""
    times = []
    for number in range(1 + STARTS):
        with tempfile.TemporaryDirectory() as folder, running_workspace(image, Path(folder), *options) as workspace:
            if number:
                times.append(healthy_after(workspace.name))
    return statistics.median(times)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f}"


def seconds_text(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


def up_to_date_sizes(client: Any, layers: list[dict[str, Any]], sizes_only: bool) -> dict[str, int]:
    """Sizes in bytes of the images that are as they would be built now, by target.

    :raises SystemExit: without ``sizes_only``, the first that is missing or out of date.
    """
    sizes = {}
    for layer in layers:
        try:
            image = client.images.get(layer["image"])
        except docker.errors.ImageNotFound:
            image = None
        if image is not None and image.labels.get("codeopen.recipe") == layer["recipe"]:
            sizes[layer["target"]] = image.attrs["Size"]
        elif not sizes_only:
            raise SystemExit(f"{layer['image']} is missing or out of date: run scripts/build-catalogue.sh first")
    return sizes


def own_layers(layers: list[dict[str, Any]], sizes: dict[str, int]) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Each component with its layer and the bytes of that layer: the one on the plain base, else on the least."""
    whole = [layer for layer in layers if WITHOUT not in layer["target"]]
    built = [layer for layer in whole if layer["target"] in sizes and layer["parent"] in {None, *sizes}]
    plain = {"bare", "base", None}
    for component in sorted({layer["component"] for layer in built} - {"bare"}):
        mine = [layer for layer in built if layer["component"] == component]
        layer = min(mine, key=lambda one: (one["parent"] not in plain, sizes[one["target"]]))
        parent = layer["parent"]
        yield component, layer, sizes[layer["target"]] - (sizes[parent] if parent else 0)


def page(client: Any, left_out: list[str], sizes_only: bool) -> Iterator[str]:
    """The parts of the page.

    :raises SystemExit: without ``sizes_only``, an image is not built, or not as it would be built now.
    """
    catalogue = find_catalogue([str(BARE)])
    plan = make_plan(catalogue, whole(catalogue), component_files, left_out)
    sizes = up_to_date_sizes(client, plan["layers"], sizes_only)
    images = {layer["image"]: layer["target"] for layer in plan["layers"]}
    wanted = {workspace["image"]: engine_options(workspace) for workspace in plan["workspaces"]}
    missing = [image for image in wanted if images[image] not in sizes]
    built = build_seconds()
    components = {**catalogue.flavors, **catalogue.addons, "base": catalogue.base}
    yield "# Sizes and times of the images\n\n"
    by = "scripts/image_table.py --sizes-only" if sizes_only else "make test-images"
    yield f"Written by `{by}`. Megabytes are 10⁶ bytes.\n"
    if left_out:
        yield f"Left out, because their sources were not reached: {', '.join(left_out)}.\n"
    if missing:
        yield f"\nNot measured yet: {', '.join(f'`{image}`' for image in missing)}.\n"
    yield "\n## Layers\n\nEvery component on the plain base, or on what is named.\n\n"
    rows = []
    for name, layer, size in own_layers(plan["layers"], sizes):
        on = "" if layer["parent"] in ("bare", "base", None) else f" on {layer['parent']}"
        budget = megabytes(components[name].size_budget)
        rows.append([f"{name}{on}", megabytes(size), budget, seconds_text(built.get(layer["target"]))])
    yield table(["component", "MB", "MB at most", "build, seconds"], rows)
    yield "\n## Images\n\n"
    if not sizes_only:
        yield "Start is from the container's creation until it is healthy, warm.\n\n"
    rows = []
    for image, options in wanted.items():
        if image in missing:
            continue
        row = [f"`{image}`", megabytes(sizes[images[image]])]
        if not sizes_only:
            print(f"starting {image}", file=sys.stderr)
            row.append(seconds_text(start_seconds(image, *options)))
        rows.append(row)
    yield table(["image", "MB"] if sizes_only else ["image", "MB", "start, seconds"], rows)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("left_out", nargs="*", metavar="TOOL")
    parser.add_argument("--sizes-only", action="store_true")
    asked = parser.parse_args()
    text = "".join(page(docker.from_env(), asked.left_out, asked.sizes_only))
    (ROOT / "docs" / "image-sizes.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
