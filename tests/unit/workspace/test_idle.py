# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as use of a workspace, how idle time is reckoned, and what is remembered of it."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import idle
from ansible_collections.codeopen.workspaces.plugins.module_utils.activity import (
    is_health_check,
    parse_tcp,
    reason,
    used_ports,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle import Look, Sample, judge
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle_records import IdleRecords
from ansible_collections.codeopen.workspaces.plugins.module_utils.record_table import records_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.states import Transition

# Port 4096 is 1000, 8080 is 1F90. As a little-endian machine lists them.
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1000 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:1000 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 0 10 -1
   2: 020012AC:1000 010012AC:C351 01 00000000:00000000 00:00000000 00000000  1000        0 3 1 0 20 4 0 10 -1
   3: 020012AC:1000 020012AC:C352 01 00000000:00000000 00:00000000 00000000  1000        0 4 1 0 20 4 0 10 -1
   4: 020012AC:1000 010012AC:C353 06 00000000:00000000 00:00000000 00000000  1000        0 5 1 0 20 4 0 10 -1
   5: 020012AC:C354 22D8B85D:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 6 1 0 20 4 0 10 -1
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 0000000000000000FFFF0000020012AC:1F90 0000000000000000FFFF0000010012AC:C355 01 00000000:00000000
   1: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:C356 01 00000000:00000000
   2: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:C357 01 00000000:00000000
   3: B80D01200000000000000000020000AC:1F90 B80D01200000000000000000010000AC:C358 01 00000000:00000000
"""
PORTS = {"opencode": 4096, "code-server": 8080}
SAMPLE = Sample(container="c1", started="s1", boot="b1", moment=1000.0, cpu=50.0)


@pytest.fixture
def little_endian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "little")


@pytest.mark.usefixtures("little_endian")
def test_only_connections_from_outside_to_published_ports_count() -> None:
    assert used_ports(parse_tcp(TCP), PORTS) == {"opencode": 1}
    assert used_ports(parse_tcp(TCP6), PORTS) == {"code-server": 2}
    assert used_ports(parse_tcp(TCP), {"other": 4097}) == {}
    assert used_ports(parse_tcp(""), PORTS) == {}


@pytest.mark.usefixtures("little_endian")
def test_addresses_are_read_as_the_kernel_writes_them() -> None:
    connections = [*parse_tcp(TCP), *parse_tcp(TCP6)]
    told = [f"{one.local} {one.local_port} {one.remote} {one.remote_port}" for one in connections]
    assert "172.18.0.2 4096 172.18.0.1 50001" in told
    assert "172.18.0.2 8080 172.18.0.1 50005" in told
    assert "2001:db8::ac00:2 8080 2001:db8::ac00:1 50008" in [text.lower() for text in told]


def test_this_machine_lists_a_real_connection_in_this_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            found = parse_tcp(Path("/proc/self/net/tcp").read_text())
    assert [str(one.remote) for one in found if one.local_port == port] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("command", "test", "expected"),
    [
        (["/health"], ["CMD", "/health"], True),
        (["/bin/sh", "-c", "curl x"], ["CMD-SHELL", "curl x"], True),
        (["/bin/sh", "-c", "vim x"], ["CMD-SHELL", "curl x"], False),
        (["bash"], [], False),
        (["bash"], ["NONE"], False),
    ],
)
def test_the_health_check_is_nobodys_command(command: list[str], test: list[str], expected: bool) -> None:
    assert is_health_check(command, test) is expected


def test_the_reason_is_said_in_words() -> None:
    assert reason({"opencode": 1}, []) == "1 connection to opencode"
    assert reason({"opencode": 1, "gui": 2}, [["bash"]]) == "3 connections to gui, opencode"
    assert reason({}, [["bash"]]) == "1 command run in it from the host"
    assert reason({}, []) == ""


def later(seconds: float, cpu: float = 0.0, **changes: str) -> Sample:
    """The same workspace after some time, having used so many seconds of CPU."""
    return replace(SAMPLE, moment=SAMPLE.moment + seconds, cpu=SAMPLE.cpu + cpu, **changes)


def test_idle_time_adds_up_from_look_to_look() -> None:
    before = Look(SAMPLE, 0.0, 0.0)
    for number in (1, 2, 3):
        verdict = judge(before, later(300.0 * number, cpu=3.0 * number), "", 4.0)
        assert (verdict.idle, verdict.active_because, verdict.keep) == (300.0 * number, "", True)
        before = Look(later(300.0 * number, cpu=3.0 * number), verdict.idle, 0.0)


def test_whatever_happens_in_it_ends_its_idle_time() -> None:
    before = Look(SAMPLE, 5000.0, 0.0)
    assert judge(before, later(300), "1 connection to x", 4.0).idle == 0
    busy = judge(before, later(300, cpu=30.0), "", 4.0)
    assert (busy.idle, busy.active_because) == (0, "it used 10.0 % of a CPU since the last look")
    assert judge(before, later(300, cpu=30.0), "", 10.0).idle == 5300.0


@pytest.mark.parametrize("changes", [{"container": "c2"}, {"started": "s2"}, {"boot": "b2"}])
def test_another_start_begins_anew(changes: dict[str, str]) -> None:
    verdict = judge(Look(SAMPLE, 5000.0, 0.0), later(300, **changes), "", 4.0)
    assert (verdict.idle, verdict.active_because) == (0, idle.RESTARTED)


def test_no_clock_and_no_gap_makes_anybody_idle() -> None:
    before = Look(SAMPLE, 600.0, 0.0)
    assert judge(None, SAMPLE, "", 4.0).active_because == idle.UNKNOWN
    # A machine put back to a snapshot.
    assert judge(before, later(-500), "", 4.0).idle == 0
    # Nobody looked for a day: that proves little.
    assert judge(before, later(86400), "", 4.0).idle == 600.0 + idle.LONGEST_GAP


def test_a_look_soon_after_another_says_nothing_about_the_cpu_and_is_not_kept() -> None:
    verdict = judge(Look(SAMPLE, 600.0, 0.0), later(5, cpu=3.0), "", 4.0)
    assert (verdict.idle, verdict.active_because, verdict.keep) == (600.0, "", False)
    assert judge(Look(SAMPLE, 600.0, 0.0), later(5), "1 connection to x", 4.0).keep


def test_looks_are_kept_replaced_and_forgotten_beside_the_history(tmp_path: Path) -> None:
    records = IdleRecords(str(tmp_path))
    assert (records.looks(), records.asleep()) == ({}, {})
    assert not os.path.exists(records_path(str(tmp_path)))
    Records(str(tmp_path)).add("a", [Transition("", "running", "found so")], "me", "1")
    assert records.looks() == {}
    look = Look(SAMPLE, 12.5, 1700000000.0)
    records.remember({"a": look, "b": look})
    records.remember({"b": Look(later(60), 72.5, 1700000000.0)})
    assert records.looks()["a"] == look
    assert records.looks()["b"].idle == 72.5
    records.forget(["a"])
    assert list(records.looks()) == ["b"]
    assert Records(str(tmp_path)).last_states() == {"a": "running"}


def test_asleep_is_the_run_that_the_policy_ended(tmp_path: Path) -> None:
    records = IdleRecords(str(tmp_path))
    records.remember({"a": Look(SAMPLE, 3600.0, 0.0)})
    assert records.asleep() == {}
    records.fall_asleep("a")
    assert records.asleep() == {"a": ("c1", "s1")}
    # A look at its next run ends that.
    records.remember({"a": Look(later(60, started="s2"), 0.0, 0.0)})
    assert records.asleep() == {}
