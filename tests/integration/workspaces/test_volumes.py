# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and mounts on a real engine: made, grown, cloned, refused, pruned."""

from __future__ import annotations

import json
import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


class Volumes:
    """The volumes of a host with this test's prefix."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def name(self, name: str) -> str:
        """The volume's name; the host's clean() removes those that begin so."""
        return f"codeopen-{self.host.prefix}-{name}"

    def run(self, *entries: dict[str, Any], check_mode: bool = False, **options: Any) -> dict[str, Any]:
        """The module's result, failed or not."""
        given = [dict(entry, name=self.name(entry["name"])) for entry in entries]
        for entry in given:
            if "clone_from" in entry:
                entry["clone_from"] = self.name(entry["clone_from"])
        options.update(_ansible_check_mode=check_mode, _ansible_diff=True)
        return self.host.call("workspace_volume", volumes=given, state_dir=str(self.host.state_dir), **options)

    def started(self, entry: dict[str, Any]) -> subprocess.Popen[str]:
        """The module, begun."""
        names = {key: self.name(value) for key, value in entry.items()}
        given = {"volumes": [names], "state_dir": str(self.host.state_dir)}
        given["_ansible_remote_tmp"] = str(self.host.state_dir)
        module = "ansible_collections.codeopen.workspaces.plugins.modules.workspace_volume"
        process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        process.stdin.close()
        return process

    def told(self, **options: Any) -> dict[str, Any]:
        """What the info module says, in check mode, of those with this test's prefix."""
        options.update(state_dir=str(self.host.state_dir), _ansible_check_mode=True)
        result = self.host.call("workspace_volume_info", **options)
        assert not result["changed"]
        return {entry["name"]: entry for entry in result["volumes"] if entry["name"].startswith(self.name(""))}

    def path(self, name: str) -> Path:
        """Where its files are."""
        return Path(self.host.client.api.inspect_volume(self.name(name))["Mountpoint"])

    def exists(self, name: str) -> bool:
        """Whether the engine has it."""
        try:
            self.host.client.api.inspect_volume(self.name(name))
        except docker.errors.NotFound:
            return False
        return True

    def steps(self, *entries: dict[str, Any], **options: Any) -> list[str]:
        """What a wish does, after check mode said the same and before a second run does nothing."""
        foretold = self.run(*entries, check_mode=True, **options)
        before = [self.exists(entry["name"]) for entry in entries]
        done = self.run(*entries, **options)
        assert not done.get("failed"), done["msg"]
        assert foretold["volumes"] == done["volumes"]
        assert foretold["diff"] == done["diff"]
        assert done["changed"]
        assert before == [result["diff"]["before"]["state"] != "absent" for result in done["volumes"]]
        assert not self.run(*entries, check_mode=True, **options)["changed"]
        again = self.run(*entries, **options)
        assert not again["changed"]
        assert [result["action"] for result in again["volumes"]] == ["none"] * len(entries)
        return [result["action"] for result in done["volumes"]]


@pytest.fixture
def volumes(host: Host) -> Volumes:
    return Volumes(host)


@pytest.fixture
def container(host: Host) -> Callable[..., Any]:
    """Makes a container with a mount, which runs; the host's clean() removes it."""

    def make(volume: str, mode: str = "rw") -> Any:
        mounts = {volume: {"bind": "/data", "mode": mode}}
        name = f"codeopen-{host.prefix}-c{secrets.token_hex(2)}"
        return host.client.containers.run(
            host.image, entrypoint=["sleep", "600"], name=name, detach=True, volumes=mounts
        )

    return make


