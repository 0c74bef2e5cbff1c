# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over workspaces in the test's own process, for tests that come between it and its engine; all else is real."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet import Fleet
from ansible_collections.codeopen.workspaces.plugins.module_utils.journal import Journal
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import memory_folder
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout_steps import RolloutSettings
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_locks import WorkspaceLocks
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_run import FleetSettings

if TYPE_CHECKING:
    from docker import DockerClient

    from .conftest import Host


def converge(host: Host, client: DockerClient, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a run that takes all workspaces at once.

    :param client: closed in the end.
    """
    settings = FleetSettings(
        state_dir=str(host.state_dir),
        network="",
        parallel=len(entries),
        purge=False,
        port_range="20000-29999",
        rollout=RolloutSettings(health_timeout=60, stop_timeout=3),
        check_mode=False,
        memory=memory_folder(str(host.state_dir)),
    )
    locks = WorkspaceLocks(settings.state_dir, "a test", 10, print)
    with closing(client), closing(locks):
        fleet = Fleet(client, settings, Journal(Records(settings.state_dir)), threading.Event(), locks)
        return fleet.converge(entries)
