# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes: what is read from the engine's listings, what is to be done, what is refused, and who is an orphan."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import LABEL_VOLUME
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import engine_seconds
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_OWNER, LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import format_size
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.states import Transition
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_book import VolumeBook
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_orphans import (
    Knowledge,
    gather,
    is_orphan,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import (
    LABEL_BUDGET,
    Use,
    Volume,
    VolumeWish,
    action_for,
    owner_of,
    parse_volumes,
    parse_wishes,
    refusals,
    shrunk,
    size_of,
)

RUNNING, PAUSED = Use("web", "running", True), Use("web", "paused", False)
MADE, MADE_AT = "2030-01-31T10:00:00Z", 1896084000.0
REMOVED = {"demo": MADE_AT + 60}


def volume(name: str = "data", path: str = "/v/data", uses: tuple[Use, ...] = (), **labels: str) -> Volume:
    """A volume of this collection."""
    own = {LABEL_VOLUME: name, **{f"codeopen.{key}": value for key, value in labels.items()}}
    return Volume(name, "local", path, own, used_by=uses, created=MADE)


def row(**changes: Any) -> dict[str, Any]:
    """A row of the engine's listing of volumes."""
    made = {"Name": "data", "Driver": "local", "Mountpoint": "/v/data/_data", "Labels": None, "Options": None}
    return {**made, **changes}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "/v/data/_data"),
        ({"Options": {"type": "none", "o": "rw,bind", "device": "/srv/data"}}, "/srv/data"),
        ({"Options": {"type": "nfs", "o": "addr=10.0.0.1", "device": ":/data"}}, ""),
        ({"Options": {"type": "tmpfs", "o": "size=1m", "device": "tmpfs"}}, ""),
        ({"Driver": "rclone"}, ""),
    ],
    ids=str,
)
def test_where_the_files_of_a_volume_are(changes: dict[str, Any], path: str) -> None:
    assert parse_volumes([row(**changes)], [])["data"].path == path


@pytest.mark.parametrize(
    ("mount", "state", "use"),
    [
        ({"Type": "volume", "Name": "data", "RW": True}, "running", Use("web", "running", True)),
        ({"Type": "volume", "Name": "data", "RW": False}, "running", Use("web", "running", False)),
        ({"Type": "volume", "Name": "data", "RW": True}, "exited", Use("web", "exited", False)),
        ({"Type": "volume", "Name": "data", "RW": True}, "paused", Use("web", "paused", False)),
        ({"Type": "bind", "Source": "/v/data/_data/sub", "RW": True}, "restarting", Use("web", "restarting", True)),
        ({"Type": "bind", "Source": "/v/data/_data2", "RW": True}, "running", None),
        ({"Type": "volume", "Name": "data2", "RW": True}, "running", None),
        ({"Type": "tmpfs"}, "running", None),
    ],
    ids=str,
)
def test_who_uses_a_volume(mount: dict[str, Any], state: str, use: Use | None) -> None:
    container = {"Names": ["/web"], "State": state, "Mounts": [mount]}
    assert parse_volumes([row()], [container])["data"].used_by == ((use,) if use else ())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "../x"}, "not a volume's name"),
        ({"name": "x"}, "at least two"),
        ({"name": ""}, "not a volume's name"),
        ({"owner": "Ada L"}, "owner 'Ada L'"),
        ({"workspace": "a--b"}, "workspace 'a--b'"),
        ({"size": "much"}, "size: 'much' is not a size"),
        ({"size": "-1GB"}, "size: '-1GB' is not a size"),
        ({"labels": {"codeopen.owner": "me"}}, "labels in 'codeopen.' are the collection's own"),
        ({"state": "absent", "clone_from": "other"}, "clone_from is given, and state is absent"),
    ],
    ids=str,
)
def test_mistakes_of_the_list_are_named(changes: dict[str, Any], text: str) -> None:
    problems: list[str] = []
    parse_wishes([{"name": "data", **changes}, {"name": "fine", "size": "1GB"}], problems)
    assert len(problems) == 1
    assert text in problems[0]


