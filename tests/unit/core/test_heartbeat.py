# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job sees that nobody waits for it any more, whatever is done to the clock."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.heartbeat import ABANDONED, Heartbeat


def test_silence_and_the_files_end_are_noticed_and_touches_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "heartbeat"
    path.touch()
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heartbeat = Heartbeat(str(path))
    assert not heartbeat.is_abandoned()
    now[0] += ABANDONED - 1
    assert not heartbeat.is_abandoned()
    os.utime(path, (5, 5))
    now[0] += ABANDONED - 1
    assert not heartbeat.is_abandoned()
    now[0] += ABANDONED - 1
    assert not heartbeat.is_abandoned()
    now[0] += 1
    assert heartbeat.is_abandoned()
    path.unlink()
    assert heartbeat.is_abandoned()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    path = tmp_path / "heartbeat"
    path.touch()
    heartbeat = Heartbeat(str(path))
    assert not heartbeat.is_abandoned()
    moment = time.time() + jump
    monkeypatch.setattr(time, "time", lambda: moment)
    assert not heartbeat.is_abandoned()
