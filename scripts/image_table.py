# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/image-sizes.md: sizes, build times and start times of what scripts/catalogue.py lists, as they are here.

Build times come from the build logs of this machine, start times from a container of each image.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import make_plan
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import component_files, find_catalogue
from catalogue import BARE, whole

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "images"))
from running_workspace import healthy_after, running_workspace  # noqa: E402

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


def start_seconds(image: str) -> float:
    """Seconds from creation to healthy; the first start, which reads the image from the disk, does not count."""
    times = []
    for number in range(1 + STARTS):
        with tempfile.TemporaryDirectory() as folder, running_workspace(image, Path(folder)) as workspace:
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


def page(client: Any) -> Iterator[str]:
    """The parts of the page.

    :raises SystemExit: an image is not built, or not as it would be built now.
    """
    catalogue = find_catalogue([str(BARE)])
    left_out = sys.argv[1:]
    plan = make_plan(catalogue, whole(catalogue), component_files, left_out)
    layers = {layer["target"]: layer for layer in plan["layers"]}
    sizes = {}
    for target, layer in layers.items():
        image = client.images.get(layer["image"])
        if image.labels.get("codeopen.recipe") != layer["recipe"]:
            raise SystemExit(f"{layer['image']} is out of date: run scripts/build-catalogue.sh first")
        sizes[target] = image.attrs["Size"]
    built = build_seconds()
    components = {**catalogue.flavors, **catalogue.addons, "base": catalogue.base}
    yield "# Sizes and times of the images\n\n"
    yield "Written by `make test-images`. Megabytes are 10⁶ bytes.\n"
    if left_out:
        yield f"Left out, because their sources were not reached: {', '.join(left_out)}.\n"
    yield "\n## Layers\n\nEvery component on the plain base.\n\n"
    rows = []
    for target, layer in sorted(layers.items()):
        if layer["parent"] in (None, "base") or layer["parent"] == "bare":
            parent = sizes[layer["parent"]] if layer["parent"] else 0
            name = layer["component"]
            if name != "bare":
                rows.append(
                    [name, megabytes(sizes[target] - parent), megabytes(components[name].size_budget),
                     seconds_text(built.get(target))]
                )  # fmt: skip
    yield table(["component", "MB", "MB at most", "build, seconds"], rows)
    yield "\n## Images\n\nStart is from the container's creation until it is healthy, warm.\n\n"
    rows = []
    for image in dict.fromkeys(workspace["image"] for workspace in plan["workspaces"]):
        target = image.split(":")[0].partition("-")[2]
        print(f"starting {image}", file=sys.stderr)
        rows.append([f"`{image}`", megabytes(sizes[target]), seconds_text(start_seconds(image))])
    yield table(["image", "MB", "start, seconds"], rows)


def main() -> None:
    """Write the page. Arguments are the tools that the images lack."""
    text = "".join(page(docker.from_env()))
    (ROOT / "docs" / "image-sizes.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