def test_a_name_twice_is_a_mistake() -> None:
    problems: list[str] = []
    parse_wishes([{"name": "data"}, {"name": "data"}], problems)
    assert problems == ["Volume 'data' is in the list more than once."]


def test_labels_of_a_new_volume() -> None:
    wish = parse_wishes([{"name": "data", "owner": "ada", "size": "1kB", "labels": {"n": 1}, "workspace": "demo"}], [])
    assert wish[0].all_labels() == {
        LABEL_VOLUME: "data", "n": "1", LABEL_OWNER: "ada", LABEL_WORKSPACE: "demo", LABEL_BUDGET: "1000",
    }  # fmt: skip
    assert VolumeWish("data").all_labels() == {LABEL_VOLUME: "data"}


@pytest.mark.parametrize(
    ("wish", "found", "known", "action"),
    [
        (VolumeWish("data"), None, {}, "create"),
        (VolumeWish("data", clone_from="x"), None, {}, "clone"),
        (VolumeWish("data", clone_from="x"), volume(), {}, "none"),
        (VolumeWish("data"), volume(), {"unfinished": ""}, "create"),
        (VolumeWish("data", clone_from="x"), volume(), {"unfinished": "x"}, "clone"),
        (VolumeWish("data"), volume(owner="ada", budget="5"), {}, "none"),
        (VolumeWish("data", owner="ada", size=5), volume(owner="ada", budget="5"), {}, "none"),
        (VolumeWish("data", size=6), volume(budget="5"), {}, "set"),
        (VolumeWish("data", size=5), volume(budget="5"), {"size": 6}, "set"),
        (VolumeWish("data", size=6), volume(budget="5"), {"size": 6}, "none"),
        (VolumeWish("data", size=0), volume(budget="5"), {}, "set"),
        (VolumeWish("data", owner="eve"), volume(owner="ada"), {}, "set"),
        (VolumeWish("data", owner=""), volume(owner="ada"), {}, "set"),
        (VolumeWish("data", absent=True), volume(), {}, "remove"),
        (VolumeWish("data", absent=True), None, {}, "none"),
    ],
    ids=str,
)
def test_what_is_to_be_done(wish: VolumeWish, found: Volume | None, known: dict[str, Any], action: str) -> None:
    assert action_for(wish, found, known) == action


def test_the_book_wins_over_labels() -> None:
    found = volume(owner="ada", budget="5")
    assert (owner_of(found, {}), size_of(found, {})) == ("ada", 5)
    assert (owner_of(found, {"owner": "eve"}), size_of(found, {"size": 0})) == ("eve", 0)
    assert size_of(volume(budget="x"), {}) == 0


@pytest.mark.parametrize(
    ("wish", "found", "known", "text"),
    [
        (VolumeWish("data"), Volume("data", "local", "/v", {}), {}, "has no label codeopen.volume, and is left alone"),
        (VolumeWish("data", absent=True), Volume("data", "local", "/v", {}), {}, "left alone"),
        (VolumeWish("data", absent=True), volume(uses=(RUNNING,)), {}, "in use by web (running)"),
        (VolumeWish("data", absent=True), volume(uses=(PAUSED,)), {}, "A volume in use is never removed"),
        (VolumeWish("data", clone_from="src"), volume(uses=(PAUSED,)), {"unfinished": "src"}, "in use by web (paused)"),
        (VolumeWish("data"), volume(), {"unfinished": "src"}, "an unfinished copy of src: give clone_from: src"),
        (VolumeWish("data", labels={"a": "2"}), volume(), {}, "The engine never changes labels"),
        (VolumeWish("data", workspace="demo"), volume(workspace="shop"), {}, "belongs to shop, and demo is asked for"),
        (VolumeWish("data", clone_from="srx"), None, {}, "did you mean 'src'?"),
        (VolumeWish("data", clone_from="data"), None, {}, "there is no other volume 'data'"),
        (VolumeWish("data", clone_from="far"), None, {}, "the files of 'far' are not on this host (driver local)"),
        (VolumeWish("data", clone_from="busy"), None, {}, "web may write into 'busy' while it is copied"),
    ],
    ids=str,
)
def test_what_is_refused(wish: VolumeWish, found: Volume | None, known: dict[str, Any], text: str) -> None:
    others = [volume("src"), volume("far", path=""), volume("busy", uses=(RUNNING,))]
    there = {one.name: one for one in [*others, *([found] if found else [])]}
    problems = list(refusals(wish, there, known, force=False))
    assert len(problems) == 1
    assert text in problems[0]


