# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a service of the Swarm is not what was wished. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

Plain = Union[Mapping[str, Any], Sequence[Any], str, int, float, bool, None]


def drifted(found: Plain, wished: Plain, where: str = "") -> list[str]:
    """Where a service differs from the request for it, as paths; what the request does not say counts for nothing.

    The engine leaves out what is empty, so that nothing and an empty value are the same.
    """
    if isinstance(wished, Mapping):
        there = found if isinstance(found, Mapping) else {}
        paths = [drifted(there.get(key), value, f"{where}.{key}".lstrip(".")) for key, value in wished.items()]
        return [path for part in paths for path in part]
    if isinstance(wished, (list, tuple)):
        items = list(found) if isinstance(found, (list, tuple)) else []
        if len(items) != len(wished):
            return [where]
        paths = [drifted(one, other, f"{where}[{index}]") for index, (one, other) in enumerate(zip(items, wished))]
        return [path for part in paths for path in part]
    return [] if (found or None) == (wished or None) else [where]
