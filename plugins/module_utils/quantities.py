# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and CPU counts as people write them."""

from __future__ import annotations

import re
from decimal import Decimal

# Decimal units as in the International System, binary ones as in IEC 80000-13. A bare k/m/g is read
# as binary, as the Docker CLI does.
_UNITS = {
    "": 1,
    "b": 1,
    "k": 1024,
    "m": 1024**2,
    "g": 1024**3,
    "t": 1024**4,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


def parse_size(value: object) -> int:
    """Bytes of a size such as ``2GiB``, ``512M`` or ``1073741824``.

    :raises ValueError: when it is not a size, or less than zero.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"'{value}' is not a size; expected a number with a unit, such as 2GiB or 20GB")
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or match.group(2).lower() not in _UNITS:
        raise ValueError(f"'{value}' is not a size; expected a number with a unit, such as 2GiB or 20GB")
    return int(Decimal(match.group(1)) * _UNITS[match.group(2).lower()])


def parse_limit(value: object) -> int:
    """Bytes of a size, or -1 for ``unlimited`` and for -1.

    :raises ValueError: when it is neither.
    """
    if not isinstance(value, bool) and str(value).strip().lower() in ("unlimited", "-1"):
        return -1
    try:
        return parse_size(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 'unlimited'") from None


def format_size(size: int) -> str:
    """Bytes for people, in decimal units: ``20 GB``, ``1.5 MB``."""
    return _scaled(size, 1000, ("kB", "MB", "GB", "TB"))


def format_memory(size: int) -> str:
    """Bytes for people, in the binary units that tiers have for memory: ``4 GiB``, ``1.5 MiB``."""
    return _scaled(size, 1024, ("KiB", "MiB", "GiB", "TiB"))


def _scaled(size: int, step: int, units: tuple[str, ...]) -> str:
    value, unit = float(size), "bytes"
    for larger in units:
        if value < step:
            break
        value, unit = value / step, larger
    return f"{value:.{0 if unit == 'bytes' else 1}f}".replace(".0", "") + f" {unit}"


def parse_cpus(value: object) -> float:
    """A number of CPUs, at most three decimals, zero or more.

    :raises ValueError: when it is not such a number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"'{value}' is not a number of CPUs; expected for example 2 or 0.5")
    try:
        cpus = float(value)
    except ValueError:
        raise ValueError(f"'{value}' is not a number of CPUs; expected for example 2 or 0.5") from None
    if not 0 <= cpus < 100000:
        raise ValueError(f"'{value}' is not a number of CPUs; expected zero or more")
    return round(cpus, 3)
