# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of single processes, as a shell in the container has them from a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


def inside(host: Host) -> list[str]:
    """Locked memory in KiB and size of a dump in blocks of 512 bytes."""
    container = host.client.containers.get(f"codeopen-{host.name('a')}")
    return list(container.exec_run(["sh", "-c", "ulimit -l; ulimit -c"]).output.decode().split())


def test_locked_memory_and_dumps(host: Host) -> None:
    host.ok(host.entry("a"))
    before, by_itself = host.started("a"), inside(host)
    # 0 is as nothing at all.
    assert not host.ok(host.entry("a", limits={"locked_memory": 0, "core_size": 0}))["changed"]

    # No more locked memory than a machine gives to an engine that may not raise its own limits.
    entry = host.entry("a", limits={"locked_memory": 1024 * 1024, "core_size": -1})
    told = host.ok(entry, check_mode=True)["workspaces"][0]
    assert (told["action"], told["diff"]["after"]) == (
        "update", {"state": "started", "locked_memory": 1024 * 1024, "core_size": -1},
    )  # fmt: skip
    assert host.started("a") == before
    done = host.ok(entry)["workspaces"][0]
    assert done["diff"] == told["diff"]
    assert inside(host) == ["1024", "unlimited"]
    assert not host.ok(entry)["changed"]
    assert not host.ok(entry, check_mode=True)["changed"]

    # One byte is too little for any dump.
    host.ok(host.entry("a", limits={"locked_memory": 128 * 1024, "core_size": 1}))
    assert inside(host) == ["128", "0"]
    host.ok(host.entry("a"))
    assert inside(host) == by_itself
