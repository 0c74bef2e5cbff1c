# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host ports: kept, chosen, refused."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import (
    PortRequest,
    PortWish,
    Taken,
    assign,
    overlap,
    parse_range,
)
from hypothesis import given
from hypothesis import strategies as st

RANGE = range(20000, 20100)


def free(address: str, port: int) -> Optional[str]:
    """Nothing else listens."""
    return None


def request(name: str, *ports: Optional[int], address: str = "127.0.0.1", **more: object) -> PortRequest:
    """A workspace that wants these host ports, called p0, p1 and so on."""
    wishes = [PortWish(f"p{index}", 4096 + index, port, address) for index, port in enumerate(ports)]
    return PortRequest(name, wishes, more.pop("recorded", {}), **more)  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=20), st.sets(st.sampled_from(RANGE), max_size=30))
def test_chosen_ports_are_distinct_free_and_chosen_again(counts: list[int], taken: set[int]) -> None:
    requests = [request(f"w{index}", *[None] * count) for index, count in enumerate(counts)]
    others = [Taken(port, "0.0.0.0", "x") for port in sorted(taken)]
    once = assign(requests, others, RANGE, free).ports
    chosen = [port for ports in once.values() for port in ports.values()]
    assert len(chosen) == len(set(chosen)) == sum(counts)
    assert not set(chosen) & taken
    assert set(chosen) <= set(RANGE)
    assert assign(requests, others, RANGE, free).ports == once


@given(st.permutations(["a", "b", "c", "d"]))
def test_recorded_ports_stay_whatever_the_order(names: list[str]) -> None:
    recorded = {"a": 20001, "b": 20002, "c": 20003}
    requests = [request(name, None, recorded={"p0": recorded[name]} if name in recorded else {}) for name in names]
    ports = assign(requests, [], RANGE, free).ports
    assert {name: ports[name]["p0"] for name in recorded} == recorded


def test_a_named_port_wins_over_a_recorded_one_which_moves_with_a_note() -> None:
    result = assign([request("a", None, recorded={"p0": 20001}), request("b", 20001)], [], RANGE, free)
    assert result.ports["b"]["p0"] == 20001
    assert result.ports["a"]["p0"] != 20001
    assert result.notes["a"] == ["Port p0 moves away from 20001: port p0 of workspace 'b' has it."]


def test_all_refusals_are_in_one_message() -> None:
    def used(address: str, port: int) -> Optional[str]:
        return "something listens" if port == 3 else None

    with pytest.raises(PlanError) as caught:
        assign([request("a", 1, 1), request("b", 2, 3)], [Taken(2, "::", "container db")], RANGE, used)
    assert caught.value.problems == [
        "Workspace 'a': port p1 wants 1, but port p0 of workspace 'a' has it.",
        "Workspace 'b': port p0 wants 2, but container db has it.",
        "Workspace 'b': port p1 wants 3, but something listens.",
    ]


def test_one_port_on_two_addresses_is_two_ports() -> None:
    ports = assign([request("a", 80), request("b", 80, address="127.0.0.2")], [], RANGE, free).ports
    assert ports == {"a": {"p0": 80}, "b": {"p0": 80}}


def test_its_own_port_is_free_for_a_workspace() -> None:
    taken = [Taken(20001, "127.0.0.1", "workspace 'a'", workspace="a")]
    wish = request("a", 20001, own=frozenset({20001}))
    assert assign([wish], taken, RANGE, lambda address, port: "it listens").ports == {"a": {"p0": 20001}}


def test_soft_ones_are_avoided_and_given_when_asked_for() -> None:
    taken = [Taken(port, "", "workspace 'x'", workspace="x", soft=True) for port in RANGE[:-1]]
    assert assign([request("a", None)], taken, RANGE, free).ports["a"]["p0"] == RANGE[-1]
    assert assign([request("a", RANGE[0])], taken, RANGE, free).ports["a"]["p0"] == RANGE[0]


def test_a_full_range_is_said() -> None:
    with pytest.raises(PlanError, match="no port of 20000-20000 is free for p1"):
        assign([request("a", None, None)], [], range(20000, 20001), free)


@pytest.mark.parametrize("text", ["", "1", "0-5", "9-5", "1-70000", "a-b", "1-2-3"])
def test_a_broken_range_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="expected two ports"):
        parse_range(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("127.0.0.1", "127.0.0.1", True), ("127.0.0.1", "0.0.0.0", True), ("::", "10.0.0.1", True), ("a", "b", False)],
)
def test_overlap(one: str, other: str, expected: bool) -> None:
    assert {overlap(*pair) for pair in ((one, other), (other, one))} == {expected}
