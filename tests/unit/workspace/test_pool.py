# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which members a pool is to have, what the book of pools keeps, and what becomes of its locks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_book import PoolBook, enter_members
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_names import (
    Member,
    member_entries,
    member_number,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks, lock_one

TEMPLATE = {"name": "py", "image": "x:1", "state": "started"}


def pool(size: int, name: str = "py") -> dict[str, Any]:
    """A pool as the plan has it."""
    return {"name": name, "size": size, "workspace": dict(TEMPLATE, name=name)}


def told(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Names and states."""
    return [(entry["name"], entry["state"]) for entry in entries]


@pytest.mark.parametrize(
    ("name", "number"), [("py-1", 1), ("py-12", 12), ("py-0", 0), ("py-01", 0), ("py", 0), ("py-x", 0), ("py-1-2", 0)]
)
def test_members_are_known_by_their_names(name: str, number: int) -> None:
    assert member_number("py", name) == number


def test_a_pool_is_filled_and_claimed_ones_are_left_out() -> None:
    assert told(member_entries(pool(2), [], [])) == [("py-1", "started"), ("py-2", "started")]
    members = [Member("py-1", "py", claimant="ada"), Member("py-2", "py")]
    entries = member_entries(pool(2), members, ["py-1", "py-2"])
    assert told(entries) == [("py-2", "started"), ("py-3", "started")]
    assert [entry["pool"] for entry in entries] == ["py", "py"]
    assert entries[0]["image"] == "x:1"


def test_numbers_are_not_given_again_while_anything_has_them() -> None:
    assert told(member_entries(pool(1), [], ["py-7", "py-x-9", "go-12"])) == [("py-8", "started")]
    returned = Member("py-3", "py", claimant="ada", returned=True)
    assert told(member_entries(pool(1), [returned], ["py-3"])) == [("py-4", "started")]


def test_those_that_are_too_many_go_with_their_files_the_newest_first() -> None:
    members = [Member(f"py-{number}", "py") for number in (2, 10, 9)]
    entries = member_entries(pool(1), members, [member.name for member in members])
    assert told(entries) == [("py-2", "started"), ("py-9", "absent"), ("py-10", "absent")]
    assert [entry.get("purge", False) for entry in entries] == [False, True, True]
    assert told(member_entries(pool(0), members[:1], ["py-2"])) == [("py-2", "absent")]


def test_the_book_keeps_who_has_what(tmp_path: Path) -> None:
    book = PoolBook(str(tmp_path))
    assert (book.members(), book.names()) == ({}, [])
    member = Member("py-1", "py")
    book.write(member)
    claimed = replace(member, claimant="ada", owner="team", since="2030-01-01T00:00:00Z")
    book.write(claimed)
    book.write(Member("go-1", "go"))
    os.mkdir(tmp_path / "workspaces" / "shop")
    assert book.members() == {"go-1": Member("go-1", "go"), "py-1": claimed}
    assert told(book.entries([pool(1), pool(2, "go")], ["py-5"])) == [
        ("py-6", "started"), ("go-1", "started"), ("go-2", "started"),
    ]  # fmt: skip
    assert (tmp_path / "workspaces" / "py-1").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pool": "py"}'])
def test_a_page_that_says_nothing_makes_nobody_the_owner(tmp_path: Path, text: str) -> None:
    book = PoolBook(str(tmp_path))
    book.write(Member("py-1", "py", claimant="ada"))
    (tmp_path / "workspaces" / "py-1" / "pool.json").write_text(text)
    with pytest.raises(WorkspacesError, match=r"pool\.json does not say who has the workspace"):
        book.members()


def test_what_was_claimed_meanwhile_leaves_the_list_and_what_is_new_enters_the_book(tmp_path: Path) -> None:
    book = PoolBook(str(tmp_path))
    book.write(Member("py-1", "py", claimant="ada"))
    book.write(Member("py-2", "py"))
    entries = [
        {"name": "shop", "state": "started"},
        {"name": "py-1", "pool": "py", "state": "absent"},
        {"name": "py-2", "pool": "py", "state": "started"},
        {"name": "py-3", "pool": "py", "state": "started"},
        {"name": "py-4", "pool": "py", "state": "absent"},
    ]
    kept = enter_members(str(tmp_path), entries)
    assert [entry["name"] for entry in kept] == ["shop", "py-2", "py-3", "py-4"]
    assert sorted(book.members()) == ["py-1", "py-2", "py-3"]


def test_a_lock_that_is_let_go_can_be_taken_by_others(tmp_path: Path) -> None:
    state_dir = str(tmp_path)
    for name in ("py-1", "py-2"):
        PoolBook(state_dir).write(Member(name, "py"))
    locks = WorkspaceLocks(state_dir, "a test", 1)
    with locks.planning(["py-1", "py-2"]):
        locks.let_go(["py-1"])
    with lock_one(state_dir, "py-1", "a claim", "net") as lease:
        assert lease is not None
        assert locks.reserved_networks() == {"net"}
    with lock_one(state_dir, "py-2", "a claim") as lease:
        assert lease is None
    locks.close()
    with lock_one(state_dir, "py-2", "a claim") as lease:
        assert lease is not None