def test_a_volume_is_made_changed_and_removed(volumes: Volumes) -> None:
    wish: dict[str, Any] = {"name": "data", "owner": "ada", "size": "1MB", "labels": {"project": "shop"}}
    assert volumes.steps(wish) == ["create"]
    found = volumes.host.client.api.inspect_volume(volumes.name("data"))
    assert found["Labels"] == {
        "codeopen.volume": volumes.name("data"), "codeopen.owner": "ada", "codeopen.budget": "1000000", "project": "shop",
    }  # fmt: skip
    assert os.stat(found["Mountpoint"]).st_uid == 1000
    told = volumes.told()[volumes.name("data")]
    assert (told["owner"], told["size"], told["labels"], told["over"]) == ("ada", 1_000_000, {"project": "shop"}, False)
    assert (told["used_by"], told["orphan"], told["unfinished"]) == ([], False, False)
    assert volumes.steps({**wish, "size": "2MB"}) == ["set"]
    assert volumes.steps({"name": "data", "owner": "eve"}) == ["set"]
    assert volumes.steps({"name": "data", "size": "0"}) == ["set"]
    told = volumes.told()[volumes.name("data")]
    assert (told["owner"], told["size"]) == ("eve", 0)
    assert volumes.steps({"name": "data", "state": "absent"}) == ["remove"]
    assert not volumes.exists("data")
    assert "data" not in (volumes.host.state_dir / "volumes.json").read_text()


def test_a_budget_is_watched_where_the_file_system_cannot_enforce_it(volumes: Volumes) -> None:
    volumes.run({"name": "data", "size": "100kB"})
    (volumes.path("data") / "file").write_bytes(b"x" * 300_000)
    told = volumes.told()[volumes.name("data")]
    if told["enforced"]:
        pytest.skip("this engine keeps volumes on XFS with project quotas")
    assert "limits are enforced on XFS only" in told["watched_because"] or "prjquota" in told["watched_because"]
    assert told["over"]
    assert told["used"] >= 300_000
    assert "used" not in volumes.told(measure=False)[volumes.name("data")]
    shrunk = volumes.run({"name": "data", "size": "200kB"})
    assert "expected a budget that is not below that" in shrunk["msg"]
    assert volumes.steps({"name": "data", "size": "400kB"}) == ["set"]
    assert not volumes.told()[volumes.name("data")]["over"]


def test_a_clone_has_the_same_files_owners_modes_and_times(volumes: Volumes) -> None:
    volumes.run({"name": "data"})
    source = volumes.path("data")
    os.chown(source, 1234, 2345)
    source.chmod(0o2750)
    (source / "folder").mkdir(mode=0o700)
    secret = source / "folder" / ".secret"
    secret.write_text("hush")
    secret.chmod(0o400)
    os.chown(secret, 1000, 33)
    os.utime(secret, (1, 1_000_000))
    os.link(secret, source / "again")
    (source / "link").symlink_to("/nowhere")
    os.mkfifo(source / "pipe")
    os.setxattr(secret, "user.note", b"kept")
    with (source / "holes").open("wb") as stream:
        stream.truncate(50 * 1024**2)
    assert volumes.steps({"name": "copy", "clone_from": "data", "owner": "eve", "size": "1MB"}) == ["clone"]
    target = volumes.path("copy")

    def tree(top: Path) -> dict[str, tuple[Any, ...]]:
        found = {}
        for path in [top, *sorted(top.rglob("*"))]:
            one = path.lstat()
            # The time of directories is that of the last file in them.
            found[str(path.relative_to(top))] = (
                one.st_uid, one.st_gid, one.st_mode, one.st_nlink, one.st_mtime_ns,
                os.readlink(path) if path.is_symlink() else one.st_size if stat.S_ISREG(one.st_mode) else 0,
            )  # fmt: skip
        return found

    assert tree(target) == tree(source)
    assert (target / "folder" / ".secret").read_text() == "hush"
    assert os.getxattr(target / "again", "user.note") == b"kept"
    assert (target / "holes").stat().st_blocks == 0
    secret.unlink()
    assert (target / "folder" / ".secret").exists()


def test_what_a_running_container_may_write_into_is_cloned_by_force_only(
    volumes: Volumes, container: Callable[..., Any]
) -> None:
    volumes.run({"name": "data"})
    (volumes.path("data") / "file").write_text("x")
    running = container(volumes.name("data"))
    clone = {"name": "copy", "clone_from": "data"}
    for check_mode in (True, False):
        refused = volumes.run(clone, check_mode=check_mode)
        assert f"{running.name} may write into '{volumes.name('data')}'" in refused["msg"]
    assert not volumes.exists("copy")
    assert volumes.steps(clone, force=True) == ["clone"]
    running.pause()
    assert volumes.steps({"name": "second", "clone_from": "data"}) == ["clone"]
    running.unpause()
    running.remove(force=True)
    container(volumes.name("data"), "ro")
    assert volumes.steps({"name": "third", "clone_from": "data"}) == ["clone"]
    assert (volumes.path("third") / "file").read_text() == "x"


