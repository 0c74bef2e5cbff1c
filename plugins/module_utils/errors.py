# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions that helpers raise. Only modules, actions and filters turn them into Ansible's failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional


class WorkspacesError(Exception):
    """Anything this collection reports to a person; ``str()`` of it is the whole message."""


class ProblemsError(WorkspacesError):
    """Several mistakes found together, so that a person mends them in one go.

    :param problems: one message each, naming the file, key or workspace.
    """

    heading = "found"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        head = f"{count} {'mistake' if count == 1 else 'mistakes'} {self.heading}:"
        lines = [head, *(f"- {text}" for text in self.problems)]
        super().__init__(self.problems[0] if count == 1 else "\n".join(lines))


class CatalogueError(ProblemsError):
    """Mistakes in ``catalogue.yml`` or in a ``component.yml``."""

    heading = "in the catalogue"


class PlanError(ProblemsError):
    """Mistakes in the list of workspaces."""

    heading = "in the list of workspaces"


class VolumeError(ProblemsError):
    """Mistakes in the list of volumes, and what stands against it on the host."""

    heading = "in the list of volumes"


class EngineError(WorkspacesError):
    """The Docker Engine is not there, too old, or refused a request."""


class LockLost(WorkspacesError):
    """A lock that this run relied on is no longer its own."""


class BuildError(WorkspacesError):
    """A build failed.

    :param log_path: the log on the host, or an empty string.
    """

    def __init__(self, message: str, log_path: str = "") -> None:
        self.log_path = log_path
        super().__init__(message)


class RolloutError(WorkspacesError):
    """One workspace could not be brought to its state.

    :param state: what became of its container, in the words of states.py; empty where nothing did.
    :param details: ``exit_code``, ``oom`` and ``last_lines`` of a container that died.
    :param rolled_back: why the previous container serves again; empty where it does not.
    """

    def __init__(
        self, message: str, state: str = "", details: Optional[dict[str, Any]] = None, rolled_back: str = ""
    ) -> None:
        self.state = state
        self.details = details or {}
        self.rolled_back = rolled_back
        super().__init__(message)
