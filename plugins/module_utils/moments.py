# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as people write them. Pure."""

from __future__ import annotations

import calendar
import datetime
import re
import time

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_moment(text: str, now: float) -> float:
    """A time as seconds since 1970, from how long ago it was (90s, 5m, 2h, 1d) or from a date in UTC.

    :raises WorkspacesError: it is neither.
    """
    plain = text.strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", plain)
    if match:
        return now - float(match.group(1)) * _SECONDS[match.group(2)]
    try:
        plain = re.sub(r"(\.\d+)?(Z|\+00:00)?$", "", plain)
        return float(calendar.timegm(time.strptime(plain, "%Y-%m-%dT%H:%M:%S" if "T" in plain else "%Y-%m-%d")))
    except ValueError as error:
        raise WorkspacesError(
            f"since is '{text}': expected how long ago (90s, 5m, 2h, 1d) or a time in UTC such as 2030-01-31T10:00:00Z."
        ) from error


def engine_seconds(text: str) -> float:
    """A time as the engine writes it, in seconds since 1970.

    :raises ValueError: it is none.
    """
    match = re.fullmatch(r"(\S+?)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if match is None:
        raise ValueError(text)
    whole, fraction, zone = match.groups()
    moment = datetime.datetime.fromisoformat(whole + zone.replace("Z", "+00:00"))
    return moment.timestamp() + float(fraction or 0)


def in_utc(seconds: float) -> str:
    """Seconds since 1970 as a date and time in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
