# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of a build in which nothing is new. Prints one JSON dictionary.

- ``catalogue_rebuilt_seconds``: BuildKit goes through every step of the whole catalogue, and has all of them in its cache.

They are built before that, which takes hours where the cache is empty.
``CODEOPEN_LEAVE_OUT`` names the tools that the images were built without.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import docker
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import (
    find_catalogue,
    plan_from_files,
)
from bench_build import Module
from bench_start import ROOT

sys.path.append(str(ROOT / "scripts"))
from catalogue import BARE, whole


def build(client: Any, folder: Path, prefix: str) -> tuple[float, dict[str, list[str]]]:
    """Build everything under names of its own: the seconds that it takes, and the layers of each image.

    :raises SystemExit: a build failed.
    """
    paths = [str(BARE)]
    plan = plan_from_files(whole(find_catalogue(paths)), paths, os.environ.get("CODEOPEN_LEAVE_OUT", "").split())
    known = {f"{prefix}-{layer['image']}": layer["target"] for layer in plan["layers"]}
    for entry in [*plan["layers"], *plan["workspaces"]]:
        entry["image"] = f"{prefix}-{entry['image']}"
        # With the true recipe the module would see that there is nothing to build, and give the names.
        entry["recipe"] = f"{prefix} {entry['recipe']}"
    folder.mkdir()
    begun = time.perf_counter()
    result = Module(folder).run(plan)
    taken = time.perf_counter() - begun
    if not result.get("changed"):
        raise SystemExit(result.get("msg", result))
    return taken, {target: client.images.get(image).attrs["RootFS"]["Layers"] for image, target in known.items()}


def rebuilt(client: Any, folder: Path, prefix: str) -> float:
    """Seconds until BuildKit has gone through every step of the catalogue again.

    :raises SystemExit: a step was not in the cache though it had just been built.
    """
    try:
        _filling, before = build(client, folder / "first", f"{prefix}-first")
        taken, after = build(client, folder / "again", f"{prefix}-again")
    finally:
        for tag in [tag for image in client.images.list() for tag in image.tags if tag.startswith(f"{prefix}-")]:
            client.api.remove_image(tag, noprune=True)
    new = [target for target, layers in after.items() if layers != before[target]]
    if new:
        raise SystemExit(f"not in the cache: {', '.join(new)}")
    return taken


def main() -> None:
    """Print the figure; the names that were given are gone in the end."""
    client = docker.from_env(timeout=300)
    folder = Path(tempfile.mkdtemp(prefix="codeopen-bench-"))
    try:
        taken = rebuilt(client, folder, f"b{secrets.token_hex(3)}")
        print(json.dumps({"catalogue_rebuilt_seconds": round(taken, 2)}))
    finally:
        shutil.rmtree(folder)
        client.close()


if __name__ == "__main__":
    main()
