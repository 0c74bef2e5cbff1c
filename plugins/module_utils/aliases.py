# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names under which a workspace is found in its owner's network. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import container_name

# A label of RFC 1035, which may begin with a digit as in RFC 1123. Names are compared without regard to case.
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
EXPECTED = "a DNS label: lower-case letters, digits and hyphens between them, at most 63 characters"


def is_label(alias: Any) -> bool:
    """Whether it can be an alias."""
    return isinstance(alias, str) and re.fullmatch(LABEL, alias) is not None


def further(name: str, aliases: Iterable[str] | None) -> list[str]:
    """Each of the aliases once and in order, so that the order in which somebody wrote them changes nothing."""
    return sorted({str(alias) for alias in aliases or ()} - {name})


def names_of(name: str, aliases: Iterable[str] | None) -> list[str]:
    """All the names of a workspace, its own one first."""
    return [name, *further(name, aliases)]


def clashes(workspaces: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Aliases that would lead to one of two: the workspace's name, the alias, and why, in words.

    Members of a pool are alike until they are claimed, and each is in another network then.
    """
    present = [one for one in workspaces if one.get("state") != "absent" and not one.get("pool")]
    called: dict[tuple[str, str], str] = {}
    for entry in present:
        name, owner = str(entry.get("name") or ""), str(entry.get("owner") or "")
        # The engine's name service knows a container by its own name, too.
        called.update({(owner, name): name, (owner, container_name(name)): name})
    given: dict[tuple[str, str], str] = {}
    for entry in present:
        name, owner = str(entry.get("name") or ""), str(entry.get("owner") or "")
        for alias in further(name, entry.get("aliases")):
            other = called.get((owner, alias), name)
            if other != name:
                yield name, alias, f"is what workspace '{other}' of the same owner is called"
                continue
            other = given.setdefault((owner, alias), name)
            if other != name:
                yield name, alias, f"is an alias of workspace '{other}' of the same owner, too"
