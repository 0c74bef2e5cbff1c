# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: Ansible's loader finds the collection, no example has a time limit, tests of a file share a process."""

from __future__ import annotations

import pathlib

import pytest
from ansible.plugins.loader import init_plugin_loader
from hypothesis import HealthCheck, settings

init_plugin_loader([str(pathlib.Path(__file__).parents[1] / ".collections")])
# How long an example takes says nothing on a machine that does other things too.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
HOSTS = pathlib.Path(__file__).parent / "integration" / "hosts"


# Before the hook of xdist, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For ``--dist loadgroup``: a file is a group, and all files about hosts are one, for they share the hosts."""
    for item in items:
        group = HOSTS if HOSTS in item.path.parents else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))