def test_a_copy_that_fails_leaves_nothing(volumes: Volumes) -> None:
    volumes.run({"name": "data"})
    (volumes.path("data") / "file").write_text("whole")
    # Not even root may read all of these files.
    volumes.host.client.api.create_volume(
        volumes.name("bad"), driver_opts={"type": "none", "o": "bind", "device": "/proc/sys/vm"}
    )
    failed = volumes.run({"name": "copy", "clone_from": "bad"})
    assert "Copying /proc/sys/vm failed: cp: " in failed["msg"]
    assert failed["volumes"][0]["state"] == "failed"
    assert not volumes.exists("copy")
    assert volumes.name("copy") not in (volumes.host.state_dir / "volumes.json").read_text()


def test_a_copy_that_was_killed_is_made_anew(volumes: Volumes) -> None:
    volumes.run({"name": "data"})
    for number in range(5000):
        (volumes.path("data") / str(number)).write_text("whole")
    process = volumes.started({"name": "copy", "clone_from": "data"})
    while not (volumes.exists("copy") and any(volumes.path("copy").iterdir())):
        assert process.poll() is None
    process.kill()
    process.wait()
    left = len(list(volumes.path("copy").iterdir()))
    assert left < 5000
    assert volumes.told()[volumes.name("copy")]["unfinished"]
    assert "is an unfinished copy of" in volumes.run({"name": "copy"})["msg"]
    assert volumes.steps({"name": "copy", "clone_from": "data"}) == ["clone"]
    assert len(list(volumes.path("copy").iterdir())) == 5000
    assert not volumes.told()[volumes.name("copy")]["unfinished"]


def test_a_volume_in_use_is_never_removed(volumes: Volumes, container: Callable[..., Any]) -> None:
    volumes.run({"name": "data"}, {"name": "other"})
    (volumes.path("data") / "file").write_text("x")
    user = container(volumes.name("data"))
    wish = [{"name": "data", "state": "absent"}, {"name": "other", "state": "absent"}]
    for change, state in (
        (user.reload, "running"),
        (user.pause, "paused"),
        (user.unpause, "running"),
        (user.kill, "exited"),
    ):
        change()
        if state == "exited":
            user.wait()
        for check_mode in (True, False):
            refused = volumes.run(*wish, check_mode=check_mode, force=True)
            assert f"is in use by {user.name} ({state})" in refused["msg"]
    told = volumes.told()[volumes.name("data")]
    assert told["used_by"] == [{"container": user.name, "state": "exited", "writes": False}]
    # Nothing was touched, the other one neither.
    assert volumes.exists("other")
    assert (volumes.path("data") / "file").exists()
    user.remove()
    assert volumes.steps(*wish) == ["remove", "remove"]


def test_what_others_made_is_left_alone(volumes: Volumes) -> None:
    volumes.host.client.api.create_volume(volumes.name("theirs"))
    both = volumes.run({"name": "theirs", "state": "absent"}, {"name": "theirs2", "clone_from": "nothing"})
    assert "2 mistakes" in both["msg"]
    assert "is not this collection's" in both["msg"]
    assert "there is no other volume" in both["msg"]
    assert volumes.name("theirs") not in volumes.told()
    labels = {"name": "mine", "labels": {"a": "1"}}
    volumes.run(labels)
    assert "The engine never changes labels" in volumes.run({**labels, "labels": {"a": "2"}})["msg"]


