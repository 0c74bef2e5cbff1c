# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and CPUs."""

from __future__ import annotations

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import parse_cpus, parse_size
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 * 1024**3),
        ("20GB", 20 * 1000**3),
        ("512m", 512 * 1024**2),
        ("1.5GiB", 1536 * 1024**2),
        (4096, 4096),
        ("0", 0),
        ("10 kB", 10000),
    ],
)
def test_sizes_are_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "two", "2 gallons", "-1GiB", None, True, 1.5, ["1"]])
def test_what_is_not_a_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size; expected"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=2**60))
def test_a_size_in_bytes_is_exact(size: int) -> None:
    assert parse_size(size) == parse_size(f"{size}B") == size
    assert parse_size(f"{size}GiB") == size * 1024**3


@pytest.mark.parametrize(("text", "cpus"), [(2, 2.0), ("0.5", 0.5), (0, 0.0), (1.2345, 1.234)])
def test_cpus_are_read(text: object, cpus: float) -> None:
    assert parse_cpus(text) == pytest.approx(cpus, abs=0.001)


@pytest.mark.parametrize("text", ["many", -1, True, None, float("nan")])
def test_what_is_not_cpus_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a number of CPUs"):
        parse_cpus(text)
