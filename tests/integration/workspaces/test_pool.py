# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools on a real engine: filled, claimed by one person each, given back, and never given twice."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_book import PoolBook
from ansible_collections.codeopen.workspaces.plugins.module_utils.record_table import records_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import lock_one

from .test_playbook import play

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[3]


def pool(host: Host, size: int, **changes: Any) -> dict[str, Any]:
    """A pool as the plan has it, called p."""
    name = host.name("p")
    return {"name": name, "size": size, "workspace": host.entry("p", owner=f"pool-{name}", **changes)}


def names(result: dict[str, Any]) -> list[str]:
    """Whose results these are, without the prefix."""
    return [item["name"].split("-", 1)[1] for item in result["workspaces"]]


def arguments(host: Host, claimant: str, **options: Any) -> dict[str, Any]:
    """Those of a claim, with names that are this test's own."""
    given = {
        "pool": host.name("p"), "claimant": host.name(claimant), "state_dir": str(host.state_dir), "stop_timeout": 3,
        "health_timeout": 30,
    }  # fmt: skip
    return {**given, **options}


def claim(host: Host, claimant: str, **options: Any) -> dict[str, Any]:
    """The result of a claim, failed or not."""
    return host.call("workspace_claim", **arguments(host, claimant, **options))


def networks(host: Host, name: str) -> list[str]:
    """The networks that a workspace is in."""
    return list((host.container(name) or {})["NetworkSettings"]["Networks"])


