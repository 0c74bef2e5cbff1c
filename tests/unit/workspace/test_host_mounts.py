# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories and volumes of the host for workspaces: which are refused, and what the engine is asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import problems_of
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_mounts import host_problems
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_paths import SYSTEM_PLACES, system_place
from ansible_collections.codeopen.workspaces.plugins.module_utils.mounts import engine_mounts, problems_of_mounts, words
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_OWNER, LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.volume_owners import owners_of
from ansible_collections.codeopen.workspaces.plugins.module_utils.volumes import Volume

ME = os.getuid()


def entry(*mounts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A workspace with these mounts."""
    volumes = [{"name": "home", "path": "/home/developer"}]
    return {"name": "demo", "volumes": volumes, "mounts": list(mounts), **changes}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", "/bin"), ("/etc", "/etc"), ("/etc/ssl", "/etc"), ("/proc/1/root", "/proc"), ("/sys", "/sys"),
        ("/boot", "/boot"), ("/var/lib/docker/volumes", "/var/lib"), ("/var", "/var/backups"),
        ("/run/docker.sock", "/run"), ("/root", "/root"), ("/usr/local/share", "/usr"), ("/dev/shm", "/dev"),
        ("/srv", ""), ("/srv/etc", ""), ("/etcetera", ""), ("/home/ada", ""), ("/var/data", ""), ("/opt/models", ""),
        ("/data/docker/volumes", "/data/docker"), ("/data", "/data/docker"), ("/data/dockers", ""),
    ],
)  # fmt: skip
def test_places_of_the_system(path: str, place: str) -> None:
    assert system_place(path, ["/data/docker", ""]) == place


def test_every_place_is_normalized() -> None:
    assert [os.path.normpath(place) for place in SYSTEM_PLACES] == list(SYSTEM_PLACES)


@pytest.mark.parametrize(
    ("mount", "text"),
    [
        ({"source": "/etc", "target": "/x"}, "mount '/etc': no workspace gets /etc of its host"),
        ({"source": "/etc/ssl", "target": "/x"}, "no workspace gets /etc/ssl, which is in /etc"),
        ({"source": "/", "target": "/x"}, "no workspace gets /, which has /bin in it"),
        ({"source": "/srv/../etc", "target": "/x"}, "expected a path without '..'"),
        ({"source": "/srv/", "target": "/x"}, "a '/' at its end: /srv."),
        ({"source": "data/x", "target": "/x"}, "or the name of a volume"),
        ({"source": "", "target": "/x"}, "expected the absolute path of a directory"),
        ({"source": "data", "target": "/x", "uid": 0}, "uid is for directories of the host"),
        ({"source": "/srv", "target": "x"}, "target 'x': expected an absolute path"),
        ({"source": "/srv", "target": "/"}, "target '/': expected"),
        ({"source": "/srv", "target": "/x/"}, "target '/x/': expected"),
        ({"source": "/srv", "target": "/proc/x"}, "which are taken"),
        ({"source": "/srv", "target": "/run/codeopen/secrets"}, "which are taken"),
        ({"source": "/srv", "target": "/home/developer"}, "is that of volume home, too"),
    ],
    ids=str,
)
def test_mistakes_are_named(mount: dict[str, Any], text: str) -> None:
    problems = list(problems_of_mounts(entry(mount, {"source": "/srv/b", "target": "/b"})))
    assert len(problems) == 1
    assert text in problems[0]


def test_all_mistakes_of_all_workspaces_are_told_at_once() -> None:
    first = entry({"source": "/etc", "target": "/x"}, {"source": "/srv", "target": "/x"})
    problems = problems_of([{**first, "image": "i", "cpus": 1, "memory": 10**9}])
    assert [text.split(": ", 1)[0] for text in problems] == ["Workspace 'demo'"] * 2


def test_good_ones_reach_the_engine() -> None:
    found = entry(
        {"source": "/srv/data", "target": "/data", "read_only": True, "uid": 0}, {"source": "sets", "target": "/sets"}
    )
    assert list(problems_of_mounts(found)) == []
    assert engine_mounts(found) == [
        {"Type": "bind", "Source": "/srv/data", "Target": "/data", "ReadOnly": True},
        {"Type": "volume", "Source": "sets", "Target": "/sets", "ReadOnly": False},
    ]
    assert words(found) == ["/srv/data:/data:ro", "sets:/sets"]
    assert (engine_mounts({}), words({})) == ([], [])


def test_what_the_host_says_of_directories(tmp_path: Path) -> None:
    good, file, link, below = tmp_path / "good", tmp_path / "file", tmp_path / "link", tmp_path / "own" / "x"
    good.mkdir()
    file.touch()
    link.symlink_to(good)
    below.mkdir(parents=True)
    (good / "in").mkdir()
    mounts = [
        {"source": str(path), "target": f"/{number}", "uid": ME}
        for number, path in enumerate([good, file, link, link / "in", tmp_path / "none", below])
    ]
    problems = host_problems([entry(*mounts)], {}, [str(tmp_path / "own")])
    assert [text.split(": ", 2)[2].split(",")[0].split(";")[0] for text in problems] == [
        "it is no directory.",
        "it is",
        "it is",
        "No such file or directory",
        f"no workspace gets {below}",
    ]
    assert f"give {good / 'in'} itself" in problems[2]


def test_the_owner_of_a_directory_counts(tmp_path: Path) -> None:
    mount = {"source": str(tmp_path), "target": "/data", "uid": ME + 1}
    (problem,) = host_problems([entry(mount)], {}, [])
    assert f"it belongs to uid {ME}, expected {ME + 1}: give it to {ME + 1}, or say uid: {ME}." in problem
    assert host_problems([entry(mount, state="absent")], {}, []) == []


@pytest.mark.parametrize(
    ("source", "owner", "text"),
    [
        ("adas", "ada", ""),
        ("nobodys", "ada", ""),
        ("nobodys", "", ""),
        ("adas", "eve", "the volume is ada's, and the workspace is that of eve"),
        ("adas", "", "the workspace is nobody's"),
        ("adaz", "ada", "there is no such volume of this collection; did you mean 'adas'?"),
        ("whose", "ada", "it belongs to a workspace of which this host does not know whose it is"),
        ("whose", "", "give the volume an owner with workspace_volume"),
    ],
)
def test_a_volume_has_to_be_there_and_the_owners(source: str, owner: str, text: str) -> None:
    mount = {"source": source, "target": "/data"}
    problems = host_problems([entry(mount, owner=owner)], {"adas": "ada", "nobodys": "", "whose": None}, [])
    assert len(problems) == bool(text)
    assert text in "".join(problems)


def asked_with(state_dir: Path, **owners: str) -> None:
    """Let a host know with which owners workspaces were last asked for."""
    for name, owner in owners.items():
        folder = Path(SecretsStore(str(state_dir), name).path)
        folder.mkdir(parents=True)
        (folder / "asked.json").write_text(json.dumps({"owner": owner}))


@pytest.mark.parametrize(
    ("labels", "known", "wished", "owner"),
    [
        ({LABEL_WORKSPACE: "adas"}, {}, [], "ada"),
        ({LABEL_WORKSPACE: "adas"}, {"owner": "", "size": 5}, [], "ada"),
        ({LABEL_WORKSPACE: "adas"}, {"owner": "bob"}, [], "bob"),
        ({LABEL_WORKSPACE: "adas", LABEL_OWNER: "bob"}, {}, [], "bob"),
        ({LABEL_WORKSPACE: "adas"}, {}, [{"name": "adas", "owner": "bob"}], "bob"),
        ({LABEL_WORKSPACE: "adas"}, {}, [{"name": "adas"}], ""),
        ({LABEL_WORKSPACE: "adas"}, {}, [{"name": "adas", "state": "absent"}], "ada"),
        ({LABEL_WORKSPACE: "adas"}, {}, [{"name": "eves", "owner": "eve"}], "ada"),
        ({LABEL_WORKSPACE: "nobodys"}, {}, [], ""),
        ({LABEL_WORKSPACE: "never"}, {}, [], None),
        ({}, {}, [], ""),
        ({LABEL_OWNER: "bob"}, {}, [], "bob"),
    ],
    ids=str,
)
def test_whose_a_volume_is(
    tmp_path: Path, labels: dict[str, str], known: dict[str, Any], wished: list[dict[str, Any]], owner: str | None
) -> None:
    asked_with(tmp_path, adas="ada", nobodys="")
    volume = Volume("data", "local", "/v", labels)
    assert owners_of([volume], {"data": known}, str(tmp_path), wished) == {"data": owner}
