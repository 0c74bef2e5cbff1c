# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells people how a build goes: turns events into lines of the log, and a failure into one message."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from ansible_collections.codeopen.workspaces.plugins.module_utils import build_progress
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import BuildLog, disk_error
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_progress import Event, ProgressParser

# Seconds of silence of a step after which a line says that it still runs.
QUIET = 15.0
STEP_WIDTH = 100
_MARKED = re.compile(r"^ *\d+ \| >>> (.*)$")
_EXIT_CODE = re.compile(r"did not complete successfully: (exit code: \d+)")


class BuildReport:
    """Follows one bake.

    :param dockerfiles: texts of the Dockerfiles of the targets that are built, parents before children.
    """

    def __init__(self, log: BuildLog, dockerfiles: Mapping[str, str]) -> None:
        targets = list(dockerfiles)
        self._log = log
        self._dockerfiles = dockerfiles
        self._parser = ProgressParser(targets)
        self._to_go = targets
        self._begun: dict[str, float] = {}
        self._running: dict[tuple[str, str], float] = {}
        self._told: dict[tuple[str, str], float] = {}

    def feed(self, text: str) -> None:
        """Take a piece of the tool's progress; :meth:`tick` writes it to the log."""
        self._parser.feed(text)

    def tick(self) -> None:
        """Write what happened since the last call, and of steps that are silent for long that they still run."""
        for event in self._parser.drain():
            self._event(event)
        now = time.monotonic()
        for (layer, step), since in self._running.items():
            if now - self._told[(layer, step)] >= QUIET:
                self._told[(layer, step)] = now
                self._log.progress(f"{layer}: still running after {now - since:.0f} s: {_short(step)}")

    def finish(self) -> None:
        """Take what the tool left unfinished when it ended."""
        self._parser.finish()
        for event in self._parser.drain():
            self._event(event)
        for message in self._parser.messages:
            self._log.output("buildx", message)

    def failure_message(self, status: int, docker_directory: str) -> str:
        """Say which layer failed, at which step, with the last lines of its output.

        :param status: exit status of the tool.
        :param docker_directory: the engine's data directory on the host.
        """
        failure = self._parser.failure
        if failure is None:
            lines: Sequence[str] = [line for line in self._parser.messages if line.strip("- ")][-20:]
            head = f"{self._where_marked(lines)} failed: docker buildx bake ended with exit code {status}."
        else:
            lines = failure.lines
            code = _EXIT_CODE.search(failure.error)
            number = f"step {failure.number}/{failure.total} " if failure.number else ""
            error = code.group(1).replace(":", "") if code else failure.error
            where = f"Layer {failure.layer}" if failure.layer else "The build"
            head = f"{where} failed at {number}{failure.step}: {error}."
        said = "".join(f"\n    {line}" for line in lines)
        message = head + (f"\nThe last lines of its output:{said}" if said else "")
        return disk_error(message, docker_directory)

    def _where_marked(self, lines: Sequence[str]) -> str:
        """Name the layer of a Dockerfile that the tool could not read: it marks the line, and names no target."""
        marked = [match.group(1) for match in map(_MARKED.match, lines) if match]
        if marked:
            for target, text in self._dockerfiles.items():
                if marked[0] in text.splitlines():
                    return f"Layer {target}"
        return "The build"

    def _event(self, event: Event) -> None:
        key = (event.layer, event.step)
        now = time.monotonic()
        if event.kind == build_progress.OUTPUT:
            self._told[key] = now
            self._log.output(event.layer, event.text)
            return
        self._begun.setdefault(event.layer, now)
        number = f"step {event.number}/{event.total}"
        if event.kind == build_progress.STEP_STARTED:
            self._running[key] = self._told[key] = now
            self._log.progress(f"{event.layer}: {number} {_short(event.step)}")
        elif event.kind == build_progress.STEP_CACHED:
            self._running.pop(key, None)
            self._log.progress(f"{event.layer}: {number} {_short(event.step)} (cached)")
        elif event.kind == build_progress.STEP_FINISHED:
            self._running.pop(key, None)
            self._log.progress(f"{event.layer}: {number} done in {event.seconds:.1f} s")
        elif event.kind == build_progress.STEP_FAILED:
            self._running.pop(key, None)
            self._log.progress(f"{event.layer}: {number} failed after {event.seconds:.1f} s: {_short(event.step)}")
        elif event.kind == build_progress.LAYER_FINISHED and event.layer in self._to_go:
            self._to_go.remove(event.layer)
            left = f"{len(self._to_go)} to go" if self._to_go else "that was the last"
            self._log.progress(f"{event.layer}: layer finished in {now - self._begun[event.layer]:.1f} s; {left}")


def _short(step: str) -> str:
    return step if len(step) <= STEP_WIDTH else step[: STEP_WIDTH - 1] + "…"
