# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The book of a host's pools: which workspaces are members, and who has which.

Each member's page is a file in its folder, so that it goes when its files go, and not before: a member whose page is
lost is nobody's to give.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_files import ROOT_HINT, read_text, write_text
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_names import Member, member_entries

_PAGE = "pool.json"


class PoolBook:
    """The pages of all members, in ``{state_dir}/workspaces/<name>/pool.json``.

    Whoever writes one holds the lock of the workspace.
    """

    def __init__(self, state_dir: str) -> None:
        self._folder = os.path.join(state_dir, "workspaces")

    def names(self) -> list[str]:
        """All workspaces that the host keeps anything of."""
        return sorted(os.listdir(self._folder)) if os.path.isdir(self._folder) else []

    def members(self) -> dict[str, Member]:
        """All members of all pools, by name."""
        found = {name: self.member(name) for name in self.names()}
        return {name: member for name, member in found.items() if member is not None}

    def member(self, name: str) -> Optional[Member]:
        """What the book has of a workspace; None for one that is in no pool.

        :raises WorkspacesError: its page cannot be read; to guess who has it would be worse.
        """
        path = self._path(name)
        text = read_text(path)
        if text is None:
            return None
        try:
            page = json.loads(text)
            return Member(
                name, str(page["pool"]), str(page["claimant"]), str(page["owner"]), str(page["since"]),
                bool(page["returned"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise WorkspacesError(
                f"{path} does not say who has the workspace ({error}): remove the workspace, or mend the file."
            ) from error

    def write(self, member: Member) -> None:
        """Set a member's page."""
        path = self._path(member.name)
        try:
            for folder, mode in ((self._folder, 0o755), (os.path.dirname(path), 0o700)):
                os.makedirs(folder, mode=mode, exist_ok=True)
        except OSError as error:
            raise WorkspacesError(f"{path} cannot be made: {error.strerror}. {ROOT_HINT}") from error
        page = {key: value for key, value in vars(member).items() if key != "name"}
        write_text(path, json.dumps(page, sort_keys=True) + "\n", 0o600, None)

    def entries(self, pools: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[dict[str, Any]]:
        """The members that the pools of a plan are to have, as workspaces of the plan.

        :param names: of further workspaces that there is anything of, besides those that the host keeps files of.
        """
        members = list(self.members().values())
        known = [*self.names(), *names]
        found: list[dict[str, Any]] = []
        for pool in pools:
            found += member_entries(pool, [member for member in members if member.pool == pool["name"]], known)
        return found

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name, _PAGE)


def enter_members(state_dir: str, workspaces: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Enter those of a list that are to be members of pools into the book, and give the list without those that
    somebody claimed meanwhile. Whoever calls this holds their locks.
    """
    book = PoolBook(state_dir)
    kept = []
    for entry in workspaces:
        if entry.get("pool"):
            member = book.member(str(entry["name"]))
            if member is not None and not member.free:
                continue
            if member is None and entry["state"] != "absent":
                book.write(Member(str(entry["name"]), str(entry["pool"])))
        kept.append(entry)
    return kept
