# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images on a host, through the Docker SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.bake import LABEL_RECIPE
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.layer_states import HostImage

if TYPE_CHECKING:
    from docker import DockerClient


def images_with_recipes(client: DockerClient) -> list[HostImage]:
    """List the images that this collection made: one request, however many there are.

    :raises EngineError: the engine refused it.
    """
    with engine_words("Listing the host's images"):
        found: list[dict[str, Any]] = client.api.images(filters={"label": LABEL_RECIPE})
    return [
        HostImage(
            entry["Id"],
            tuple(tag for tag in entry.get("RepoTags") or () if tag != "<none>:<none>"),
            entry.get("Labels") or {},
        )
        for entry in found
    ]


def tag_image(client: DockerClient, source: str, name: str) -> None:
    """Give the image ``source`` (an id or a name) the name ``repository:tag``.

    :raises EngineError: the engine refused it.
    """
    repository, tag = name.rsplit(":", 1)
    with engine_words(f"Tagging image {source} as {name}"):
        client.api.tag(source, repository, tag)
