# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the members of a pool are called, and which of them there are to be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A member's name is the pool's with a number, and no longer than any workspace's.
LONGEST_POOL = 34


@dataclass(frozen=True)
class Member:
    """A workspace of a pool, as the host's book has it.

    :ivar claimant: who has it; empty while nobody does.
    :ivar owner: whose network it is in, once it is claimed.
    :ivar since: when it was claimed, in UTC.
    :ivar returned: whether its claimant gave it back. Its files may still be there, so nobody else ever gets it.
    """

    name: str
    pool: str
    claimant: str = ""
    owner: str = ""
    since: str = ""
    returned: bool = False

    @property
    def free(self) -> bool:
        """Whether nobody has it or had it."""
        return not self.claimant

    @property
    def number(self) -> int:
        """Its number in the pool."""
        return member_number(self.pool, self.name)


def member_name(pool: str, number: int) -> str:
    """What a member is called."""
    return f"{pool}-{number}"


def member_number(pool: str, name: str) -> int:
    """The number of a workspace that is called like a pool's member; 0 for one that is not."""
    match = re.fullmatch(re.escape(pool) + r"-([1-9][0-9]*)", name)
    return int(match.group(1)) if match else 0


def pool_owner(pool: str) -> str:
    """The owner whose network unclaimed members are in."""
    return f"pool-{pool}"


def member_entries(pool: Mapping[str, Any], members: Iterable[Member], names: Iterable[str]) -> list[dict[str, Any]]:
    """The unclaimed members that a pool is to have, as workspaces of the plan, and those that are too many, to remove.

    Those that somebody has or had are not among them.

    :param pool: ``name``, ``size`` and ``workspace``, as the plan has it.
    :param members: those of the pool that there are.
    :param names: of all that there is or was anything of; their numbers are not given again.
    """
    title, size = str(pool["name"]), int(pool["size"])
    free = sorted((member for member in members if member.free), key=lambda member: member.number)
    kept: Sequence[str] = [member.name for member in free[:size]]
    last = max([0, *(member_number(title, name) for name in names)])
    fresh = [member_name(title, last + number) for number in range(1, size - len(kept) + 1)]
    entries = [dict(pool["workspace"], name=name, pool=title, state="started") for name in [*kept, *fresh]]
    return entries + [{"name": member.name, "pool": title, "state": "absent", "purge": True} for member in free[size:]]