@pytest.mark.parametrize(
    ("wish", "found", "known", "force"),
    [
        (VolumeWish("data", clone_from="busy"), None, {}, True),
        (VolumeWish("data", clone_from="still"), None, {}, False),
        (VolumeWish("data", clone_from="gone"), volume(), {}, False),
        (VolumeWish("data", absent=True), volume(), {"unfinished": "src"}, False),
        (VolumeWish("data"), volume(uses=(RUNNING,)), {"unfinished": ""}, False),
        (VolumeWish("data", size=9, labels={}), volume(uses=(RUNNING,), workspace="demo"), {}, False),
    ],
    ids=str,
)
def test_what_is_not_refused(wish: VolumeWish, found: Volume | None, known: dict[str, Any], force: bool) -> None:
    others = [volume("busy", uses=(RUNNING,)), volume("still", uses=(PAUSED,))]
    there = {one.name: one for one in [*others, *([found] if found else [])]}
    assert list(refusals(wish, there, known, force)) == []


def test_a_budget_is_not_below_what_is_there() -> None:
    assert "size is 1 kB, and 2 kB are in it" in shrunk(VolumeWish("data", size=1000), 2000)
    assert shrunk(VolumeWish("data", size=2000), 2000) == ""
    assert shrunk(VolumeWish("data", size=0), 2000) == ""


@pytest.mark.parametrize(
    ("found", "known", "orphan"),
    [
        (volume(workspace="demo"), Knowledge(removed=REMOVED), True),
        (volume(workspace="demo"), Knowledge(["shop"], ["shop"], REMOVED), True),
        # Whoever loses the record, or never had one of it, loses nothing.
        (volume(workspace="demo"), Knowledge(), False),
        (volume(workspace="demo"), Knowledge(removed={"shop": MADE_AT + 60}), False),
        (volume(workspace="demo"), Knowledge(["demo"], removed=REMOVED), False),
        (volume(workspace="demo"), Knowledge(swarm=["demo"], removed=REMOVED), False),
        (volume(workspace="demo"), Knowledge(swarm=None, removed=REMOVED), False),
        (volume(workspace="demo"), Knowledge(removed={"demo": MADE_AT - 1}), False),
        (Volume("data", "local", "/v", volume(workspace="demo").labels), Knowledge(removed=REMOVED), False),
        (volume(workspace="demo", uses=(PAUSED,)), Knowledge(removed=REMOVED), False),
        (volume(), Knowledge(removed=REMOVED), False),
        (Volume("data", "local", "/v", {LABEL_WORKSPACE: "demo"}, MADE), Knowledge(removed=REMOVED), False),
    ],
    ids=str,
)
def test_orphans(found: Volume, known: Knowledge, orphan: bool) -> None:
    assert is_orphan(found, known) is orphan


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (MADE, MADE_AT),
        ("2030-01-31T12:00:00+02:00", MADE_AT),
        ("2030-01-31T10:00:00.123456789Z", MADE_AT + 0.123456789),
    ],
)
def test_when_a_volume_was_made(created: str, expected: float) -> None:
    assert engine_seconds(created) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("created", ["", "yesterday", "2030-01-31T10:00:00"])
