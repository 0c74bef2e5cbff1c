# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens while a run works: it is killed at bad moments, somebody interferes, its disk gets full.

Unlike in the matrix of faults, the moment is one in the middle of a step, so what counts is the middle.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect

if TYPE_CHECKING:
    from .conftest import Host

from .conftest import result_of, until
from .own_fleet import converge

pytestmark = pytest.mark.engine

FILE = "/home/developer/file"


def health(host: Host, name: str = "a") -> str:
    """What the engine says of the health of a workspace's current container."""
    found = host.container(name)
    # One that was just created has none yet.
    return str((found or {}).get("State", {}).get("Health", {}).get("Status", ""))


def is_stopping(host: Host) -> bool:
    """Whether a run is about to stop the workspace, or does."""
    return str(host.info(host.name("a"))[0]["history"][0]["to"]) == "stopping"


def serves(host: Host, text: str, name: str = "a") -> bool:
    """Whether the workspace answers so, and is alone."""
    if host.container(name, "--previous"):
        return False
    with urllib.request.urlopen(host.info(host.name(name))[0]["urls"]["web"], timeout=10) as answer:
        return str(answer.read().decode()).strip() == f"healthy {text}".strip()


def killed(host: Host, condition: Callable[[], Any], *entries: dict[str, Any], **options: Any) -> None:
    """Kill a run as soon as it came so far."""
    run = host.process(*entries, **options)
    until(condition)
    run.kill()
    run.wait()


WAITS = {"command": ["sleep", "600"], "timeout": 600}


def test_a_run_killed_during_its_checks_leaves_them_to_the_next(host: Host) -> None:
    old = host.entry("a", environment={"TEXT": "old"}, owner=host.prefix)
    host.ok(old)
    networks = (host.container("a") or {})["NetworkSettings"]["Networks"].keys()
    wished = dict(old, environment={"TEXT": "new"})
    # Healthy, and not proven.
    killed(host, lambda: health(host) == "healthy" and host.container("a", "--previous"), dict(wished, checks=[WAITS]))
    assert host.container("a", "--previous")
    failing = dict(wished, checks=[{"command": ["false"], "timeout": 0}])
    told = host.ok(failing, check_mode=True)["workspaces"][0]
    item = host.run(failing)["workspaces"][0]
    assert (told["action"], item["action"], item["rolled_back"]) == ("recover", "recover", True)
    assert serves(host, "old")
    assert (host.container("a") or {})["NetworkSettings"]["Networks"].keys() == networks
    assert not host.ok(old)["changed"]


def test_a_creation_killed_during_its_checks_is_checked_by_the_next_run(host: Host) -> None:
    entry = host.entry("a")
    killed(host, lambda: health(host) == "healthy", dict(entry, checks=[WAITS]))
    failed = host.run(dict(entry, checks=[{"command": ["false"], "timeout": 0}]))
    assert "exit code 1" in failed["workspaces"][0]["error"]
    host.ok(entry)
    assert serves(host, "")


def test_an_update_killed_while_it_stops_the_old_one_does_not_lose_it(host: Host) -> None:
    old = host.entry("a", environment={"TEXT": "old"})
    host.ok(old)
    host.client.containers.get(f"codeopen-{host.name('a')}").exec_run(["sh", "-c", f"echo mine >{FILE}"])
    # It does not end by itself, so the engine goes on with the stop for three seconds after the run is gone.
    host.client.containers.get(f"codeopen-{host.name('a')}").kill("STOP")
    killed(host, lambda: is_stopping(host), dict(old, environment={"TEXT": "new"}))
    failed = host.run(dict(old, environment={"TEXT": "bad", "MODE": "dies"}))["workspaces"][0]
    assert (failed["rolled_back"], "healthy again" in failed["error"]) == (True, True), failed
    assert serves(host, "old")
    assert host.client.containers.get(f"codeopen-{host.name('a')}").exec_run(["cat", FILE]).output == b"mine\n"


@pytest.mark.parametrize("created", [False, True], ids=["before it had a new container", "when it had one"])
def test_an_update_killed_and_gone_on_with_in_vain_brings_the_old_ones_proxies_back(host: Host, created: bool) -> None:
    old = host.entry("a", environment={"TEXT": "old"})
    host.ok(old, network={"http_proxy": "http://old.test:1"})
    file = host.state_dir / "workspaces" / host.name("a") / "secrets" / "network"
    before = file.read_text()
    wished = dict(old, environment={"TEXT": "new", "MODE": "stuck"})
    later = {"network": {"http_proxy": "http://new.test:1"}}
    killed(host, lambda: health(host) == "starting" and host.container("a", "--previous"), wished, **later)
    assert "new.test" in file.read_text()
    if not created:
        host.client.api.remove_container(f"codeopen-{host.name('a')}", force=True)
    item = host.run(wished, health_timeout=3, **later)["workspaces"][0]
    assert item["rolled_back"], item
    assert serves(host, "old")
    assert file.read_text() == before
    assert host.ok(dict(old, environment={"TEXT": "new"}), **later)["workspaces"][0]["action"] == "update"
    assert "new.test" in file.read_text()
    # Nothing is left of what was kept meanwhile.
    assert sorted(path.name for path in file.parents[1].iterdir()) == ["asked.json", "ports.json", "secrets"]


