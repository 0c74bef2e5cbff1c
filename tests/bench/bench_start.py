# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a start: a workspace of the real image from create to healthy, and the size of the base image.

Prints one JSON dictionary. Warm: the image has been started before, and the home volume is there. A home that
is new is measured in turns with it. Given are what the engine's own records say, and the whole playbook as a person
waits for it.
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
from pathlib import Path
from typing import Any

import docker
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import plan_from_files

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "images"))
from running_workspace import healthy_after  # noqa: E402

RUNS = 3
WISH = {"flavor": "python", "addons": ["code-server"]}


def play(folder: Path, name: str, state: str, wish: dict[str, Any], purge: bool = False) -> None:
    """Bring one workspace to a state by the playbook that people run.

    :param wish: flavor and add-ons.
    :param purge: whether removal takes the volumes too.
    :raises SystemExit: with the output where it fails.
    """
    variables = {
        "codeopen_workspaces": [{"name": name, **wish, "state": state}],
        "codeopen_state_dir": str(folder / "state"),
        "workspaces_purge": purge,
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventories/local"]
    command += ["playbooks/deploy.yml", "--extra-vars", json.dumps(variables)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)


def measure(client: Any, folder: Path, name: str) -> dict[str, Any]:
    """The figures."""
    base = plan_from_files([{"name": name, **WISH}])["layers"][0]["image"]
    times: dict[bool, list[float]] = {True: [], False: []}
    walls = []
    # In turns. The very first start, in which the image's files are read from the disk, is not warm.
    for new_home in [True, *[True, False] * RUNS]:
        play(folder, name, "absent", WISH, purge=new_home)
        begun = time.perf_counter()
        play(folder, name, "started", WISH)
        if not new_home:
            walls.append(time.perf_counter() - begun)
        times[new_home].append(healthy_after(f"codeopen-{name}"))
    play(folder, name, "absent", WISH, purge=True)
    return {
        "start_healthy_seconds": round(statistics.median(times[False]), 2),
        "start_healthy_new_home_seconds": round(statistics.median(times[True][1:]), 2),
        "start_whole_playbook_seconds": round(statistics.median(walls), 2),
        "base_image_megabytes": round(client.images.get(base).attrs["Size"] / 1e6),
    }


def main() -> None:
    """Print the figures; what was made is gone in the end."""
    client = docker.from_env()
    name = f"b{secrets.token_hex(3)}"
    folder = Path(tempfile.mkdtemp(prefix="codeopen-bench-"))
    try:
        print(json.dumps(measure(client, folder, name)))
    finally:
        for container in client.containers.list(all=True, filters={"label": f"codeopen.workspace={name}"}):
            container.remove(force=True, v=True)
        for volume in client.volumes.list(filters={"name": f"codeopen-{name}-"}):
            volume.remove(force=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
