# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavor polyglot: all four languages are there and work in one workspace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from composed_flavors import WORKS, check_parts, planned
from running_workspace import RunningWorkspace, running_workspace

pytestmark = pytest.mark.catalogue

PARTS = ("js", "python", "go", "rust")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    with running_workspace(planned(flavor="polyglot")["image"], tmp_path_factory.mktemp("secrets")) as workspace:
        yield workspace


def test_every_tool_of_the_parts_is_found(workspace: RunningWorkspace) -> None:
    check_parts(workspace, PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_works(workspace: RunningWorkspace, part: str) -> None:
    WORKS[part](workspace)


def test_installed_commands_of_every_language_are_found(workspace: RunningWorkspace) -> None:
    """The home volume's folders for commands all come before the image's."""
    path = workspace.run("echo $PATH").stdout.strip().split(":")
    own = ["/home/developer/.local/bin", "/home/developer/go/bin", "/home/developer/.cargo/bin"]
    assert set(own) <= set(path)
    assert len(path) == len(set(path))
