# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Project quotas: which file systems can, what xfs_quota reports, and what it is told. xfs_quota itself is a stand-in
here, which keeps limits in a file; tests/integration/workspaces/test_disk_quota.py has the real one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import disk_quota
from ansible_collections.codeopen.workspaces.plugins.module_utils.disk_limits import DiskLimits
from ansible_collections.codeopen.workspaces.plugins.module_utils.disk_quota import (
    FIRST_PROJECT,
    FileSystem,
    Quotas,
    Usage,
    file_system,
    parse_report,
    rounded,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import Item, first_result
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook

MIB = 1024**2
MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,errors=remount-ro
30 22 98:0 / /var/lib/docker rw,relatime shared:5 - xfs /dev/vdb rw,attr2,inode64,prjquota
31 22 98:1 / /srv rw - xfs /dev/vdc rw,attr2,noquota
32 22 98:2 / /with\\040space rw - xfs /dev/vdd rw,pquota
33 22 98:3 / /twice rw - xfs /dev/vde rw,prjquota
34 33 98:4 / /twice rw - tmpfs tmpfs rw
mangled
"""
# As xfs_quota 6.1 wrote it on a real file system.
REPORT = """\
#0                   0          0          0     00 [--------]
#1048577         10180          0      10240     00 [--------]

"""
STAND_IN = """#!/bin/sh
# Stands in for xfs_quota: $7 is the command, $8 the mount point.
echo "$7" >> {folder}/told
set -- $7
case $1 in
  project) echo "$5" > {folder}/project; echo "Setting up project $5 (path $4)..." ;;
  limit) [ -e {folder}/deaf ] || echo "$4 0 0 $((${{3#bhard=}} / 1024)) 00 [--------]" > {folder}/limits ;;
  report) [ -e {folder}/broken ] && echo "xfs_quota: cannot find mount point" >&2; sed 's/^/#/' {folder}/limits 2>&1 ;;
esac
exit 0
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "xfs_quota"
    program.write_text(STAND_IN.format(folder=tmp_path))
    program.chmod(0o755)
    (tmp_path / "limits").touch()

    def project(_path: str) -> int:
        told = tmp_path / "project"
        return int(told.read_text()) if told.exists() else 0

    # Only XFS can bear the number.
    monkeypatch.setattr(disk_quota, "project_of", project)
    (tmp_path / "home").mkdir()
    return tmp_path


def quotas(folder: Path) -> Quotas:
    """Quotas of a host that has everything on XFS."""
    info = "22 1 254:0 / / rw - xfs /dev/vda rw,prjquota\n"
    return Quotas(VolumeBook(str(folder / "state")), info, str(folder / "xfs_quota"))


def told(folder: Path) -> list[str]:
    """What xfs_quota was told, reports left out."""
    lines = (folder / "told").read_text().splitlines()
    return [line for line in lines if not line.startswith("report")]


@pytest.mark.parametrize(
    ("path", "mount_point", "kind"),
    [
        ("/", "/", "ext4"),
        ("/home/x", "/", "ext4"),
        ("/var/lib/docker/volumes/x/_data", "/var/lib/docker", "xfs"),
        ("/var/lib/docker2", "/", "ext4"),
        ("/with space/x", "/with space", "xfs"),
        ("/twice/x", "/twice", "tmpfs"),
    ],
)
def test_what_a_path_is_on(path: str, mount_point: str, kind: str) -> None:
    found = file_system(path, MOUNTINFO)
    assert (found.mount_point, found.kind) == (mount_point, kind)


def test_no_mounts_are_no_file_system() -> None:
    assert file_system("/x", "") == FileSystem("", "")


@pytest.mark.parametrize(
    ("path", "program", "why"),
    [
        ("/home/x", "/usr/sbin/xfs_quota", "/home/x is on ext4; limits are enforced on XFS only"),
        ("/srv/x", "/usr/sbin/xfs_quota", "/srv is XFS, mounted without the option prjquota"),
        ("/var/lib/docker/x", "", "the program xfs_quota is missing"),
        ("/with space/x", "/usr/sbin/xfs_quota", "white space in it"),
        ("/var/lib/docker/x", "/usr/sbin/xfs_quota", ""),
    ],
)
def test_why_a_limit_is_only_watched(tmp_path: Path, path: str, program: str, why: str) -> None:
    found = Quotas(VolumeBook(str(tmp_path)), MOUNTINFO, program).unenforced(path)
    assert why in found
    assert bool(why) == bool(found)


def test_a_report_is_read() -> None:
    assert parse_report(REPORT) == {0: Usage(0, 0), 1048577: Usage(10180 * 1024, 10 * MIB)}
    assert parse_report("") == {}


