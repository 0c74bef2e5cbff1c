# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers workspaces of a Swarm publish: chosen once for the whole Swarm, and kept from then on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError


def assign_numbers(
    wishes: Mapping[str, Mapping[str, Optional[int]]],
    recorded: Mapping[str, Mapping[str, int]],
    taken: Collection[int],
    allowed: range,
) -> dict[str, dict[str, int]]:
    """The numbers by workspace and name of the port.

    A wish goes before what is recorded, and that before a free number, the lowest that nobody has.

    :param wishes: by workspace and name of the port; None where any will do.
    :param taken: numbers of others.
    :param allowed: where free numbers are chosen.
    :raises PlanError: a wish that another one has, or no free number.
    """
    used = set(taken)
    problems = []
    result: dict[str, dict[str, int]] = {name: {} for name in wishes}
    for name, ports in wishes.items():
        for port, wish in ports.items():
            if wish is None:
                continue
            if wish in used:
                problems.append(f"Workspace '{name}': port {port} is to be {wish}, which another one in the Swarm has.")
            used.add(wish)
            result[name][port] = wish
    missing = [(name, port) for name, ports in wishes.items() for port in ports if port not in result[name]]
    for name, port in missing:
        number = recorded.get(name, {}).get(port)
        if number is not None and number not in used:
            result[name][port] = number
            used.add(number)
    free = [number for number in allowed if number not in used]
    without = [(name, port) for name, port in missing if port not in result[name]]
    if len(without) > len(free):
        problems.append(
            f"{len(without)} ports are to be chosen, and {len(free)} of {allowed[0]}-{allowed[-1]} are free."
        )
    for (name, port), number in zip(without, free):
        result[name][port] = number
    if problems:
        raise PlanError(problems)
    return result
