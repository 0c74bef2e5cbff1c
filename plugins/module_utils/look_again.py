# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading from containers that another run may replace or remove at any moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_WORKSPACE,
    Observed,
    by_workspace,
)

if TYPE_CHECKING:
    from docker import DockerClient

T = TypeVar("T")
# No rollout replaces a container as often as this while somebody reads from it.
LOOKS = 5
# What the engine removes is listed a little longer.
_PAUSE_SECONDS = 0.1
# There is no such container, or it is being removed.
_GONE = (404, 409)


def look_up(client: DockerClient, workspace: str) -> Observed:
    """A workspace's containers as they are now."""
    api: Any = client.api
    with engine_words("Listing containers"):
        rows = api.containers(all=True, filters={"label": f"{LABEL_WORKSPACE}={workspace}"})
    return by_workspace(rows).get(workspace, Observed())


def is_gone(error: EngineError) -> bool:
    """Whether it says that the container is not there any more."""
    return getattr(error.__cause__, "status_code", None) in _GONE


def read_present(observed: Observed, read: Callable[[Observed], T], look: Callable[[], Observed]) -> T:
    """What ``read`` gives of a workspace's containers; of those in their place, where one goes away meanwhile.

    :param look: finds the workspace's containers anew.
    :raises EngineError: the engine fails otherwise, or containers went away each time.
    """
    for _look in range(LOOKS - 1):
        try:
            return read(observed)
        except EngineError as error:
            if not is_gone(error):
                raise
        time.sleep(_PAUSE_SECONDS)
        observed = look()
    return read(observed)
