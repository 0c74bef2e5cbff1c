# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a host keeps: the network file's format, and writing that leaves no halves."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import memory_folder as memory_folders
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import LockLost, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import memory_folder
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_file import (
    KEYS,
    file_text,
    settings_text,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import (
    SecretsStore,
    problems_of_secrets,
)

PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def test_settings_are_lines_and_the_bundle_comes_last() -> None:
    network = {
        "ca_bundle": f"# Company\n{PEM}\n\n",
        "pip_index": "http://p",
        "http_proxy": "http://h",
        "no_proxy": None,
    }
    assert settings_text(network) == f"http_proxy=http://h\npip_index=http://p\n{PEM}\n"


@pytest.mark.parametrize("network", [None, {}, dict.fromkeys(KEYS), dict.fromkeys(KEYS, "")])
def test_nothing_set_is_an_empty_text(network: object) -> None:
    assert settings_text(network) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ({"htpp_proxy": "x"}, "did you mean 'http_proxy'"),
        ({"http_proxy": "a\nb"}, "network.http_proxy has several lines"),
        ({"ca_bundle": "no certificate"}, "network.ca_bundle has no '-----BEGIN CERTIFICATE-----'"),
    ],
)
def test_mistakes_are_named(network: dict[str, str], text: str) -> None:
    with pytest.raises(WorkspacesError, match=text):
        settings_text(network)


def test_the_hosts_bundle_is_added_where_none_is_set(tmp_path: Path) -> None:
    bundle = tmp_path / "host.crt"
    bundle.write_text(f"# Host\n{PEM}\n")
    places = (str(tmp_path / "none"), str(bundle))
    assert file_text("a=b\n", places) == f"a=b\n{PEM}\n"
    assert file_text(f"a=b\n{PEM}X\n", places) == f"a=b\n{PEM}X\n"
    assert file_text("a=b\n", (str(tmp_path / "none"),)) == "a=b\n"


@as_root
def test_a_password_is_made_once(tmp_path: Path) -> None:
    store = SecretsStore(str(tmp_path), "demo")
    assert (store.exists, store.password()) == (False, None)
    assert store.ensure_password()
    password = store.password()
    assert not SecretsStore(str(tmp_path), "demo").ensure_password()
    assert store.password() == password
    other = SecretsStore(str(tmp_path), "other")
    other.ensure_password()
    assert other.password() != password


@as_root
def test_what_a_killed_write_left_is_replaced(tmp_path: Path) -> None:
    store = SecretsStore(str(tmp_path), "demo")
    store.ensure_password()
    Path(store.secrets_dir, "network.new").write_text("half")
    store.write_network("a=b\n")
    assert store.network() == "a=b\n"
    assert sorted(os.listdir(store.secrets_dir)) == ["network", "password"]
    store.write_network("")
    assert os.listdir(store.secrets_dir) == ["password"]


@as_root
def test_the_former_network_file_comes_back_also_for_a_later_run(tmp_path: Path) -> None:
    store = SecretsStore(str(tmp_path), "demo")
    for former in ("", "a=b\n"):
        store.write_network(former)
        store.keep_network()
        store.write_network("c=d\n")
        SecretsStore(str(tmp_path), "demo").restore_network()
        assert store.network() == former
        # What was kept once is not brought back twice.
        store.write_network("e=f\n")
        store.restore_network()
        assert store.network() == "e=f\n"
    store.keep_network()
    store.forget_network()
    store.write_network("g=h\n")
    store.restore_network()
    assert store.network() == "g=h\n"


@as_root
def test_a_run_that_lost_its_locks_changes_no_file(tmp_path: Path) -> None:
    before = SecretsStore(str(tmp_path), "demo", str(tmp_path / "memory"))
    before.ensure_password()
    before.write_user_secrets({"token": "1"})
    before.write_network("a=b\n")
    before.keep_network()
    before.write_ports({"web": 1})
    before.write_asked({"a": 1})
    files = {path: os.lstat(path).st_ino for path in sorted(tmp_path.rglob("*"))}

    def lost() -> None:
        raise LockLost("lost")

    store = SecretsStore(str(tmp_path), "demo", str(tmp_path / "memory"), lost)
    changes: list[Callable[[], object]] = [
        lambda: SecretsStore(str(tmp_path), "other", check=lost).ensure_password(),
        lambda: store.write_user_secrets({"token": "2"}),
        lambda: store.write_user_secrets({}),
        lambda: store.write_network("c=d\n"),
        lambda: store.write_network(""),
        store.keep_network,
        store.forget_network,
        lambda: store.write_ports({"web": 2}),
        lambda: store.write_asked({"a": 2}),
        store.purge,
    ]
    for change in changes:
        with pytest.raises(LockLost):
            change()
    assert {path: os.lstat(path).st_ino for path in sorted(tmp_path.rglob("*"))} == files