def test_orphans_are_pruned_only_when_that_is_asked_for(volumes: Volumes) -> None:
    host = volumes.host
    host.ok(host.entry("gone"), host.entry("lost"), host.entry("here"), host.entry("kept"))
    mine = [host.name(name) for name in ("gone", "lost", "here", "kept")]
    host.client.containers.get(f"codeopen-{host.name('lost')}").remove(force=True)
    host.ok(host.entry("gone", state="absent"), host.entry("kept", state="absent"))
    volumes.run({"name": "alone", "owner": "ada"})
    # As a Swarm leaves it on a node while its workspace is stopped: labels, and nothing in this host's record.
    labels = {"codeopen.workspace": host.name("asleep"), "codeopen.volume": "home"}
    host.client.api.create_volume(volumes.name("asleep-home"), labels=labels)
    mine.append(host.name("asleep"))
    orphans = {name for name, told in volumes.told().items() if told["orphan"]}
    assert orphans == {volumes.name("gone-home"), volumes.name("kept-home")}
    assert not volumes.run({"name": "alone"})["changed"]
    assert volumes.exists("gone-home")
    options = {"prune_orphans": True, "prune_workspaces": mine}
    foretold = volumes.run({"name": "kept-home"}, check_mode=True, **options)
    assert volumes.exists("gone-home")
    done = volumes.run({"name": "kept-home"}, **options)
    assert foretold["pruned"] == done["pruned"]
    assert [one["name"] for one in done["pruned"]] == [volumes.name("gone-home")]
    left = [name for name in ("gone-home", "lost-home", "here-home", "kept-home", "alone") if volumes.exists(name)]
    assert left == ["lost-home", "here-home", "kept-home", "alone"]
    # A volume that was made again after that has files of another workspace with the name.
    host.client.api.create_volume(
        volumes.name("gone-home"), labels={"codeopen.workspace": host.name("gone"), "codeopen.volume": "home"}
    )
    assert [one["name"] for one in volumes.run(**options)["pruned"]] == [volumes.name("kept-home")]
    assert not volumes.run(**options)["changed"]
    # Whoever loses the record loses no files.
    host.ok(host.entry("here", state="absent"))
    assert volumes.told()[volumes.name("here-home")]["orphan"]
    (host.state_dir / "records.sqlite").unlink()
    assert not any(told["orphan"] for told in volumes.told().values())
    assert not volumes.run(**options)["changed"]
    assert volumes.steps({"name": "asleep-home", "state": "absent"}) == ["remove"]


def test_what_a_workspaces_volumes_have_together(volumes: Volumes) -> None:
    host = volumes.host
    two = [{"name": "home", "path": "/home/developer"}, {"name": "workspace", "path": "/workspace"}]
    done = host.ok(host.entry("one", volumes=two, disk=200_000, owner=f"{host.prefix}-ada"))
    assert done["workspaces"][0]["disk"]["limit"] == 200_000
    (volumes.path("one-home") / "file").write_bytes(b"x" * 150_000)
    (volumes.path("one-workspace") / "file").write_bytes(b"x" * 150_000)
    result = host.call("workspace_volume_info", state_dir=str(host.state_dir))
    (told,) = [one for one in result["workspaces"] if one["name"] == host.name("one")]
    assert told["volumes"] == [volumes.name("one-home"), volumes.name("one-workspace")]
    assert (told["limit"], told["over"]) == (200_000, not told["enforced"])
    assert bool(told["watched_because"]) != told["enforced"]
    one = volumes.told()[volumes.name("one-home")]
    assert (one["workspace"], one["owner"]) == (host.name("one"), f"{host.prefix}-ada")
    assert [use["container"] for use in one["used_by"]] == [f"codeopen-{host.name('one')}"]
    # A budget of its own takes a volume out of what they share.
    assert volumes.steps({"name": "one-home", "size": "1MB"}) == ["set"]
    result = host.call("workspace_volume_info", state_dir=str(host.state_dir), names=[volumes.name("one-workspace")])
    assert result["workspaces"][0]["volumes"] == [volumes.name("one-workspace")]
    assert not result["workspaces"][0]["over"]
    assert not host.ok(host.entry("one", volumes=two, disk=200_000, owner=f"{host.prefix}-ada"))["changed"]
    host.ok(host.entry("one", state="absent"), purge=True)
    assert volumes.name("one-home") not in (host.state_dir / "volumes.json").read_text()


