# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The idle policy on a real engine: who is left alone and why, who is sent to sleep, and what wakes them."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.record_table import records_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import lock_one

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


def pass_by(host: Host, seconds: float) -> None:
    """Let time go by: the last look is so many seconds older than it was."""
    with contextlib.closing(sqlite3.connect(records_path(str(host.state_dir)))) as connection:
        connection.execute("UPDATE looks SET moment = moment - ?", (seconds,))
        connection.commit()


def look(host: Host, *names: str, **options: Any) -> dict[str, Any]:
    """What workspace_idle says; without names of this test's workspaces only."""
    wanted = [host.name(name) for name in names or ("one",)]
    return host.call("workspace_idle", names=wanted, state_dir=str(host.state_dir), stop_timeout=3, **options)


def only(result: dict[str, Any]) -> dict[str, Any]:
    """The one workspace's result."""
    assert "workspaces" in result, result
    (item,) = result["workspaces"]
    return dict(item)


def send_to_sleep(host: Host, name: str = "one") -> None:
    """Leave a workspace alone for longer than it may."""
    look(host, name)
    pass_by(host, 90)
    assert only(look(host, name))["stopped"]


@contextlib.contextmanager
def connected(host: Host, url: str) -> Iterator[socket.socket]:
    """A connection to a workspace that is held open, from the host's side of its published port."""
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        deadline = time.monotonic() + 20
        # The engine's proxy may still be on its way to the container.
        while "connection" not in only(look(host, _ansible_check_mode=True))["active_because"]:
            assert time.monotonic() < deadline, "the connection never got there"
        yield connection