def test_a_volume_of_which_nobody_knows_when_it_was_made_is_no_orphan(created: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        engine_seconds(created)
    found = Volume("data", "local", "/v", {LABEL_VOLUME: "data", LABEL_WORKSPACE: "demo"}, created)
    assert not is_orphan(found, Knowledge(removed=REMOVED))


def swarm(info: dict[str, Any], services: Any = (), configs: Any = ()) -> Any:
    """An engine with this Swarm; an exception for services is what listing them comes to."""

    def listing(found: Any) -> Any:
        def rows(filters: dict[str, Any]) -> list[dict[str, Any]]:
            assert filters == {"label": [LABEL_WORKSPACE]}
            if isinstance(found, Exception):
                raise found
            return [{"Spec": {"Labels": {LABEL_WORKSPACE: name}}} for name in found]

        return rows

    api = SimpleNamespace(info=lambda: {"Swarm": info}, services=listing(services), configs=listing(configs))
    return SimpleNamespace(api=api)


MANAGER = {"LocalNodeState": "active", "ControlAvailable": True}


@pytest.mark.parametrize(
    ("engine", "known"),
    [
        (swarm({}), set()),
        (swarm({"LocalNodeState": "inactive"}), set()),
        (swarm(MANAGER, ["demo"], ["demo", "gone"]), {"demo", "gone"}),
        (swarm({"LocalNodeState": "active", "ControlAvailable": False}), None),
        (swarm({"LocalNodeState": "locked"}), None),
        (swarm(MANAGER, docker.errors.APIError("no quorum")), None),
    ],
)
def test_what_a_swarm_knows_of_workspaces(engine: Any, known: set[str] | None, tmp_path: Any) -> None:
    assert gather(engine, str(tmp_path), ["here"]) == Knowledge(["here"], known if known is None else frozenset(known))


def test_only_those_whose_record_ends_with_their_removal_were_removed(tmp_path: Any) -> None:
    records = Records(str(tmp_path))
    for name, states in {"demo": ["removed"], "back": ["removed", "created"], "lost": ["lost"]}.items():
        for state in states:
            records.add(name, [Transition("", state, "as told")], "me", "run")
    removed = gather(swarm({}), str(tmp_path), []).removed
    assert sorted(removed) == ["demo"]
    assert abs(removed["demo"] - time.time()) < 10


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (20 * 10**9, "20 GB"), (10**16, "10000 TB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert format_size(size) == text


def test_the_book_is_kept(tmp_path: Any) -> None:
    book = VolumeBook(str(tmp_path / "state"))
    assert (book.volumes(), book.projects()) == ({}, {})
    book.forget_volume("data")
    assert not (tmp_path / "state").exists()
    book.write_volume("data", {"size": 5})
    book.add_project("volume:data", 7)
    again = VolumeBook(str(tmp_path / "state"))
    assert (again.volumes(), again.projects()) == ({"data": {"size": 5}}, {"volume:data": 7})
    again.forget_volume("data")
    again.forget_project("volume:data")
    assert VolumeBook(str(tmp_path / "state")).volumes() == {}


def test_what_the_engine_has_no_longer_is_forgotten(tmp_path: Any) -> None:
    book = VolumeBook(str(tmp_path))
    for name in ("data", "gone"):
        book.write_volume(name, {"size": 5})
    for number, key in enumerate(["volume:data", "volume:gone", "workspace:demo", "workspace:old"]):
        book.add_project(key, number)
    book.forget_others(["data", "other"], ["old", "never"])
    again = VolumeBook(str(tmp_path))
    assert again.volumes() == {"data": {"size": 5}}
    assert again.projects() == {"volume:data": 0, "workspace:demo": 2}


def test_a_damaged_book_is_named(tmp_path: Any) -> None:
    (tmp_path / "volumes.json").write_text('{"volumes": [1]}')
    with pytest.raises(WorkspacesError, match=r"volumes\.json is not a book of volumes"):
        VolumeBook(str(tmp_path)).volumes()
