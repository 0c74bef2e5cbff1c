# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of disk on a real XFS with project quotas, in a kernel that has them: User Mode Linux runs this machine's own
files, without changing any, under a kernel of its own. The engine is a stand-in there, which has volumes and no containers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from typing import Any

import pytest

TOOLS = {name: shutil.which(name, path="/usr/bin:/usr/sbin:/sbin") for name in ("linux.uml", "mkfs.xfs", "xfs_quota")}
pytestmark = pytest.mark.skipif(
    not all(TOOLS.values()), reason="needs the packages user-mode-linux (amd64) and xfsprogs"
)

INIT = """\
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH={pythonpath} PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t xfs -o prjquota /dev/ubda {mount}
echo BEGIN
{python} {script} {mount} 2>&1
echo END
umount {mount}
echo o > /proc/sysrq-trigger
sleep 60
"""

SCRIPT = """\
import json, os, shutil, sys
from types import SimpleNamespace
from ansible_collections.codeopen.workspaces.plugins.module_utils import disk_quota
from ansible_collections.codeopen.workspaces.plugins.module_utils.disk_limits import DiskLimits
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import Item, first_result
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook, workspace_key
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_inspection import VolumeInspector
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_run import VolumeRun, VolumeSettings

MIB = 1024**2
root = sys.argv[1]
state = f"{root}/state"
paths = {name: f"{root}/volumes/{name}/_data" for name in ("home", "project", "data")}
for path in paths.values():
    os.makedirs(path)


def fill(name, mib):
    # How much fitted, in MiB.
    with open(f"{paths[name]}/file", "ab", buffering=0) as stream:
        for done in range(mib):
            try:
                stream.write(bytes(MIB))
            except OSError:
                return done
    return mib


def row(name):
    labels = {"codeopen.volume": name, "codeopen.workspace": "demo"}
    return {"Name": name, "Driver": "local", "Mountpoint": paths[name], "Labels": labels}


def run(disk):
    # A run of the module, as far as disk goes; what its user is told.
    book = VolumeBook(state)
    limits = DiskLimits(engine, disk_quota.of_host(book), book, root)
    entry = {"name": "demo", "image": "i", "disk": disk}
    item = Item(entry, Observed(), SecretsStore(state, "demo"))
    item.result = first_result(item)
    limits.describe([item])
    limits.apply([item])
    return item.result


def create_volume(name, driver, labels):
    paths[name] = f"{root}/volumes/{name}/_data"
    os.makedirs(paths[name])
    alone[name] = {"Name": name, "Driver": driver, "Mountpoint": paths[name], "Labels": labels}
    return alone[name]


def remove_volume(name):
    shutil.rmtree(f"{root}/volumes/{name}")
    del alone[name]


def volume(**wish):
    # A run of workspace_volume over one volume, after check mode told the same.
    foretold, result = [
        VolumeRun(engine, VolumeSettings(state, check_mode=check_mode)).converge([{"name": "own", **wish}])[0]
        for check_mode in (True, False)
    ]
    assert foretold == result, (foretold, result)
    return result


def info(name):
    # What workspace_volume_info says of a volume.
    (found,) = VolumeInspector(engine, state, measure=True).volumes([name])
    return {key: found.get(key) for key in ("size", "enforced", "watched_because", "over")}


alone = {}
engine = SimpleNamespace(
    api=SimpleNamespace(
        volumes=lambda filters=None: {"Volumes": [row("home"), row("project"), *alone.values()]},
        containers=lambda all, filters: [],
        info=lambda: {},
        create_volume=create_volume,
        remove_volume=remove_volume,
    )
)
told = {}
fill("home", 2)
told["first"] = run(10 * MIB)
told["again"] = run(10 * MIB)
told["fits"] = [fill("home", 6), fill("project", 6), fill("data", 6)]
told["grown"] = run(30 * MIB)
told["fits_grown"] = fill("project", 6)
quotas = disk_quota.of_host(VolumeBook(state))
told["used"] = quotas.usage(workspace_key("demo"), root).used // MIB
os.mkdir(f"{paths['home']}/new")
told["inherits"] = disk_quota.project_of(f"{paths['home']}/new") == disk_quota.project_of(paths["project"]) > 0
quotas.apply("volume:data", [paths["data"]], 8 * MIB)
told["own"] = fill("data", 6)
told["projects"] = VolumeBook(state).projects()
quotas.lift("volume:data", [paths["data"]])
told["lifted"] = fill("data", 6)
try:
    quotas.apply("volume:gone", [f"{root}/volumes/gone"], MIB)
except (WorkspacesError, OSError) as error:
    told["gone"] = str(error)
told["elsewhere"] = quotas.unenforced("/")
told["no_tier"] = [run(0), run(0)]
told["fits_no_tier"] = fill("home", 40)
told["made"] = volume(size="8MiB")
told["made_info"] = info("own")
told["made_again"] = volume(size="8MiB")
told["made_fits"] = fill("own", 10)
told["full_info"] = info("own")
told["larger"] = volume(size="12MiB")
told["larger_fits"] = fill("own", 10)
told["unlimited"] = volume(size="0")
told["unlimited_info"] = info("own")
told["unlimited_fits"] = fill("own", 10)
# A budget from before there were quotas.
VolumeBook(state).write_volume("own", {"owner": "", "size": 40 * MIB})
told["lacking_info"] = info("own")
told["enforced"] = volume(size="40MiB")
told["enforced_again"] = volume()
told["enforced_info"] = info("own")
told["enforced_fits"] = fill("own", 40)
told["removed"] = volume(state="absent")
told["projects_left"] = sorted(VolumeBook(state).projects())
print("RESULT", json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("xfs")
    (folder / "mount").mkdir()
    image, script, init = folder / "disk", folder / "script.py", folder / "init"
    with image.open("wb") as stream:
        stream.truncate(320 * 1024**2)
    subprocess.run([str(TOOLS["mkfs.xfs"]), "-q", str(image)], check=True)
    script.write_text(textwrap.dedent(SCRIPT))
    search = os.pathsep.join(path for path in sys.path if path)
    values = {"python": sys.executable, "script": script, "mount": folder / "mount", "pythonpath": search}
    init.write_text(INIT.format(**values))
    init.chmod(0o755)
    command = [str(TOOLS["linux.uml"]), "mem=256M", "root=none", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"]
    command += [f"ubd0={image}", f"init={init}", "con=null", "con0=fd:0,fd:1", f"uml_dir={folder}"]
    # Its memory is a file, in a directory that may run programs.
    environment = dict(os.environ, TMPDIR=str(folder))
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    match = re.search(r"RESULT (.*)", done.stdout)
    assert match, done.stdout + done.stderr
    return dict(json.loads(match.group(1)))


def test_a_workspaces_volumes_share_the_limit_of_its_tier(told: dict[str, Any]) -> None:
    assert told["first"]["disk"] == {"limit": 10 * 1024**2, "enforced": True, "watched_because": ""}
    assert told["first"]["diff"]["before"]["disk"] == "watched"
    assert told["first"]["diff"]["after"]["disk"] == 10 * 1024**2
    # 2 MiB were there before there was a limit, and 8 more fit, wherever they go.
    home, project, other = told["fits"]
    assert (home, other) == (6, 6)
    assert project in (1, 2)


def test_a_second_run_changes_nothing(told: dict[str, Any]) -> None:
    assert not told["again"]["changed"]
    assert "error" not in told["again"]


def test_a_limit_grows_under_what_is_there(told: dict[str, Any]) -> None:
    assert told["grown"]["changed"]
    assert told["grown"]["diff"]["before"]["disk"] == 10 * 1024**2
    assert told["fits_grown"] == 6
    assert 14 <= told["used"] <= 17
    assert told["inherits"]


def test_a_volume_has_a_limit_of_its_own_until_it_is_lifted(told: dict[str, Any]) -> None:
    assert told["own"] in (1, 2)
    assert sorted(told["projects"]) == ["volume:data", "workspace:demo"]
    assert len(set(told["projects"].values())) == 2
    assert told["lifted"] == 6


def test_a_workspace_whose_tier_gives_no_limit_any_more_has_none(told: dict[str, Any]) -> None:
    lifted, again = told["no_tier"]
    assert lifted["diff"]["before"]["disk"] == 30 * 1024**2
    assert lifted["diff"]["after"]["disk"] == 0
    assert not again["changed"]
    assert told["fits_no_tier"] == 40


def test_the_kernel_keeps_a_volume_within_its_budget(told: dict[str, Any]) -> None:
    enforced = {"enforced": True, "watched_because": "", "over": False}
    assert (told["made"]["action"], told["made_again"]["action"]) == ("create", "none")
    assert told["made_info"] == told["full_info"] == {"size": 8 * 1024**2, **enforced}
    assert told["made_fits"] in (7, 8)
    assert told["larger"]["action"] == "set"
    assert told["larger_fits"] in (3, 4)
    assert told["unlimited"]["action"] == "set"
    assert told["unlimited_info"] == {"size": 0, "enforced": False, "watched_because": "", "over": False}
    assert told["unlimited_fits"] == 10


def test_a_budget_that_was_only_watched_is_enforced_by_the_next_run(told: dict[str, Any]) -> None:
    assert told["lacking_info"]["watched_because"] == "the limit is not set yet; the next run sets it"
    assert not told["lacking_info"]["enforced"]
    assert told["enforced"]["action"] == "set"
    assert told["enforced"]["diff"]["before"]["limit"] == "watched"
    assert told["enforced"]["diff"]["after"]["limit"] == "enforced"
    assert told["enforced_again"]["action"] == "none"
    assert told["enforced_info"]["enforced"]
    # Some 20 MiB were there.
    assert 17 <= told["enforced_fits"] <= 20
    assert told["removed"]["action"] == "remove"
    assert "volume:own" not in told["projects_left"]


def test_what_cannot_be_is_told(told: dict[str, Any]) -> None:
    assert "gone" in told["gone"]
    assert told["elsewhere"] == "/ is on hostfs; limits are enforced on XFS only"
