# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what ``docker buildx bake --progress rawjson`` writes and turns it into events. Pure."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import json
import re
from collections.abc import Sequence
from typing import Any, Optional

STEP_STARTED = "step started"
STEP_FINISHED = "step finished"
STEP_CACHED = "step cached"
STEP_FAILED = "step failed"
OUTPUT = "output"
LAYER_FINISHED = "layer finished"

_HEAD = re.compile(r"^\[(?P<head>[^\]]*)\] (?P<text>.*)$", re.DOTALL)
_NUMBER = re.compile(r"(?:^|\s)(?P<number>\d+)/(?P<total>\d+)$")
_MOUNT = re.compile(r"^(?P<word>RUN)(?:\s+--\S+)+\s+")
_FRACTION = re.compile(r"\.(\d+)")


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happened in a build.

    :ivar layer: the target's name, or an empty string where the tool names none.
    :ivar step: the instruction, on one line.
    :ivar number: the step's number of ``total`` in its stage; both 0 where the tool gives none.
    :ivar seconds: how long the step or the layer's export took.
    :ivar text: a line of output, or the error's text.
    """

    kind: str
    layer: str
    step: str = ""
    number: int = 0
    total: int = 0
    seconds: float = 0.0
    text: str = ""


@dataclasses.dataclass
class _Vertex:
    layer: str = ""
    step: str = ""
    number: int = 0
    total: int = 0
    exports: bool = False
    started: bool = False
    completed: bool = False
    partial: str = ""
    lines: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Failure:
    """The step that made a build fail, with the last lines of its output."""

    layer: str
    step: str
    number: int
    total: int
    error: str
    lines: tuple[str, ...]


class ProgressParser:
    """Takes the tool's output in pieces of any size and keeps the events for whoever drains them.

    A step that several targets share is named once for each, in any order and some milliseconds apart. An event gets
    its layer only when it is drained, so that draining once a second counts such a step to the right layer.

    :param targets: names of the targets that are built, parents before children. A step that several targets
        share is counted to the first of them.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = list(targets)
        self._rank = {target: number for number, target in enumerate(self._targets)}
        self._pending = ""
        self._decoder = json.JSONDecoder()
        self._vertices: dict[str, _Vertex] = {}
        self.messages: list[str] = []
        self._events: list[tuple[str, _Vertex, float, str]] = []
        self._failed: Optional[tuple[_Vertex, str]] = None

    @property
    def failure(self) -> Optional[Failure]:
        """The first step that failed by itself, or None."""
        if self._failed is None:
            return None
        vertex, error = self._failed
        return Failure(vertex.layer, vertex.step, vertex.number, vertex.total, error, tuple(vertex.lines))

    def drain(self) -> list[Event]:
        """Give the events since the last call."""
        events = [
            Event(kind, vertex.layer, vertex.step, vertex.number, vertex.total, seconds, text)
            for kind, vertex, seconds, text in self._events
        ]
        self._events.clear()
        return events

    def feed(self, text: str) -> None:
        """Take the next piece of output.

        Text that is no JSON (warnings, the tool's own summary of an error) is kept in ``messages``.
        """
        self._pending += text
        while True:
            self._pending = self._pending.lstrip()
            if not self._pending:
                return
            if self._pending[0] == "{":
                try:
                    record, end = self._decoder.raw_decode(self._pending)
                except ValueError:
                    return
                self._pending = self._pending[end:]
                self._record(record)
                continue
            line, newline, rest = self._pending.partition("\n")
            if not newline:
                return
            self._pending = rest
            self.messages.append(line.rstrip())

    def finish(self) -> None:
        """Take what was still held as whole: last lines with no end of line."""
        for vertex in self._vertices.values():
            if vertex.partial:
                self._output(vertex, "\n")
        if self._pending.strip():
            self.messages.extend(self._pending.strip().splitlines())
            self._pending = ""

    def _record(self, record: dict[str, Any]) -> None:
        vertexes = record.get("vertexes") or []
        for data in vertexes:
            self._name(data)
            self._state(data)
        for data in record.get("logs") or []:
            vertex = self._vertices.setdefault(str(data.get("vertex")), _Vertex())
            try:
                text = base64.b64decode(data.get("data") or "").decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                continue
            self._output(vertex, text)

    def _name(self, data: dict[str, Any]) -> None:
        vertex = self._vertices.setdefault(str(data.get("digest")), _Vertex())
        layer, rest, text = self._split(str(data.get("name") or ""))
        if vertex.step and self._rank.get(layer, len(self._rank)) >= self._rank.get(vertex.layer, len(self._rank)):
            return
        numbers = _NUMBER.search(rest)
        vertex.layer = layer
        vertex.step = text
        vertex.number = int(numbers.group("number")) if numbers else 0
        vertex.total = int(numbers.group("total")) if numbers else 0
        vertex.exports = not rest and text.startswith("exporting to")

    def _split(self, name: str) -> tuple[str, str, str]:
        """Split a name into layer, the rest of its brackets (stage, numbers) and instruction."""
        match = _HEAD.match(name)
        head = match.group("head") if match else ""
        text = " ".join((match.group("text") if match else name).split())
        # Mount options say nothing to a reader and fill the line.
        text = _MOUNT.sub(r"\g<word> ", text)
        first, rest = ([*head.split(" ", 1), ""])[:2]
        if first in self._rank:
            return first, rest, text
        # The tool leaves the target's name out where it builds a single one.
        if len(self._targets) == 1 and "bake definitions" not in text:
            return self._targets[0], head, text
        return "", head, text

    def _state(self, data: dict[str, Any]) -> None:
        vertex = self._vertices[str(data.get("digest"))]
        if vertex.completed:
            return
        error = str(data.get("error") or "")
        if data.get("completed"):
            vertex.completed = True
            seconds = _seconds(str(data.get("started") or ""), str(data["completed"]))
            if vertex.partial:
                self._output(vertex, "\n")
            if error:
                # The others of a failed build end as cancelled; that is not why it failed.
                if self._failed is None and "context canceled" not in error:
                    self._failed = (vertex, error)
                    self._events.append((STEP_FAILED, vertex, seconds, error))
            elif vertex.exports:
                self._events.append((LAYER_FINISHED, vertex, seconds, ""))
            elif vertex.number:
                self._events.append((STEP_CACHED if data.get("cached") else STEP_FINISHED, vertex, seconds, ""))
        elif data.get("started") and not vertex.started:
            vertex.started = True
            if vertex.number:
                self._events.append((STEP_STARTED, vertex, 0.0, ""))

    def _output(self, vertex: _Vertex, text: str) -> None:
        lines = (vertex.partial + text).split("\n")
        vertex.partial = lines.pop()
        for line in lines:
            # A progress bar rewrites its line; only its last state is worth keeping.
            shown = line.rstrip("\r").rpartition("\r")[2].rstrip()
            if not shown:
                continue
            vertex.lines.append(shown)
            self._events.append((OUTPUT, vertex, 0.0, shown))
        del vertex.lines[:-20]


def _seconds(started: str, completed: str) -> float:
    """Seconds between two RFC 3339 times; 0.0 where one of them is not there."""
    try:
        return max(0.0, (_time(completed) - _time(started)).total_seconds())
    except ValueError:
        return 0.0


def _time(text: str) -> datetime.datetime:
    # Python 3.9 reads neither nanoseconds nor "Z".
    text = _FRACTION.sub(lambda match: "." + match.group(1)[:6].ljust(6, "0"), text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