def test_an_idle_workspace_is_sent_to_sleep_and_wakes_on_request(host: Host) -> None:
    entry = host.entry("one", idle_minutes=20)
    first = only(host.ok(entry))
    assert host.info(entry["name"])[0]["drift"] == {}
    seen = only(look(host))
    assert (seen["idle_minutes"], seen["idle_seconds"], seen["stopped"]) == (20, 0, False)
    assert seen["active_because"] == "it was not looked at before"
    pass_by(host, 600)
    seen = only(look(host))
    assert (seen["idle_seconds"] // 60, seen["active_because"], seen["stopped"]) == (10, "", False)
    pass_by(host, 601)

    told = look(host, _ansible_check_mode=True, _ansible_diff=True)
    assert (told["changed"], only(told)["stopped"]) == (True, True)
    assert told["diff"][0]["after"] == {"state": "asleep"}
    assert (host.container("one") or {})["State"]["Status"] == "running"
    done = look(host)
    assert (done["changed"], only(done)["stopped"]) == (True, True)
    assert (host.container("one") or {})["State"]["Status"] == "exited"
    (info,) = host.info(entry["name"])
    assert (info["state"], info["asleep"]) == ("stopped", True)
    assert info["history"][0]["cause"] == "idle for 20 minutes"
    assert (info["history"][0]["run"], info["history"][0]["from"]) == (done["run"], "stopping")
    assert look(host)["workspaces"] == []

    for options in ({}, {"check_mode": True}):
        asleep = host.ok(entry, **options)
        assert (asleep["changed"], only(asleep)["state"], only(asleep)["action"]) == (False, "asleep", "none")
        assert only(asleep)["urls"] == first["urls"]
    woken = only(host.ok(entry, wake=[entry["name"]]))
    assert (woken["action"], woken["state"]) == ("start", "started")
    with urllib.request.urlopen(woken["urls"]["web"], timeout=10) as answer:
        assert answer.read().strip() == b"healthy"
    assert not host.info(entry["name"])[0]["asleep"]
    # It is idle anew from now on.
    assert only(look(host))["idle_seconds"] == 0
    assert not host.ok(entry)["changed"]


def test_what_changed_is_applied_when_it_wakes(host: Host) -> None:
    host.ok(host.entry("one", idle_minutes=1))
    send_to_sleep(host)
    entry = host.entry("one", idle_minutes=1, environment={"TEXT": "new"})
    assert only(host.ok(entry))["state"] == "asleep"
    secrets = {entry["name"]: {"token": "x"}}
    told = only(host.ok(entry, secrets=secrets))
    assert (told["action"], told["state"], told["diff"]["before"]["state"]) == ("apply", "asleep", "asleep")
    woken = only(host.ok(entry, secrets=secrets, wake=[entry["name"]]))
    assert (woken["action"], woken["state"]) == ("update", "started")
    assert "TEXT=new" in (host.container("one") or {})["Config"]["Env"]


def test_idle_minutes_reach_a_running_workspace(host: Host) -> None:
    host.ok(host.entry("one"))
    before = host.started("one")
    assert only(look(host))["idle_minutes"] == 0
    told = only(host.ok(host.entry("one", idle_minutes=30), check_mode=True))
    done = only(host.ok(host.entry("one", idle_minutes=30)))
    assert (done["action"], done["diff"]) == ("apply", told["diff"])
    assert done["diff"]["after"] == {"state": "started", "idle_minutes": 30}
    assert host.started("one") == before
    assert only(look(host))["idle_minutes"] == 30
    assert not host.ok(host.entry("one", idle_minutes=30))["changed"]
    gone = only(host.ok(host.entry("one")))
    assert gone["diff"]["before"] == {"state": "started", "idle_minutes": 30}
    assert only(look(host, after=7))["idle_minutes"] == 7


def test_an_open_connection_keeps_it_and_one_from_inside_does_not(host: Host) -> None:
    url = only(host.ok(host.entry("one", idle_minutes=1)))["urls"]["web"]
    look(host)
    with connected(host, url):
        pass_by(host, 3600)
        seen = only(look(host))
        assert (seen["active_because"], seen["idle_seconds"]) == ("1 connection to web", 0)
    pid = (host.container("one") or {})["State"]["Pid"]
    code = "import socket, sys\nheld = socket.create_connection(('127.0.0.1', 4096))\nprint('held', flush=True)\nsys.stdin.read()"
    inside = subprocess.Popen(
        ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "held\n"
        pass_by(host, 90)
        assert only(look(host))["stopped"]
    finally:
        inside.communicate("")


def test_work_without_a_connection_keeps_it(host: Host) -> None:
    host.ok(host.entry("busy", mode="busy", idle_minutes=1), host.entry("calm", idle_minutes=1))
    look(host, "busy", "calm")
    time.sleep(6)
    pass_by(host, 60)
    busy, calm = look(host, "busy", "calm", cpu_percent=3.0)["workspaces"]
    assert "% of a CPU since the last look" in busy["active_because"]
    assert (busy["stopped"], calm["active_because"], calm["stopped"]) == (False, "", True)


def test_a_command_from_the_host_keeps_it(host: Host) -> None:
    host.ok(host.entry("one", idle_minutes=1))
    look(host)
    pass_by(host, 90)
    subprocess.run(["docker", "exec", "--detach", f"codeopen-{host.name('one')}", "sleep", "600"], check=True)
    assert only(look(host))["active_because"] == "1 command run in it from the host"
    end = ["sh", "-c", "kill $(pidof sleep)"]
    subprocess.run(["docker", "exec", f"codeopen-{host.name('one')}", *end], check=True)
    pass_by(host, 90)
    assert only(look(host))["stopped"]


def test_a_workspace_that_a_run_works_on_is_left_alone(host: Host) -> None:
    host.ok(host.entry("one", idle_minutes=1))
    look(host)
    pass_by(host, 90)
    with lock_one(str(host.state_dir), host.name("one"), "a test") as lease:
        assert lease is not None
        seen = only(look(host))
    assert (seen["active_because"], seen["stopped"]) == ("another run works on it", False)
    pass_by(host, 90)
    assert only(look(host))["stopped"]


@pytest.mark.parametrize("how", ["stopped by hand", "crashed", "the policy is gone", "asked for as stopped"])
def test_what_was_not_sent_to_sleep_is_started_as_ever(host: Host, how: str) -> None:
    entry = host.entry("one", idle_minutes=1)
    host.ok(entry)
    send_to_sleep(host)
    name = f"codeopen-{host.name('one')}"
    if how == "stopped by hand":
        subprocess.run(["docker", "start", name], check=True, capture_output=True)
        subprocess.run(["docker", "stop", "--time", "1", name], check=True, capture_output=True)
        assert not host.info(entry["name"])[0]["asleep"]
    elif how == "crashed":
        subprocess.run(["docker", "start", name], check=True, capture_output=True)
        subprocess.run(["docker", "kill", name], check=True, capture_output=True)
    elif how == "the policy is gone":
        del entry["idle_minutes"]
    else:
        assert not host.ok(dict(entry, state="stopped"))["changed"]
    done = only(host.ok(entry))
    assert (done["action"], done["state"]) == ("start", "started")


def test_paused_and_unknown_ones_and_names_to_wake(host: Host) -> None:
    host.ok(host.entry("one", idle_minutes=1, state="paused"))
    assert look(host)["workspaces"] == []
    unknown = look(host, "two")
    assert unknown["failed"]
    assert f"unknown workspace '{host.name('two')}'" in unknown["msg"]
    refused = host.run(host.entry("one"), wake=[host.name("onne")])
    assert f"wake: unknown workspace '{host.name('onne')}'; did you mean '{host.name('one')}'?" in refused["msg"]
