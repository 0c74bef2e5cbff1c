# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the user's secrets are on a host, and that nothing of them stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


def values(host: Host) -> dict[str, str]:
    """What memory has of all workspaces, by file."""
    folder = host.secret("a", "token").parent.parent
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def inside(host: Host, file: str) -> str:
    """A secret as the workspace has it."""
    container = host.client.containers.get(f"codeopen-{host.name('a')}")
    return str(container.exec_run(["cat", f"/run/codeopen/secrets/{file}"]).output.decode())


def test_nothing_stays_in_memory_when_secrets_go_to_disk(host: Host) -> None:
    entry, name = host.entry("a"), host.name("a")
    host.ok(entry, secrets={name: {"token": "hush-1", "key": "hush-2"}})
    assert sorted(values(host).values()) == ["hush-1", "hush-2"]
    on_disk = {"secrets": {name: {"token": "hush-3"}}, "secrets_in": "disk"}
    assert host.ok(entry, check_mode=True, **on_disk)["changed"]
    assert sorted(values(host).values()) == ["hush-1", "hush-2"]
    assert host.ok(entry, **on_disk)["changed"]
    assert not host.ok(entry, **on_disk)["changed"]
    assert (values(host), inside(host, "token")) == ({}, "hush-3")
    # What earlier versions left there.
    host.secret("a", "token").write_text("hush-1")
    for check_mode, changed in ((True, True), (False, True), (False, False)):
        assert host.ok(entry, check_mode=check_mode, **on_disk)["changed"] == changed
    assert (values(host), inside(host, "token")) == ({}, "hush-3")
    # And back.
    assert host.ok(entry, secrets=on_disk["secrets"])["changed"]
    assert not host.ok(entry, secrets=on_disk["secrets"])["changed"]
    assert (values(host), inside(host, "token")) == ({f"{name}/token": "hush-3"}, "hush-3")


def test_secrets_that_a_run_does_not_give_go_where_it_wants_them(host: Host) -> None:
    entry, name = host.entry("a"), host.name("a")
    host.ok(entry, secrets={name: {"token": "hush-1"}})
    for options, there in (({"secrets_in": "disk"}, {}), ({}, {f"{name}/token": "hush-1"})):
        assert host.ok(entry, check_mode=True, **options)["changed"]
        done = host.ok(entry, **options)
        assert done["changed"]
        assert "hush" not in str(done)
        assert (values(host), inside(host, "token")) == (there, "hush-1")
        assert not host.ok(entry, **options)["changed"]


def test_a_plan_says_where_secrets_go_though_there_are_none(host: Host) -> None:
    entry = host.entry("a")
    host.ok(entry)
    for place, other in (("disk", "memory"), ("memory", "disk")):
        for check_mode in (True, False):
            told = host.ok(entry, secrets_in=place, check_mode=check_mode)["workspaces"][0]
            assert told["action"] == "update"
            assert told["diff"] == {
                "before": {"state": "started", "secrets_in": other}, "after": {"state": "started", "secrets_in": place},
            }  # fmt: skip
        again = host.ok(entry, secrets_in=place)["workspaces"][0]
        assert not again["changed"]


def test_a_purge_removes_what_is_in_memory_wherever_secrets_are_to_be(host: Host) -> None:
    host.ok(host.entry("a"), host.entry("b"), secrets={host.name(one): {"token": "hush"} for one in ("a", "b")})
    gone = host.entry("a", state="absent")
    assert host.ok(gone, purge=True, secrets_in="disk")["changed"]
    assert not host.ok(gone, purge=True, secrets_in="disk")["changed"]
    assert values(host) == {f"{host.name('b')}/token": "hush"}
    left = host.secret("a", "token")
    assert not left.parent.exists()
    # What a purge by earlier versions left there.
    left.parent.mkdir()
    left.write_text("hush")
    for check_mode, changed in ((True, True), (False, True), (False, False)):
        assert host.ok(gone, purge=True, secrets_in="disk", check_mode=check_mode)["changed"] == changed
    assert not left.parent.exists()