def test_mounts_of_directories_and_volumes(volumes: Volumes, tmp_path: Path) -> None:
    host, owner = volumes.host, f"{volumes.host.prefix}-ada"
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "file").write_text("from the host")
    volumes.run({"name": "sets", "owner": owner})
    mounts = [
        {"source": str(folder), "target": "/data", "read_only": True, "uid": os.getuid()},
        {"source": volumes.name("sets"), "target": "/sets"},
    ]
    wish = host.entry("one", owner=owner, mounts=mounts)
    assert host.ok(wish, check_mode=True)["workspaces"][0]["action"] == "create"
    assert host.ok(wish)["workspaces"][0]["action"] == "create"
    assert not host.ok(wish)["changed"]
    assert host.info(host.name("one"))[0]["drift"] == {}
    container = host.client.containers.get(f"codeopen-{host.name('one')}")
    assert container.exec_run(["cat", "/data/file"]).output == b"from the host"
    assert container.exec_run(["touch", "/data/file"]).exit_code != 0
    assert container.exec_run(["touch", "/sets/file"]).exit_code == 0
    assert (volumes.path("sets") / "file").exists()
    assert "is in use by" in volumes.run({"name": "sets", "state": "absent"})["msg"]
    fewer = host.entry("one", owner=owner, mounts=mounts[1:])
    changed = host.ok(fewer, check_mode=True)["workspaces"][0]
    assert (changed["action"], changed["diff"]["after"]["mounts"]) == ("update", [f"{volumes.name('sets')}:/sets"])
    assert host.ok(fewer)["changed"]


def test_the_volumes_of_a_workspace_are_its_owners(volumes: Volumes) -> None:
    host = volumes.host
    ada, eve = f"{host.prefix}-ada", f"{host.prefix}-eve"
    mounts = [{"source": volumes.name("adas-home"), "target": "/other"}]
    adas, spying = host.entry("adas", owner=ada), host.entry("one", owner=eve, mounts=mounts)
    host.ok(adas)
    for wish in ([spying], [adas, spying], [host.entry("adas", state="absent"), spying]):
        for check_mode in (True, False):
            refused = host.run(*wish, check_mode=check_mode)
            assert f"the volume is {ada}'s, and the workspace is that of {eve}" in refused["msg"]
    assert "the workspace is nobody's" in host.run(host.entry("one", mounts=mounts))["msg"]
    assert host.container("one") is None
    assert host.container("adas") is not None
    # Her own workspaces may have it, and those of whom it is given to.
    assert host.ok(host.entry("two", owner=ada, mounts=mounts))["changed"]
    host.ok(host.entry("two", state="absent"))
    assert volumes.steps({"name": "adas-home", "owner": eve}) == ["set"]
    assert host.ok(spying)["changed"]


def test_a_volume_of_a_workspace_of_unknown_owner_is_nobody_elses(volumes: Volumes) -> None:
    host = volumes.host
    mounts = [{"source": volumes.name("theirs"), "target": "/other"}]
    volumes.run({"name": "theirs", "workspace": host.name("theirs")})
    wish = host.entry("one", mounts=mounts)
    assert "does not know whose it is" in host.run(wish)["msg"]
    assert not host.run(host.entry("theirs"), wish, check_mode=True).get("failed")


def test_mounts_that_no_workspace_may_have_are_told_at_once(volumes: Volumes, tmp_path: Path) -> None:
    host = volumes.host
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    volumes.run({"name": "sets", "owner": "eve"})
    sources = [folder, link, tmp_path / "none", host.state_dir, volumes.name("sets"), volumes.name("nothing")]
    mounts = [{"source": str(source), "target": f"/m{number}", "uid": 4321} for number, source in enumerate(sources)]
    for mount in mounts[4:]:
        del mount["uid"]
    for check_mode in (True, False):
        refused = host.run(host.entry("one", mounts=mounts), host.entry("two"), check_mode=check_mode)
        assert "6 mistakes" in refused["msg"]
        for text in ("expected 4321", "symbolic link", "No such file", "no workspace gets", "eve's", "no such volume"):
            assert text in refused["msg"]
    assert host.container("one") is None
    assert host.container("two") is None
    both = host.run(host.entry("one", mounts=[{"source": "/etc", "target": "/x"}, {"source": "/", "target": "/y"}]))
    assert "2 mistakes" in both["msg"]