@pytest.mark.parametrize(("limit", "expected"), [(1, 65536), (65536, 65536), (131071, 65536), (10 * MIB, 10 * MIB)])
def test_limits_are_rounded_down_to_blocks(limit: int, expected: int) -> None:
    assert rounded(limit) == expected


def test_a_directory_that_knows_of_no_projects_has_none(tmp_path: Path) -> None:
    assert disk_quota.project_of(str(tmp_path)) == 0


def test_a_limit_is_set_once_and_grows_without_another_walk(stand_in: Path) -> None:
    home = str(stand_in / "home")
    first = quotas(stand_in)
    assert first.lacks("workspace:demo", [home], 10 * MIB)
    first.apply("workspace:demo", [home], 10 * MIB)
    assert told(stand_in) == [
        f"project -s -p {home} {FIRST_PROJECT}", f"limit -p bhard={10 * MIB} {FIRST_PROJECT}",
    ]  # fmt: skip
    second = quotas(stand_in)
    assert not second.lacks("workspace:demo", [home], 10 * MIB)
    assert second.usage("workspace:demo", home) == Usage(0, 10 * MIB)
    assert second.lacks("workspace:demo", [home], 20 * MIB)
    second.apply("workspace:demo", [home], 20 * MIB)
    assert told(stand_in)[2:] == [f"limit -p bhard={20 * MIB} {FIRST_PROJECT}"]


def test_keys_do_not_share_a_project_nor_take_one_that_a_lost_book_gave(stand_in: Path) -> None:
    (stand_in / "limits").write_text(f"{FIRST_PROJECT + 5} 0 0 4 00 [--------]\n")
    found = quotas(stand_in)
    found.apply("workspace:demo", [str(stand_in / "home")], MIB)
    found.apply("volume:data", [str(stand_in / "home")], MIB)
    assert VolumeBook(str(stand_in / "state")).projects() == {
        "workspace:demo": FIRST_PROJECT + 6, "volume:data": FIRST_PROJECT + 7,
    }  # fmt: skip


def test_a_limit_is_lifted_and_its_project_forgotten(stand_in: Path) -> None:
    home = str(stand_in / "home")
    found = quotas(stand_in)
    found.lift("volume:data", [home])
    found.apply("volume:data", [home], MIB)
    found.lift("volume:data", [home])
    assert told(stand_in)[-1] == f"limit -p bhard=0 {FIRST_PROJECT}"
    assert VolumeBook(str(stand_in / "state")).projects() == {}


def run(folder: Path, disk: int, **changes: Any) -> dict[str, Any]:
    """A run of the module over one workspace, as far as disk goes; what its user is told."""
    home = {"Name": "home", "Driver": "local", "Mountpoint": str(folder / "home")}
    home["Labels"] = {"codeopen.volume": "home", "codeopen.workspace": "demo"}
    engine: Any = SimpleNamespace(api=SimpleNamespace(volumes=lambda filters: {"Volumes": [home]}))
    book = VolumeBook(str(folder / "state"))
    limits = DiskLimits(engine, quotas(folder), book, str(folder))
    item = Item({"name": "demo", "image": "i", "disk": disk, **changes}, Observed(), SecretsStore(str(folder), "demo"))
    item.result = first_result(item)
    limits.describe([item])
    limits.apply([item])
    assert "error" not in item.result
    return item.result


def test_a_workspace_that_gets_no_limit_any_more_has_none(stand_in: Path) -> None:
    assert not run(stand_in, 0)["changed"]
    assert run(stand_in, 10 * MIB)["diff"]["after"]["disk"] == 10 * MIB
    # One that goes keeps the limit of the volumes that it leaves.
    assert not run(stand_in, 0, state="absent")["changed"]
    lifted = run(stand_in, 0)
    assert (lifted["diff"]["before"]["disk"], lifted["diff"]["after"]["disk"]) == (10 * MIB, 0)
    assert "disk" not in lifted
    assert told(stand_in)[-1] == f"limit -p bhard=0 {FIRST_PROJECT}"
    assert not run(stand_in, 0)["changed"]
    assert run(stand_in, 20 * MIB)["diff"]["before"]["disk"] == "watched"


@pytest.mark.parametrize(
    ("fault", "text"), [("deaf", "is not in force, although"), ("broken", "failed: xfs_quota: cannot find mount point")]
)
def test_what_xfs_quota_fails_to_do_is_told(stand_in: Path, fault: str, text: str) -> None:
    (stand_in / fault).touch()
    with pytest.raises(WorkspacesError, match=text):
        quotas(stand_in).apply("volume:data", [str(stand_in / "home")], MIB)
