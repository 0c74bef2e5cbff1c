# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs, events and commands of workspaces on a real engine."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine

WRITE = ["sh", "-c", "printf '[web] one\\n[agent] two\\nthree\\n' > /proc/1/fd/1"]


def texts(result: dict[str, Any], index: int = 0) -> list[tuple[str, str]]:
    """Service and text of a workspace's lines."""
    return [(line["service"], line["text"]) for line in result["workspaces"][index]["lines"]]


def test_logs_by_service_time_and_number(host: Host) -> None:
    begun = time.time()
    host.ok(host.entry("one"), host.entry("two"))
    one, two = host.name("one"), host.name("two")
    host.client.containers.get(f"codeopen-{one}").exec_run(WRITE)
    both = host.call("workspace_logs", names=[two, one])
    assert [entry["name"] for entry in both["workspaces"]] == [two, one]
    assert texts(both, 0) == [("", "mode healthy")]
    assert texts(both, 1) == [("", "mode healthy"), ("web", "one"), ("agent", "two"), ("", "three")]
    assert texts(host.call("workspace_logs", names=[one], tail=2)) == [("agent", "two"), ("", "three")]
    assert texts(host.call("workspace_logs", names=[one], services=["web"], tail=1)) == [("web", "one")]
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun - 60))
    assert len(texts(host.call("workspace_logs", names=[one], since=since))) == 4
    assert texts(host.call("workspace_logs", names=[one], since="0s")) == []
    assert "did you mean" in host.call("workspace_logs", names=[one + "x"])["msg"]
    assert "since is 'noon': expected how long ago" in host.call("workspace_logs", names=[one], since="noon")["msg"]


def test_logs_and_events_of_a_time_that_is_to_come(host: Host) -> None:
    host.ok(host.entry("one"))
    one = host.name("one")
    container = host.client.containers.get(f"codeopen-{one}")
    told: dict[str, Any] = {}

    # Whatever begins first, what is looked for happens while they wait or shortly before.
    events = threading.Thread(
        target=lambda: told.update(host.call("workspace_events", names=[one], since="1m", duration=6))
    )
    logs = threading.Thread(target=lambda: told.update(logs=host.call("workspace_logs", names=[one], follow=60)))
    events.start()
    logs.start()
    container.exec_run(WRITE)
    container.kill()
    logs.join()
    events.join()
    assert texts(told["logs"])[-3:] == [("web", "one"), ("agent", "two"), ("", "three")]
    assert {"event": "die", "exit_code": 137} in [
        {key: event[key] for key in ("event", "exit_code") if key in event} for event in told["events"]
    ]
    assert {event["workspace"] for event in told["events"]} == {one}
    before = host.call("workspace_events", names=[one], events=["create", "die"], since="1d")["events"]
    assert [event["event"] for event in before] == ["create", "die"]


def test_a_command_runs_in_all_and_fails_where_it_fails(host: Host) -> None:
    host.ok(host.entry("one"), host.entry("two"), host.entry("three", state="stopped"))
    one, two, three = (host.name(name) for name in ("one", "two", "three"))
    script = 'echo "$PWD $WORD"; echo bad >&2; case $(hostname) in *two) exit 3;; esac'
    done = host.call(
        "workspace_exec", names=[one, two, three], argv=["sh", "-c", script], chdir="/home", env={"WORD": "hush"}
    )
    first, second, third = done["workspaces"]
    assert done["failed"]
    assert (first["rc"], first["stderr"], "error" in first) == (0, "bad\n", False)
    assert (second["rc"], third.get("rc")) == (3, None)
    assert f"Workspace '{two}': 'sh' failed: exit code 3." in done["msg"]
    assert f"Workspace '{three}': Running 'sh' in codeopen-{three} failed: " in done["msg"]
    # Neither in what was asked, which newer ansible-core does not repeat, nor in what the command said.
    assert "hush" not in str(done)
    assert first["stdout"].startswith("/home ")
    late = host.call("workspace_exec", names=[one], argv=["sleep", "600"], timeout=1)
    assert "its time of 1 seconds was over" in late["msg"] or late["workspaces"][0]["rc"] == 143
    assert not host.call("workspace_exec", names=[one], argv=["true"]).get("failed")
