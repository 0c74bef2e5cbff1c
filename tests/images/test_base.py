# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base image: user, start, password, supervision, health and sudo."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.catalogue

BASE = "codeopen-base:0.1.0"
CURL_USER = "$(printf 'opencode:%s' \"$(cat /run/codeopen/secrets/password)\")"


def status_with_password(workspace: Any, url: str, user: str = CURL_USER) -> str:
    """The status a URL answers with to basic auth."""
    return str(workspace.run(f"curl -s -m 30 --noproxy '*' -o /dev/null -w '%{{http_code}}' -u \"{user}\" {url}"))


def test_first_process_is_tini(base: Any) -> None:
    assert base.run("cat /proc/1/comm") == "tini"


def test_every_process_belongs_to_developer(base: Any) -> None:
    assert base.run("id -u; id -un; id -g").split() == ["1000", "developer", "1000"]
    assert set(base.run("ps -A -o user:20= | sort -u").split()) == {"developer"}


def test_clock_and_text(base: Any) -> None:
    assert base.run("date +%Z") == "UTC"
    assert base.run("locale charmap") == "UTF-8"


def test_login_shell_keeps_the_path(base: Any) -> None:
    path = base.run('echo "$PATH"')
    assert base.run("bash -lc 'echo \"$PATH\"'") == path


def test_opencode_asks_for_the_password(base: Any) -> None:
    url = "http://127.0.0.1:4096/global/health"
    assert base.status(url) == "401"
    assert status_with_password(base, url, "opencode:wrong") == "401"
    assert status_with_password(base, url) == "200"


def test_gateway_asks_for_the_token(base: Any) -> None:
    assert base.status("http://127.0.0.1:4097/health") == "200"
    assert base.status("http://127.0.0.1:4097/info") == "401"
    bearer = '-H "Authorization: Bearer $(cat /run/codeopen/secrets/password)"'
    command = f"curl -s -m 180 --noproxy '*' {bearer} http://127.0.0.1:4097/info"
    assert isinstance(json.loads(base.run(command)), dict)


def test_password_is_only_in_its_file(base: Any, engine: Any) -> None:
    base.container.reload()
    assert base.password not in json.dumps(base.container.attrs)
    assert base.password[:16] not in json.dumps(base.container.attrs)
    assert base.password[:16] not in base.logs()
    assert base.password[:16] not in json.dumps(engine.images.get(BASE).history())
    assert base.password[:16] not in base.run("ps -A -o args=")


def test_log_lines_name_their_service(base: Any) -> None:
    assert "[opencode] " in base.logs()
    assert "[acp-gateway] " in base.logs()


def test_killed_service_comes_back(start: Any) -> None:
    with start(BASE) as workspace:
        workspace.wait_healthy()
        old = workspace.run("pgrep -f 'opencode serve'")
        workspace.run("pkill -KILL -f '^opencode serve'")
        workspace.wait("back", lambda: workspace.code("codeopen-health") == 0)
        assert workspace.run("pgrep -f 'opencode serve'") != old


def test_health_names_the_failing_check(start: Any) -> None:
    with start(BASE) as workspace:
        workspace.wait_healthy()
        workspace.run("sv force-stop /run/codeopen/services/acp-gateway")
        assert workspace.code("codeopen-health") == 1
        report = workspace.run("codeopen-health", check=False).splitlines()
        assert "opencode: healthy" in report
        assert any(line.startswith("acp-gateway: UNHEALTHY: ") and "4097" in line for line in report)


def test_stops_cleanly(start: Any) -> None:
    with start(BASE) as workspace:
        workspace.wait_healthy()
        workspace.container.stop(timeout=60)
        workspace.container.reload()
        assert workspace.container.attrs["State"]["ExitCode"] == 0


def test_restart_keeps_the_network_settings(start: Any) -> None:
    with start(BASE) as workspace:
        workspace.wait_healthy()
        first = workspace.run("cat /run/codeopen/network/env")
        assert "SSL_CERT_FILE" in first
        workspace.container.restart(timeout=60)
        workspace.wait("started again", lambda: workspace.code("codeopen-health") == 0)
        assert workspace.run("cat /run/codeopen/network/env") == first


def test_debug_talks(start: Any) -> None:
    with start(BASE, environment={"DEBUG": "1"}) as workspace:
        workspace.wait("ready", lambda: "[entrypoint] ready" in workspace.logs())
        assert "[entrypoint] service opencode" in workspace.logs()


def test_quiet_without_debug(base: Any) -> None:
    assert "[entrypoint]" not in base.logs()


def test_sudo_without_a_password(base: Any) -> None:
    assert base.run("sudo -n id -u") == "0"


def test_sudo_switched_off_for_good(start: Any) -> None:
    with start(BASE, environment={"CODEOPEN_SUDO": "0", "DEBUG": "1"}) as workspace:
        workspace.wait("ready", lambda: "[entrypoint] ready" in workspace.logs())
        assert workspace.code("sudo -n true") != 0
        workspace.container.restart(timeout=60)
        workspace.wait("ready again", lambda: workspace.logs().count("[entrypoint] ready") == 2)
        assert workspace.code("sudo -n true") != 0


def test_nothing_starts_without_a_password(start: Any) -> None:
    with start(BASE, password=False) as workspace:
        assert workspace.container.wait(timeout=120)["StatusCode"] == 1
        assert "no password in /run/codeopen/secrets/password" in workspace.logs()


def test_system_users_have_their_reserved_ids(base: Any) -> None:
    assert base.run("id -u redis; id -u postgres; id -u messagebus; id -u sshd").split() == ["303", "302", "300", "301"]