@as_root
def test_user_secrets_are_replaced_and_removed_beside_the_collections_own(tmp_path: Path) -> None:
    store = SecretsStore(str(tmp_path), "demo")
    assert store.user_secrets() == {}
    store.ensure_password()
    store.write_user_secrets({"token": "1", "ssh-key": "a\nb\n"})
    before = os.stat(Path(store.secrets_dir, "ssh-key"))
    Path(store.secrets_dir, "token.new").write_text("half")
    store.write_user_secrets({"token": "2", "ssh-key": "a\nb\n"})
    assert store.user_secrets() == {"token": "2", "ssh-key": "a\nb\n"}
    assert os.stat(Path(store.secrets_dir, "ssh-key")).st_ino == before.st_ino
    assert (before.st_mode & 0o777, before.st_uid) == (0o400, 1000)
    store.write_user_secrets({})
    assert sorted(os.listdir(store.secrets_dir)) == ["password"]


@as_root
def test_user_secrets_in_memory_are_links_and_move_to_disk_and_back(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    in_memory, on_disk = SecretsStore(str(tmp_path), "demo", str(memory)), SecretsStore(str(tmp_path), "demo")
    in_memory.ensure_password()
    files = {"token": "1", "key": "2"}
    in_memory.write_user_secrets(files)
    place = Path(in_memory.secrets_dir, "token")
    assert os.readlink(place) == "/run/codeopen/secrets-in-memory/token"
    assert not Path(in_memory.secrets_dir, "password").is_symlink()
    value = memory / "demo/token"
    assert (value.read_text(), value.stat().st_mode & 0o777, value.stat().st_uid) == ("1", 0o400, 1000)
    assert (value.parent.stat().st_mode & 0o777, value.parent.stat().st_uid) == (0o500, 1000)
    assert (in_memory.user_secrets(), in_memory.misplaced(files)) == (files, [])
    # A reboot, after which the engine makes the folder as root's.
    shutil.rmtree(memory)
    (memory / "demo").mkdir(parents=True)
    assert in_memory.user_secrets() == {}
    in_memory.write_user_secrets(files)
    assert in_memory.user_secrets() == files
    assert (value.parent.stat().st_mode & 0o777, value.parent.stat().st_uid) == (0o500, 1000)
    # And to disk.
    assert on_disk.misplaced(files) == ["key", "token"]
    on_disk.write_user_secrets(files)
    assert (place.read_text(), place.is_symlink(), on_disk.misplaced(files)) == ("1", False, [])
    assert in_memory.misplaced(files) == ["key", "token"]
    in_memory.write_user_secrets({"token": "1"})
    assert in_memory.user_secrets() == {"token": "1"}
    assert sorted(os.listdir(in_memory.secrets_dir)) == ["password", "token"]
    in_memory.write_user_secrets({})
    assert (os.listdir(in_memory.secrets_dir), "token" in os.listdir(value.parent)) == (["password"], False)
    in_memory.purge()
    assert not value.parent.exists()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places in memory, as this test has them."""
    found = [str(tmp_path / name) for name in ("run", "shm")]
    for place in found:
        os.mkdir(place)
    monkeypatch.setattr(memory_folders, "PLACES", tuple(found))
    return found


@as_root
@pytest.mark.parametrize("place", [0, 1])
def test_nothing_stays_in_memory_when_secrets_are_to_be_on_disk(tmp_path: Path, places: list[str], place: int) -> None:
    memory = memory_folders.folder_at(places[place], str(tmp_path))
    in_memory, on_disk = SecretsStore(str(tmp_path), "demo", memory), SecretsStore(str(tmp_path), "demo")
    other = SecretsStore(str(tmp_path), "other", memory)
    other.write_user_secrets({"token": "other"})
    in_memory.write_user_secrets({"token": "1", "old": "2"})
    assert on_disk.misplaced({"token": "1"}) == ["token"]
    on_disk.write_user_secrets({"token": "1"})
    # A container that has the folder mounted would not see one that is made anew.
    assert os.listdir(in_memory.memory_dir) == []
    assert (on_disk.user_secrets(), on_disk.misplaced({"token": "1"})) == ({"token": "1"}, [])
    # What was left there by runs that forgot it is found beside the file on disk.
    Path(in_memory.memory_dir, "token").write_text("1")
    assert on_disk.misplaced({"token": "1"}) == ["token"]
    on_disk.write_user_secrets({"token": "1"})
    assert (os.listdir(in_memory.memory_dir), on_disk.misplaced({"token": "1"})) == ([], [])
    assert other.user_secrets() == {"token": "other"}


@as_root
def test_a_purge_removes_what_is_in_memory_wherever_secrets_are_now(tmp_path: Path, places: list[str]) -> None:
    memory = memory_folders.folder_at(places[0], str(tmp_path))
    for left, purging in (("disk", ""), ("memory", memory)):
        in_memory = SecretsStore(str(tmp_path), "demo", memory)
        in_memory.write_user_secrets({"token": left})
        shutil.rmtree(in_memory.path)
        store = SecretsStore(str(tmp_path), "demo", purging)
        assert store.exists
        store.purge()
        assert not os.path.exists(in_memory.memory_dir)
        assert not store.exists


@as_root
def test_a_folder_in_memory_of_somebody_else_is_left_alone(tmp_path: Path, places: list[str]) -> None:
    trap, aim = Path(memory_folders.folder_at(places[1], str(tmp_path))), tmp_path / "aim"
    (aim / "demo").mkdir(parents=True)
    (aim / "demo" / "file").write_text("precious")
    trap.symlink_to(aim)
    store = SecretsStore(str(tmp_path), "demo")
    store.write_user_secrets({"token": "1"})
    store.purge()
    assert (aim / "demo" / "file").exists()
    trap.unlink()
    aim.rename(trap)
    os.chown(trap, 1234, 1234)
    store.write_user_secrets({"token": "1"})
    store.purge()
    assert (trap / "demo" / "file").exists()


@as_root
@pytest.mark.parametrize("trap", ["owner", "mode", "link"])
def test_a_folder_in_memory_that_somebody_else_made_is_refused(tmp_path: Path, trap: str) -> None:
    memory, aim = tmp_path / "memory", tmp_path / "aim"
    aim.mkdir()
    if trap == "link":
        memory.symlink_to(aim)
    else:
        memory.mkdir()
        memory.chmod(0o777 if trap == "mode" else 0o755)
        os.chown(memory, 1234 if trap == "owner" else 0, 0)
    with pytest.raises(WorkspacesError, match=f"{memory} is not this user's own directory"):
        SecretsStore(str(tmp_path), "demo", str(memory)).write_user_secrets({"token": "hush"})
    assert list(aim.iterdir()) == []


@pytest.mark.parametrize(
    ("mounts", "place"),
    [
        ("tmpfs /run tmpfs rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n", "/run/codeopen-"),
        ("/dev/sda / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n", "/dev/shm/codeopen-"),
        ("tmpfs /run tmpfs rw 0 0\n/dev/sda /run ext4 rw 0 0\nshm /dev/shm tmpfs rw 0 0\n", "/dev/shm/codeopen-"),
    ],
)
def test_the_place_in_memory_is_one(tmp_path: Path, mounts: str, place: str) -> None:
    table = tmp_path / "mounts"
    table.write_text(mounts)
    one, other = (memory_folder(state_dir, str(table)) for state_dir in ("/var/lib/codeopen", "/srv/codeopen"))
    assert one.startswith(place)
    assert one != other


def test_a_host_without_a_place_in_memory_is_told_what_to_do(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text("/dev/sda / ext4 rw 0 0\n/dev/sda /run ext4 rw 0 0\n")
    with pytest.raises(WorkspacesError, match=r"no file system in memory at /run or /dev/shm.*secrets_in: disk"):
        memory_folder("/var/lib/codeopen", str(table))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "secrets: expected a mapping of workspaces, got list"),
        ({"demo": "hush"}, r"secrets\.demo: expected a mapping of file names to values, got str"),
        ({"demo": {"../x": "hush"}}, r"'\.\./x' is not a secret's file name"),
        ({"demo": {"a.new": "hush"}}, "not ending in '.new'"),
        ({"demo": {"password": "hush"}}, r"secrets\.demo\.password: this file is the collection's own"),
        ({"demo": {"a": ""}}, "expected a text, got an empty text; leave the name out"),
        ({"demo": {"a": 5}}, "expected a text, got int"),
        ({"demo": {"a": "hush\0"}}, "expected a text"),
    ],
)
def test_mistakes_in_secrets_are_named_without_values(given: object, text: str) -> None:
    (problem,) = problems_of_secrets(given)
    assert re.search(text, problem)
    assert "hush" not in problem


def test_good_secrets_have_no_mistakes() -> None:
    assert problems_of_secrets({"demo": {"github-token": "x", "a.b_c": "y"}, "other": {}}) == []


@as_root
def test_ports_are_recorded_and_purged(tmp_path: Path) -> None:
    store = SecretsStore(str(tmp_path), "demo")
    store.write_ports({"web": 20001})
    assert SecretsStore(str(tmp_path), "demo").ports() == {"web": 20001}
    store.purge()
    assert (store.exists, store.ports()) == (False, {})


@as_root
def test_a_broken_record_of_ports_is_named(tmp_path: Path) -> None:
    store = SecretsStore(str(tmp_path), "demo")
    store.write_ports({"web": 20001})
    Path(store.path, "ports.json").write_text("[1")
    with pytest.raises(WorkspacesError, match=r"demo/ports\.json is not a JSON object"):
        store.ports()


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SecretsStore(str(tmp_path / "file"), "demo")
    with pytest.raises(WorkspacesError, match="cannot be made"):
        store.ensure_password()
