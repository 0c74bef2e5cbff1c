# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on code-server: a person with a browser edits a file, and nobody gets in without the password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, page_of
from editor import edit_a_file, open_login
from running_workspace import RunningWorkspace, image_of, running_workspace

pytestmark = pytest.mark.catalogue

URL = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace that a browser on this host reaches, with an environment that other servers take their port from."""
    options = ("--publish", "127.0.0.1::8080", "--env", "PORT=4096")
    with running_workspace(image_of("code-server"), tmp_path_factory.mktemp("secrets"), *options) as workspace:
        yield workspace


def said(workspace: RunningWorkspace, script: str) -> str:
    return workspace.run(script).stdout.strip()


def login(workspace: RunningWorkspace, password: str) -> str:
    """The status of the login form's answer."""
    return said(
        workspace,
        "curl -s -m 60 --noproxy '*' -o /dev/null -w '%{http_code}' -c /tmp/cookies "
        f"--data-urlencode password={password} {URL}/login",
    )


def test_asks_for_the_password(published: RunningWorkspace) -> None:
    curl = "curl -s -m 60 --noproxy '*' -o /dev/null"
    redirect = said(published, f"rm -f /tmp/cookies; {curl} -w '%{{http_code}} %{{redirect_url}}' {URL}/")
    assert redirect.startswith("302 ")
    assert "/login" in redirect
    assert login(published, "wrong") == "200"
    assert login(published, '"$(cat /run/codeopen/secrets/password)"') == "302"
    assert said(published, f"{curl} -w '%{{http_code}}' -b /tmp/cookies '{URL}/?folder=/workspace'") == "200"


def test_health_is_part_of_the_container_s(published: RunningWorkspace) -> None:
    assert "code-server: healthy" in said(published, "codeopen-health").splitlines()


def test_uses_its_own_node(published: RunningWorkspace) -> None:
    executable = said(published, "readlink /proc/$(pgrep -o -f code-server/out/node/entry.js)/exe")
    assert executable == "/opt/code-server/lib/node"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def test_a_person_logs_in_and_edits_a_file(published: RunningWorkspace, browser: Any, tmp_path: Path) -> None:
    with page_of(browser) as page:
        edit_a_file(page, published, tmp_path)


def test_the_form_refuses_a_wrong_password(published: RunningWorkspace, browser: Any) -> None:
    password = (published.secrets_dir / "password").read_text().strip()
    for wrong in ("wrong", password[:-1]):
        with page_of(browser) as page:
            open_login(page, published, wrong)
            page.get_by_text("Incorrect password").wait_for()
            assert page.locator(".monaco-workbench").count() == 0
            assert not page.context.cookies()