def get(url: str) -> str:
    """What a workspace answers."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode()).strip()


def test_a_claim_gives_one_that_runs_and_the_next_run_fills_the_pool_up(host: Host) -> None:
    told = host.ok(pools=[pool(host, 2)], check_mode=True)
    assert (names(told), told["changed"]) == (["p-1", "p-2"], True)
    made = host.ok(pools=[pool(host, 2)])
    assert [item["action"] for item in made["workspaces"]] == ["create", "create"]
    assert {item["pool"] for item in made["workspaces"]} == {host.name("p")}
    assert not host.ok(pools=[pool(host, 2)])["changed"]
    assert networks(host, "p-1") == [f"codeopen-owner-pool-{host.name('p')}"]
    before = host.started("p-1")

    told = claim(host, "ada", _ansible_check_mode=True)
    assert (told["changed"], told["name"]) == (True, host.name("p-1"))
    assert networks(host, "p-1") == [f"codeopen-owner-pool-{host.name('p')}"]
    done = claim(host, "ada", _ansible_diff=True)
    assert (done["changed"], done["name"], done["owner"]) == (True, host.name("p-1"), host.name("ada"))
    assert done["diff"][0]["after"] == {"claimant": host.name("ada")}
    assert host.started("p-1") == before
    assert networks(host, "p-1") == [f"codeopen-owner-{host.name('ada')}"]
    assert get(done["urls"]["web"]) == "healthy"
    assert Path(done["password_file"]).read_text().strip()
    (info,) = host.info(done["name"])
    assert (info["owner"], info["drift"], info["state"]) == (host.name("ada"), {}, "running")
    assert (info["pool"], info["claimant"]) == (host.name("p"), host.name("ada"))

    again = claim(host, "ada")
    assert (again["changed"], again["name"]) == (False, done["name"])
    filled = host.ok(pools=[pool(host, 2)])
    assert [(item["name"].split("-", 1)[1], item["action"]) for item in filled["workspaces"]] == [
        ("p-2", "none"), ("p-3", "create"),
    ]  # fmt: skip
    # Ada's stays as it is, whatever becomes of the pool.
    changed = host.ok(pools=[pool(host, 1, environment={"TEXT": "new"})])
    assert {item["name"].split("-", 1)[1]: item["action"] for item in changed["workspaces"]} == {
        "p-2": "update", "p-3": "remove",
    }  # fmt: skip
    assert host.started("p-1") == before
    assert PoolBook(str(host.state_dir)).member(host.name("p-3")) is None
    assert not host.client.api.volumes(filters={"name": f"codeopen-{host.name('p-3')}-"})["Volumes"]
    assert get(claim(host, "bob")["urls"]["web"]) == "healthy new"


@pytest.mark.parametrize("secrets_in", ["memory", "disk"])
def test_a_claim_brings_its_claimants_secrets(host: Host, secrets_in: str) -> None:
    host.ok(pools=[pool(host, 1)], secrets_in=secrets_in)
    before = host.started("p-1")

    def inside(name: str) -> str:
        container = host.client.containers.get(f"codeopen-{host.name('p-1')}")
        return str(container.exec_run(f"cat /run/codeopen/secrets/{name}").output.decode())

    given: dict[str, Any] = {"secrets": {"token": "hush-1", "key": "hush-key"}}
    told = claim(host, "ada", _ansible_check_mode=True, **given)
    assert told["changed"]
    assert "No such file" in inside("token")
    done = claim(host, "ada", _ansible_diff=True, **given)
    assert (inside("token"), inside("key")) == ("hush-1", "hush-key")
    assert host.secret("p-1", "token").exists() == (secrets_in == "memory")
    assert not claim(host, "ada", **given)["changed"]
    # Not given they stay; a changed one is replaced, and one that is not named any more goes.
    assert not claim(host, "ada")["changed"]
    changed = {"secrets": {"token": "hush-2"}}
    assert claim(host, "ada", _ansible_check_mode=True, **changed)["changed"]
    assert inside("token") == "hush-1"
    assert claim(host, "ada", **changed)["changed"]
    assert (inside("token"), "No such file" in inside("key")) == ("hush-2", True)
    assert host.started("p-1") == before
    assert "hush" not in json.dumps([told, done, host.container("p-1")])
    # A run over the pool leaves them alone, and they go with their workspace.
    host.ok(pools=[pool(host, 1)], secrets={}, secrets_in=secrets_in)
    assert inside("token") == "hush-2"
    claim(host, "ada", state="absent")
    left = {path.name for path in Path(done["password_file"]).parent.iterdir()}
    assert (left, host.secret("p-1", "token").exists()) == ({"network", "password"}, False)


def test_secrets_of_a_claim_are_refused_with_all_mistakes_and_shown_nowhere(host: Host, tmp_path: Path) -> None:
    host.ok(pools=[pool(host, 1)])
    failed = claim(host, "ada", secrets={"../x": "hush", "password": "hush", "empty": ""})
    wrong = [line.split(":")[0] for line in failed["msg"].splitlines()[1:]]
    assert wrong == ["- secrets", "- secrets.password", "- secrets.empty"]
    task = dict(arguments(host, "ada"), secrets={"token": "hush", "short": "1"})
    done = play(host, tmp_path, task, "-vvv", "--diff", module="workspace_claim")
    assert "changed=1" in done.stdout, done.stdout
    assert "hush" not in done.stdout + done.stderr + failed["msg"]
    # A value of one letter does not blot out what it is in.
    assert host.name("p-1") in done.stdout
    assert "changed=0" in play(host, tmp_path, task, module="workspace_claim").stdout
    refused = play(host, tmp_path, dict(task, secrets={"../x": "hush"}), module="workspace_claim")
    assert "'../x' is not a secret's file name" in refused.stdout
    assert "hush" not in refused.stdout


def test_everybody_gets_their_own_however_many_come_at_once(host: Host) -> None:
    host.ok(pools=[pool(host, 3)])
    people = ["ada", "bob", "cleo", "dora", "ada"]
    command = [sys.executable, "-m", "ansible_collections.codeopen.workspaces.plugins.modules.workspace_claim"]
    running = []
    for person in people:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        given = dict(arguments(host, person), _ansible_remote_tmp=str(host.state_dir))
        assert process.stdin is not None
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        process.stdin.close()
        process.stdin = None
        running.append(process)
    results = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    given_to: dict[str, set[str]] = {}
    for person, result in zip(people, results):
        if not result.get("failed"):
            given_to.setdefault(result["name"], set()).add(person)
    assert sorted(len(who) for who in given_to.values()) == [1, 1, 1]
    (failed,) = {json.dumps(result["msg"]) for result in results if result.get("failed")}
    assert "has no workspace to give now: 3 claimed, 0 unclaimed" in failed
    assert "playbooks/site.yml" in failed
    members = PoolBook(str(host.state_dir)).members().values()
    assert len({member.claimant for member in members}) == 3


def test_what_is_given_back_is_never_given_to_another(host: Host) -> None:
    host.ok(pools=[pool(host, 1)])
    mine = claim(host, "ada")
    subprocess.run(["docker", "exec", mine["container"], "touch", "/home/developer/diary"], check=True)
    told = claim(host, "ada", state="absent", _ansible_check_mode=True)
    assert (told["changed"], told["removed"], host.container("p-1") is None) == (True, [mine["name"]], False)
    back = claim(host, "ada", state="absent")
    assert (back["changed"], back["removed"]) == (True, [mine["name"]])
    assert host.container("p-1") is None
    assert f"codeopen-owner-{host.name('ada')}" not in [one["Name"] for one in host.client.api.networks()]
    assert not claim(host, "ada", state="absent")["changed"]

    volume = f"codeopen-{host.name('p-1')}-home"
    assert host.client.api.inspect_volume(volume)
    assert names(host.ok(pools=[pool(host, 1)])) == ["p-2"]
    assert claim(host, "bob")["name"] == host.name("p-2")
    assert [told["state"] for told in host.info(host.name("p-1"))] == ["removed"]
    in_memory = host.secret("p-1", "token").parent
    assert in_memory.is_dir()
    purged = claim(host, "ada", state="absent", purge=True)
    assert not in_memory.exists()
    assert (purged["changed"], purged["removed"]) == (True, [mine["name"]])
    assert volume not in [one["Name"] for one in host.client.api.volumes()["Volumes"] or []]
    assert not claim(host, "ada", state="absent", purge=True)["changed"]
    # Those of others are not hers to give back.
    assert host.container("p-2") is not None


def test_a_claim_that_was_interrupted_is_finished_by_the_next(host: Host) -> None:
    host.ok(pools=[pool(host, 1)])
    book = PoolBook(str(host.state_dir))
    (member,) = book.members().values()
    # What a run that was killed right after its entry leaves.
    book.write(type(member)(member.name, member.pool, host.name("ada"), host.name("team"), "2030-01-01T00:00:00Z"))
    assert names(host.ok(pools=[pool(host, 1)])) == ["p-2"]
    done = claim(host, "ada")
    assert (done["changed"], done["name"], done["owner"]) == (True, member.name, host.name("team"))
    assert networks(host, "p-1") == [f"codeopen-owner-{host.name('team')}"]
    assert not claim(host, "ada")["changed"]
    moved = claim(host, "ada", owner=host.name("ada"))
    assert (moved["changed"], networks(host, "p-1")) == (True, [f"codeopen-owner-{host.name('ada')}"])
    assert get(moved["urls"]["web"]) == "healthy"


def test_what_a_run_works_on_or_is_not_healthy_is_not_given(host: Host) -> None:
    host.ok(pools=[pool(host, 2)])
    with lock_one(str(host.state_dir), host.name("p-1"), "a test") as lease:
        assert lease is not None
        assert claim(host, "ada")["name"] == host.name("p-2")
    subprocess.run(["docker", "kill", f"codeopen-{host.name('p-1')}"], check=True, capture_output=True)
    assert "1 claimed, 1 unclaimed that are being made, changed or mended" in claim(host, "bob")["msg"]
    host.ok(pools=[pool(host, 1)])
    assert claim(host, "bob")["name"] == host.name("p-1")


def test_a_run_lets_go_of_those_that_it_does_not_change(host: Host) -> None:
    host.ok(pools=[pool(host, 1)])
    process = host.process(host.entry("slow", mode="stuck"), pools=[pool(host, 1)], health_timeout=100)
    with contextlib.ExitStack() as stack:
        stack.callback(process.communicate)
        stack.callback(process.terminate)
        while host.container("slow") is None:
            assert process.poll() is None
        assert claim(host, "ada")["name"] == host.name("p-1")
        assert process.poll() is None


def test_idle_ones_sleep_when_they_are_claimed_and_wake_with_a_claim(host: Host) -> None:
    host.ok(pools=[pool(host, 2, idle_minutes=1)])
    claim(host, "ada")
    both = [host.name("p-1"), host.name("p-2")]
    for stopped in (False, True):
        seen = host.call("workspace_idle", state_dir=str(host.state_dir), stop_timeout=3, names=both)
        assert [(item["name"], item["stopped"]) for item in seen["workspaces"]] == [(host.name("p-1"), stopped)]
        with contextlib.closing(sqlite3.connect(records_path(str(host.state_dir)))) as connection:
            connection.execute("UPDATE looks SET moment = moment - 90")
            connection.commit()
    woken = claim(host, "ada")
    assert (woken["changed"], woken["name"]) == (True, host.name("p-1"))
    assert get(woken["urls"]["web"]) == "healthy"


def test_variables_of_a_pool_are_not_in_the_output(host: Host, tmp_path: Path) -> None:
    task = {
        "workspaces": [], "pools": [pool(host, 1, environment={"TEXT": "hush-text"})],
        "state_dir": str(host.state_dir), "stop_timeout": 3,
    }  # fmt: skip
    tasks = [{"name": "Converge", "codeopen.workspaces.workspace": task}]
    plays = [{"name": "Test", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(json.dumps(plays))
    command = shutil.which("ansible-playbook")
    assert command is not None
    options = ["-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", "-vvv", "--diff"]
    environment = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1")
    done = subprocess.run(
        [command, *options, str(playbook)], capture_output=True, text=True, check=False, env=environment
    )
    assert "changed=1" in done.stdout, done.stdout
    assert "hush" not in done.stdout + done.stderr
    assert "TEXT=hush-text" in (host.container("p-1") or {})["Config"]["Env"]


def test_unknown_pools_and_bad_names(host: Host) -> None:
    host.ok(pools=[pool(host, 1)])
    unknown = claim(host, "ada", pool=host.name("q"))
    assert f"unknown pool '{host.name('q')}'; did you mean '{host.name('p')}'?" in unknown["msg"]
    assert f"claimant '{host.name('A B')}': expected at most 40 lower-case letters" in claim(host, "A B")["msg"]
