# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that meet on a real host: side by side, one after the other, stuck, and without their lock."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import until

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


def hurried(host: Host, *entries: dict[str, Any], **options: Any) -> subprocess.Popen[str]:
    """A run with short leases."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("hurried_run.py"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(host.arguments(*entries, **options)))
    process.stdin.close()
    process.stdin = None
    return process


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The result of a run, once it has one."""
    output, _unused = process.communicate(timeout=120)
    return dict(json.loads(output[output.index("{") :]))


def get(result: dict[str, Any]) -> str:
    """What the first workspace of a result answers."""
    with urllib.request.urlopen(result["workspaces"][0]["urls"]["web"], timeout=10) as answer:
        return str(answer.read().decode()).strip()


def test_two_runs_over_one_workspace_take_turns(host: Host) -> None:
    first = host.process(host.entry("a", mode="stuck"), health_timeout=15)
    until(lambda: host.container("a"))
    refused = host.run(host.entry("b"), host.entry("a"), lock_timeout=0)
    second = host.process(host.entry("a"), host.entry("b"))
    assert f"process {first.pid}" in refused["msg"]
    assert "still holds" in refused["msg"]
    assert host.name("a") in refused["msg"]
    result = ended(second)
    assert first.poll() is not None
    assert [item["action"] for item in result["workspaces"]] == ["update", "create"]
    assert f"process {first.pid}" in str(result["warnings"])
    ended(first)


def test_runs_over_different_workspaces_do_not_wait_for_each_other(host: Host) -> None:
    first = host.process(host.entry("a", mode="stuck"), health_timeout=60)
    try:
        until(lambda: host.container("a"))
        done = host.ok(host.entry("b", owner=host.prefix), lock_timeout=0)
        assert get(done) == "healthy"
        assert first.poll() is None
        # Nor is the port to be had that the first is about to take, though its container may not be there yet.
        port = (host.container("a") or {})["HostConfig"]["PortBindings"]["4096/tcp"][0]["HostPort"]
        wish = {"name": "web", "container": 4096, "host": int(port)}
        refused = host.run(host.entry("c", ports=[wish]), lock_timeout=0)
        assert f"workspace '{host.name('a')}' has it" in refused["msg"]
    finally:
        first.kill()
        first.communicate()


def test_a_stuck_run_is_ended_and_changes_nothing_after_the_next_took_over(host: Host) -> None:
    host.ok(host.entry("a"))
    stuck = hurried(host, host.entry("a", mode="slow", environment={"MODE": "slow", "TEXT": "stuck"}))
    try:
        until(lambda: host.container("a", "--previous"))
        stuck.send_signal(signal.SIGSTOP)
        wished = host.entry("a", environment={"TEXT": "later"})
        done = ended(hurried(host, wished, lock_timeout=60))
        assert not done.get("failed"), done["msg"]
        assert stuck.wait(30) == -signal.SIGKILL
        assert "gave no sign for 2 seconds: ended" in str(done["warnings"])
    finally:
        stuck.kill()
        stuck.communicate()
    assert get(done) == "healthy later"
    assert host.container("a", "--previous") is None
    assert not host.ok(wished)["changed"]


def runs(host: Host) -> bool:
    """Whether the workspace's current container has been started."""
    found = host.container("a")
    return found is not None and bool(found["State"]["Running"])


def test_a_run_whose_lock_is_gone_changes_nothing_more(host: Host) -> None:
    host.ok(host.entry("a"))
    wished = host.entry("a", environment={"MODE": "slow", "TEXT": "new"})
    first = hurried(host, wished)
    try:
        until(lambda: host.container("a", "--previous") and runs(host))
        (host.state_dir / f"locks/workspaces/{host.name('a')}.lock").unlink()
        failed = ended(first)
    finally:
        first.kill()
    assert failed["failed"]
    assert "was removed or taken over while this run held it" in failed["msg"]
    # Nothing was swept up either, for the next run may be at it, nor was anything written of what became of it.
    assert host.container("a", "--previous")
    with sqlite3.connect(host.state_dir / "records.sqlite") as record:
        ((last,),) = record.execute('SELECT "end" FROM transitions ORDER BY id DESC LIMIT 1')
    assert last == "starting"
    assert get(host.ok(wished)) == "slow new"
    assert host.container("a", "--previous") is None
    assert not host.ok(wished)["changed"]
