# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workspace without some tools beside one with all of them, through the playbooks, on the catalogue's real base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.catalogue]

BARE = Path(__file__).resolve().parents[1] / "images" / "catalogue"
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
USER root
ARG LEAVE_OUT=""
RUN mkdir /opt/pair && if ! left-out right-hand; then touch /opt/pair/right; fi && touch /opt/pair/left
USER developer
"""


@pytest.fixture
def engine() -> docker.DockerClient:
    return docker.from_env()


@pytest.fixture
def catalogue(tmp_path: Path, prefix: str) -> Path:
    """A catalogue with one add-on, which has two tools."""
    folder = tmp_path / "images" / "addons" / f"pair-{prefix}"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# Two hands\n", encoding="utf-8")
    (folder / "component.yml").write_text(
        f"---\nname: pair-{prefix}\nkind: addon\nsummary: Two hands\nsize_budget: 1MB\n"
        "tools: {left-hand: apt, right-hand: apt}\n",
        encoding="utf-8",
    )
    (folder / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    return tmp_path / "images"


@pytest.fixture
def names(playbook: Any, engine: docker.DockerClient, prefix: str) -> Iterator[list[str]]:
    """Names of two workspaces; they, their homes and their images are gone in the end."""
    names = [f"{prefix}-whole", f"{prefix}-small"]
    try:
        yield names
    finally:
        gone = [{"name": name, "state": "absent"} for name in names]
        playbook("deploy", variables={"codeopen_workspaces": gone, "workspaces_purge": True})
        for image in engine.api.images():
            for tag in image.get("RepoTags") or ():
                if f"pair-{prefix}" in tag:
                    engine.api.remove_image(tag, force=True)


def hands(engine: docker.DockerClient, name: str) -> list[str]:
    """The tools in a running workspace."""
    ended = engine.containers.get(f"codeopen-{name}").exec_run(["ls", "/opt/pair"])
    assert ended.exit_code == 0, ended.output
    return list(ended.output.decode().split())


def test_a_workspace_without_a_tool_beside_one_with_all(
    playbook: Any, engine: docker.DockerClient, catalogue: Path, prefix: str, names: list[str]
) -> None:
    whole, small = names

    def play(leave_out: list[str], *arguments: str) -> Any:
        wish = {"flavor": "bare", "addons": [f"pair-{prefix}"], "tier": "starter"}
        variables = {
            "codeopen_workspaces": [{"name": whole, **wish}, {"name": small, "leave_out": leave_out, **wish}],
            "codeopen_catalogue_paths": [str(BARE), str(catalogue)],
        }
        run = playbook("site", *arguments, variables=variables)
        assert run.status == 0, run.output
        return run

    foreseen = play(["right-hand"], "--check", "--diff")
    assert foreseen.count("changed") >= 1, foreseen.output
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get(f"codeopen-{small}")

    first = play(["right-hand"])
    assert first.count("changed") >= 1, first.output
    assert (hands(engine, whole), hands(engine, small)) == (["left", "right"], ["left"])
    labels = {name: engine.containers.get(f"codeopen-{name}").labels for name in names}
    assert labels[small]["codeopen.left-out"] == "right-hand"
    assert "codeopen.left-out" not in labels[whole]

    again = play(["right-hand"])
    assert again.count("changed") == 0, again.output

    before = engine.containers.get(f"codeopen-{whole}").id
    assert play([], "--check").count("changed") == 1
    assert hands(engine, small) == ["left"]
    play([])
    assert hands(engine, small) == ["left", "right"]
    assert engine.containers.get(f"codeopen-{whole}").id == before
    assert play([]).count("changed") == 0
