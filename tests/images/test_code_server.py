# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Add-on code-server, on every flavor it is built on."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.catalogue

URL = "http://127.0.0.1:8080"


@pytest.fixture(params=["python", "js"])
def workspace(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def login(workspace: Any, password: str) -> str:
    """The status of the login form's answer."""
    return str(
        workspace.run(
            "curl -s -m 60 --noproxy '*' -o /dev/null -w '%{http_code}' -c /tmp/cookies "
            f"--data-urlencode password={password} {URL}/login"
        )
    )


def test_asks_for_the_password(workspace: Any) -> None:
    workspace.run("rm -f /tmp/cookies")
    redirect = workspace.run(f"curl -s -m 60 --noproxy '*' -o /dev/null -w '%{{http_code}} %{{redirect_url}}' {URL}/")
    assert redirect.startswith("302 ")
    assert "/login" in redirect
    assert login(workspace, "wrong") == "200"
    assert login(workspace, '"$(cat /run/codeopen/secrets/password)"') == "302"
    assert workspace.status(f"{URL}/?folder=/workspace", "-b", "/tmp/cookies") == "200"


def test_health_is_part_of_the_container_s(workspace: Any) -> None:
    assert "code-server: healthy" in workspace.run("codeopen-health").splitlines()


def test_uses_its_own_node(workspace: Any) -> None:
    executable = workspace.run("readlink /proc/$(pgrep -o -f code-server/out/node/entry.js)/exe")
    assert executable == "/opt/code-server/lib/node"


def test_port_of_the_environment_changes_nothing(start: Any) -> None:
    with start("codeopen-js-code-server:0.1.0", environment={"PORT": "4096"}) as workspace:
        workspace.wait_healthy()
        assert workspace.status(f"{URL}/healthz") == "200"