class Late:
    """The engine as a run finds it whose predecessor was killed when it had just asked for the same container."""

    def __init__(self, create: Callable[..., Any], labels: dict[str, str] | None = None, start: Any = None) -> None:
        self._create, self._labels, self._start = create, labels, start
        self.asked = 0

    def __call__(self, request: dict[str, Any], name: str) -> Any:
        self.asked += 1
        if self.asked == 1:
            there = self._create(request if self._labels is None else {**request, "Labels": self._labels}, name)
            if self._start is not None:
                self._start(there["Id"])
        return self._create(request, name)


def converge_late(
    host: Host, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], start: bool = False, **late: Any
) -> dict[str, Any]:
    """The result of a run before whose first creation another container comes to be."""
    client = connect(host.docker_host)
    engine: Any = client.api
    create = Late(engine.create_container_from_config, start=engine.start if start else None, **late)
    monkeypatch.setattr(engine, "create_container_from_config", create)
    (item,) = converge(host, client, entry)
    return item


def test_a_container_that_a_killed_run_asked_for_and_that_comes_later_makes_room(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = host.entry("a")
    made = converge_late(host, monkeypatch, entry)
    assert (made.get("error"), made["action"]) == (None, "create")
    assert serves(host, "")
    changed = dict(entry, environment={"TEXT": "new"})
    updated = converge_late(host, monkeypatch, changed)
    assert (updated.get("error"), updated["action"]) == (None, "update")
    assert serves(host, "new")
    assert not host.ok(changed)["changed"]


@pytest.mark.parametrize("late", [{"labels": {}}, {"start": True}], ids=["a stranger's", "one that runs"])
def test_no_other_container_of_that_name_makes_room(
    host: Host, monkeypatch: pytest.MonkeyPatch, late: dict[str, Any]
) -> None:
    item = converge_late(host, monkeypatch, host.entry("a"), **late)
    assert "already in use" in item["error"]
    assert host.container("a")


def test_a_stop_that_goes_on_after_its_run_is_gone_is_made_up_for(host: Host) -> None:
    entry = host.entry("a")
    host.ok(entry)
    host.client.containers.get(f"codeopen-{host.name('a')}").kill("STOP")
    killed(host, lambda: is_stopping(host), dict(entry, state="stopped"))
    told = host.ok(entry, check_mode=True)["workspaces"][0]["action"]
    done = host.ok(entry)["workspaces"][0]["action"]
    # Whichever of them was first.
    assert {told, done} <= {"restart", "start"}
    time.sleep(4)
    assert not host.ok(entry)["changed"]
    assert serves(host, "")


def test_a_disk_that_gets_full_during_an_update_puts_the_old_one_back(host: Host, small_state: Path) -> None:
    old = host.entry("a", environment={"TEXT": "old"})
    host.ok(old, host.entry("b"), log_path=str(small_state / "logs" / "one.log"))
    wished = host.entry("a", environment={"TEXT": "new", "MODE": "slow"})
    run = host.process(wished, host.entry("b", memory=2**27), log_path=str(small_state / "logs" / "two.log"))
    until(lambda: host.container("a", "--previous") and health(host) == "starting")
    filler = small_state / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 512)
        except OSError:
            pass
    result = result_of(run)
    assert result["failed"]
    item = result["workspaces"][0]
    assert "Make room there" in item["error"]
    assert item["rolled_back"]
    assert len(result["workspaces"]) == 2
    assert serves(host, "old")
    filler.unlink()
    done = host.ok(host.entry("a", environment={"TEXT": "new"}))
    assert done["workspaces"][0]["action"] == "update"
    assert serves(host, "new")
    assert not host.ok(host.entry("a", environment={"TEXT": "new"}))["changed"]


def test_a_port_that_is_taken_while_the_run_is_under_way_puts_the_old_one_back(host: Host) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    before = [host.entry("a", environment={"TEXT": "old"}), host.entry("b", environment={"TEXT": "old"})]
    host.ok(*before)
    wish = [{"name": "web", "container": 4096, "host": port}]
    first = host.entry("a", environment={"TEXT": "new", "MODE": "slow"})
    second = host.entry("b", environment={"TEXT": "new"}, ports=wish)
    run = host.process(first, second, parallel=1)
    # The plan is made, and it is not the second one's turn.
    until(lambda: host.container("a", "--previous"))
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        item = result_of(run)["workspaces"][1]
        assert item["rolled_back"]
        assert str(port) in item["reason"]
    assert serves(host, "old", "b")
    assert host.ok(first, second)["workspaces"][1]["action"] == "update"


def test_a_container_that_is_removed_while_it_is_waited_for_puts_the_old_one_back(host: Host) -> None:
    host.ok(host.entry("a", environment={"TEXT": "old"}))
    run = host.process(host.entry("a", mode="stuck"), health_timeout=100)
    until(lambda: host.container("a", "--previous") and health(host) == "starting")
    host.client.api.remove_container(f"codeopen-{host.name('a')}", force=True)
    item = result_of(run)["workspaces"][0]
    assert item["rolled_back"], item["error"]
    assert serves(host, "old")
    assert not host.ok(host.entry("a", environment={"TEXT": "old"}))["changed"]


