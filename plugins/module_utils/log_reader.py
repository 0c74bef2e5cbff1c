# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the logs of workspaces: what they wrote, and what they write over a time that is to come."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.container_output import (
    parse_line,
    select_lines,
    workspaces_of,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.look_again import look_up, read_present
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import parse_moment
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed

if TYPE_CHECKING:
    from docker import DockerClient

Line = dict[str, str]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_POLL_SECONDS = 0.5
# An update stops a container before it names it the previous one: once is not enough to tell that nothing runs.
_IDLE_LOOKS = 2
# The engine gives no log of a container that it removes, or failed to remove.
_UNREADABLE = ("removing", "dead")


def parse_log(raw: bytes) -> list[Line]:
    """The lines of a log with the engine's times."""
    # Only this ends a line for the engine; a progress bar, say, has other ends in its one line.
    return [parse_line(line.rstrip("\r")) for line in raw.decode("utf-8", "replace").split("\n") if line]


def last_time(lines: Iterable[Mapping[str, str]]) -> str:
    """The latest time of lines, empty for none.

    The engine writes times in UTC with nine digits after the second, so that they compare as texts.
    """
    # What it says itself, of a file that it cannot read, has no time.
    return max((line["time"] for line in lines if _TIME.fullmatch(line["time"])), default="")


def lines_after(lines: Iterable[Line], moment: str) -> list[Line]:
    """Those later than a time of the engine's."""
    return [line for line in lines if line["time"] > moment]


def goes_on(observed: Observed) -> bool:
    """Whether a workspace may write: its container runs, or is about to be replaced."""
    current = observed.current
    return observed.previous is not None or (
        current is not None and current.state in ("running", "paused", "restarting")
    )


class LogReader:
    """Reads the logs of workspaces.

    :param names: of these, of all where none is named.
    :param services: only lines of these, all where none is named.
    :param since: seconds since 1970; 0 for all that the engine keeps.
    :param tail: how many lines of each, the last ones; 0 for all.
    """

    def __init__(
        self, client: DockerClient, names: Sequence[str], services: Sequence[str], since: float, tail: int
    ) -> None:
        self._client = client
        self._api: Any = client.api
        self._names = names
        self._services = services
        self._since = since
        self._tail = tail

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """The lines of each workspace, with all that are written within the next seconds.

        :raises WorkspacesError: there is no workspace of a name.
        """
        # The engine knows no services, so that it cannot find the last lines of one.
        tail = 0 if self._services else self._tail
        found = workspaces_of(self._client, self._names)
        lines = {name: self._lines(name, observed, self._since, tail) for name, observed in found.items()}
        told = {name: select_lines(old, self._services, self._tail) for name, old in lines.items()}
        if seconds > 0:
            until = {name: last_time(old) for name, old in lines.items()}
            self._follow(seconds)
            # Logs are turned over and containers replaced meanwhile: only its time tells whether a line is new.
            for name, observed in self._now().items():
                moment = until.get(name, "")
                since = parse_moment(moment, 0) if moment else self._since
                new = lines_after(self._lines(name, observed, since, 0), moment)
                told[name] = told.get(name, []) + select_lines(new, self._services, 0)
        return [{"name": name, "lines": told[name]} for name in (told if self._names else sorted(told))]

    def _lines(self, name: str, observed: Observed, since: float, tail: int) -> list[Line]:
        def read(there: Observed) -> list[Line]:
            container = there.current or there.previous
            if container is None or container.state in _UNREADABLE:
                return []
            with engine_words(f"Reading the log of {container.name}"):
                raw = self._api.logs(
                    container.id, stdout=True, stderr=True, timestamps=True, since=since or None, tail=tail or "all"
                )
            return parse_log(raw)

        return read_present(observed, read, lambda: look_up(self._client, name))

    def _now(self) -> dict[str, Observed]:
        """Those that are there now of the workspaces that are read."""
        found = workspaces_of(self._client, [])
        return {name: observed for name, observed in found.items() if not self._names or name in self._names}

    def _follow(self, seconds: float) -> None:
        """Return after this time, or as soon as none of the workspaces runs any more."""
        deadline = time.monotonic() + seconds
        idle = 0
        while time.monotonic() < deadline:
            idle = 0 if any(goes_on(observed) for observed in self._now().values()) else idle + 1
            if idle == _IDLE_LOOKS:
                return
            time.sleep(max(0.0, min(_POLL_SECONDS, deadline - time.monotonic())))
