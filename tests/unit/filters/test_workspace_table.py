# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table at the end of a run."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.filter.workspace_table import FilterModule

workspace_table = FilterModule().filters()["workspace_table"]

DEMO = {
    "name": "demo",
    "state": "started",
    "urls": {"opencode": "http://127.0.0.1:4096", "code-server": "http://127.0.0.1:8080"},
    "password_file": "/state/workspaces/demo/secrets/password",
}


def test_a_workspace_shows_each_address_its_password_and_its_end() -> None:
    assert workspace_table([DEMO], remove="make down NAME={name}").splitlines() == [
        "WORKSPACE  STATE    SERVICE      ADDRESS",
        "demo       started  code-server  http://127.0.0.1:8080",
        "                    opencode     http://127.0.0.1:4096",
        "",
        "Password of demo: /state/workspaces/demo/secrets/password (user opencode)",
        "Remove demo: make down NAME=demo",
    ]


def test_a_stopped_workspace_keeps_its_row() -> None:
    lines = workspace_table([{"name": "shop", "state": "stopped", "urls": {}}]).splitlines()
    assert lines[1] == "shop       stopped"
    assert lines[-1] == "Remove shop: ansible-playbook playbooks/remove.yml -e codeopen_remove=shop"


def test_removed_workspaces_are_left_out() -> None:
    assert workspace_table([{"name": "old", "state": "absent"}]) == "No workspaces."
    assert "old" not in workspace_table([DEMO, {"name": "old", "state": "absent"}])


def test_columns_fit_the_longest_cell() -> None:
    lines = workspace_table([DEMO, {**DEMO, "name": "a-very-long-name-of-a-workspace"}]).splitlines()
    assert len({line.index("http") for line in lines if "http" in line}) == 1


@pytest.mark.parametrize("wrong", ["demo", {"name": "demo"}, None, 3, [{"state": "started"}], ["demo"]])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(AnsibleFilterError, match="workspace_table expects"):
        workspace_table(wrong)