def test_a_crash_that_the_engine_made_up_for_is_recorded_once(host: Host) -> None:
    entry = host.entry("a")
    host.ok(entry)
    found = host.container("a") or {}
    os.kill(found["State"]["Pid"], signal.SIGKILL)
    until(lambda: (host.container("a") or {}).get("RestartCount") == 1 and health(host) == "healthy")
    assert not host.ok(entry)["changed"]
    host.ok(entry)
    history = host.info(host.name("a"))[0]["history"]
    assert [step["to"] for step in history][:3] == ["running", "restarting", "failed"]
    assert [step["to"] for step in history].count("failed") == 1
    (crash,) = [step for step in history if step["to"] == "failed"]
    assert crash["restarts"] == 1
    assert "mode healthy" in crash["last_lines"]


def test_one_that_dies_again_and_again_says_of_what(host: Host) -> None:
    entry = host.entry("a")
    host.ok(entry)
    container = host.client.containers.get(f"codeopen-{host.name('a')}")
    container.exec_run(["sh", "-c", "printf '#!/bin/sh\\necho no license; exit 9\\n' > /entrypoint"])
    os.kill((host.container("a") or {})["State"]["Pid"], signal.SIGKILL)
    until(lambda: host.info(host.name("a"))[0].get("failure", {}).get("exit_code") == 9)
    found = host.info(host.name("a"))[0]
    until(lambda: host.info(host.name("a"))[0]["state"] == "restarting")
    assert "no license" in found["failure"]["last_lines"]


def test_one_whose_container_is_gone_is_lost_until_it_is_removed(host: Host) -> None:
    entry = host.entry("a", owner=host.prefix)
    host.ok(entry)
    host.client.api.remove_container(f"codeopen-{host.name('a')}", force=True)
    assert host.info(host.name("a"))[0]["state"] == "lost"
    assert not host.ok({"name": host.name("a"), "state": "absent"})["changed"]
    assert not [row for row in host.info() if row["name"] == host.name("a")]
    # Nothing is left over of it, though there was nothing to remove.
    assert not host.client.api.networks(names=[f"codeopen-owner-{host.prefix}"])


def test_limits_that_were_taken_away_by_hand_are_mended(host: Host) -> None:
    info = host.client.info()
    if not (info["SwapLimit"] and info["PidsLimit"]):
        pytest.skip("this kernel does not limit swap and processes")
    entry = host.entry("a")
    host.ok(entry)
    name = f"codeopen-{host.name('a')}"
    subprocess.run(
        ["docker", "update", "--memory-swap", "-1", "--pids-limit", "-1", name], check=True, capture_output=True
    )
    drift = host.info(host.name("a"))[0]["drift"]
    assert drift == {"swap": {"asked": 0, "found": -1}, "pids": {"asked": 4096, "found": -1}}
    done = host.ok(entry)["workspaces"][0]
    assert done["action"] == "apply"
    found = (host.container("a") or {})["HostConfig"]
    assert (found["MemorySwap"], found["PidsLimit"]) == (entry["memory"], 4096)
    assert host.info(host.name("a"))[0]["drift"] == {}
    assert not host.ok(entry)["changed"]


def test_present_brings_a_configuration_and_leaves_running_or_not_as_it_is(host: Host) -> None:
    entry = host.entry("a", state="present")
    told = host.ok(entry, check_mode=True)["workspaces"][0]
    done = host.ok(entry)["workspaces"][0]
    assert (told["action"], done["action"], done["state"]) == ("create", "create", "stopped")
    assert (host.container("a") or {})["State"]["Status"] == "created"
    assert not host.ok(entry)["changed"]
    host.ok(dict(entry, state="started"))
    running = host.ok(entry)
    assert (running["changed"], running["workspaces"][0]["state"]) == (False, "started")
    changed = host.ok(dict(entry, environment={"TEXT": "new"}))["workspaces"][0]
    assert (changed["action"], changed["state"]) == ("update", "started")
    assert serves(host, "new")
    host.ok(dict(entry, environment={"TEXT": "new"}, state="stopped"))
    assert not host.ok(dict(entry, environment={"TEXT": "new"}))["changed"]


def test_the_record_says_what_is_about_to_happen(host: Host) -> None:
    entry = host.entry("a")
    host.ok(entry)
    host.ok(dict(entry, state="stopped"))
    host.ok(dict(entry, state="absent"))
    record = subprocess.run(
        [sys.executable, "-c", READ_RECORD, str(host.state_dir)], check=True, capture_output=True, text=True
    ).stdout
    words = ["created", "starting", "running", "stopping", "stopped", "removing", "removed"]
    assert json.loads(record) == words


READ_RECORD = """
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1] + "/records.sqlite").execute('SELECT "end" FROM transitions ORDER BY id')
print(json.dumps([row[0] for row in rows]))
"""
