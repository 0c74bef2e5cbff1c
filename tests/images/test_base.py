# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base image: user, password, supervision, health and sudo."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

CURL = "curl --silent --max-time 30 --noproxy '*'"
PASSWORD = "$(cat /run/codeopen/secrets/password)"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A healthy workspace of the base image, which tests leave as they found it."""
    with running_workspace(image_of("base"), tmp_path_factory.mktemp("secrets")) as workspace:
        yield workspace


def said(workspace: RunningWorkspace, script: str, check: bool = True) -> str:
    return workspace.run(script, check=check).stdout.strip()


def status(workspace: RunningWorkspace, url: str, *options: str) -> str:
    """The HTTP status that a URL answers with inside the workspace."""
    return said(workspace, f"{CURL} --output /dev/null --write-out '%{{http_code}}' {' '.join(options)} {url}")


def test_first_process_is_tini(base: RunningWorkspace) -> None:
    assert said(base, "cat /proc/1/comm") == "tini"


def test_every_process_belongs_to_developer(base: RunningWorkspace) -> None:
    assert said(base, "id -u; id -un; id -g").split() == ["1000", "developer", "1000"]
    assert set(said(base, "ps -A -o user:20= | sort -u").split()) == {"developer"}


def test_clock_and_text(base: RunningWorkspace) -> None:
    assert said(base, "date +%Z") == "UTC"
    assert said(base, "locale charmap") == "UTF-8"


def test_login_shell_keeps_the_path(base: RunningWorkspace) -> None:
    assert said(base, "bash -lc 'echo \"$PATH\"'") == said(base, 'echo "$PATH"')


def test_opencode_asks_for_the_password(base: RunningWorkspace) -> None:
    url = "http://127.0.0.1:4096/global/health"
    assert status(base, url) == "401"
    assert status(base, url, "--user opencode:wrong") == "401"
    assert status(base, url, f'--user "opencode:{PASSWORD}"') == "200"


def test_gateway_asks_for_the_token(base: RunningWorkspace) -> None:
    assert status(base, "http://127.0.0.1:4097/health") == "200"
    assert status(base, "http://127.0.0.1:4097/info") == "401"
    bearer = f'--header "Authorization: Bearer {PASSWORD}"'
    assert isinstance(json.loads(said(base, f"curl -s -m 180 --noproxy '*' {bearer} http://127.0.0.1:4097/info")), dict)


def test_password_is_only_in_its_file(base: RunningWorkspace) -> None:
    password = said(base, f'echo "{PASSWORD}"')
    assert len(password) > 16
    image = docker("inspect", "--format", "{{.Config.Image}}", base.name).stdout.strip()
    for place in (
        docker("inspect", base.name).stdout,
        docker("history", "--no-trunc", image).stdout,
        base.logs(),
        said(base, "ps -A -o args="),
    ):
        assert password not in place


def test_log_lines_name_their_service(base: RunningWorkspace) -> None:
    assert "[opencode] " in base.logs()
    assert "[acp-gateway] " in base.logs()


def test_quiet_without_debug(base: RunningWorkspace) -> None:
    assert "[entrypoint]" not in base.logs()


def test_sudo_without_a_password(base: RunningWorkspace) -> None:
    assert said(base, "sudo -n id -u") == "0"


def test_system_users_have_their_reserved_ids(base: RunningWorkspace) -> None:
    assert said(base, "id -u redis; id -u postgres; id -u messagebus; id -u sshd").split() == [
        "303",
        "302",
        "300",
        "301",
    ]


def test_health_names_the_failing_check(base: RunningWorkspace) -> None:
    base.run("sv force-stop /run/codeopen/services/acp-gateway")
    try:
        report = base.run("codeopen-health", check=False)
        assert report.returncode == 1
        assert "opencode: healthy" in report.stdout.splitlines()
        failing = [line for line in report.stdout.splitlines() if line.startswith("acp-gateway: UNHEALTHY: ")]
        assert failing
        assert "4097" in failing[0]
    finally:
        base.run("sv start /run/codeopen/services/acp-gateway")


def test_stop_and_start_again(tmp_path: Path) -> None:
    """Services end by themselves, once and in their time, and the network's settings are the same after the next start."""
    slow, secrets_dir = tmp_path / "slow", tmp_path / "secrets"
    slow.mkdir()
    secrets_dir.mkdir()
    (slow / "run").write_text(
        "#!/bin/sh\necho hello\ntrap 'sleep 2; echo goodbye; exit' TERM\nwhile :; do sleep 0.1; done\n"
    )
    (slow / "run").chmod(0o755)
    mount = f"{slow}:/etc/codeopen/services/slow:ro"
    with running_workspace(image_of("base"), secrets_dir, "--env", "DEBUG=1", "--volume", mount) as workspace:
        assert "[entrypoint] ready" in workspace.logs()
        assert "[entrypoint] service opencode" in workspace.logs()
        settings = said(workspace, "cat /run/codeopen/network/env")
        assert "SSL_CERT_FILE" in settings
        docker("stop", "--time", "60", workspace.name)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", workspace.name).stdout.strip() == "0"
        assert [line for line in workspace.logs().splitlines() if "[slow]" in line] == [
            "[slow] hello",
            "[slow] goodbye",
        ]
        docker("start", workspace.name)
        workspace.wait_until_healthy()
        assert said(workspace, "cat /run/codeopen/network/env") == settings


def test_sudo_switched_off_for_good(tmp_path: Path) -> None:
    with running_workspace(image_of("base"), tmp_path, "--env", "CODEOPEN_SUDO=0") as workspace:
        assert workspace.run("sudo -n true", check=False).returncode != 0
        docker("restart", workspace.name)
        workspace.wait_until_healthy()
        assert workspace.run("sudo -n true", check=False).returncode != 0


def test_nothing_starts_without_a_password(tmp_path: Path) -> None:
    name = f"codeopen-test-{secrets.token_hex(4)}"
    try:
        done = docker(
            "run", "--name", name, "--volume", f"{tmp_path}:/run/codeopen/secrets:ro", image_of("base"), check=False
        )
        assert done.returncode == 1
        assert "no password in /run/codeopen/secrets/password" in done.stdout + done.stderr
    finally:
        docker("rm", "--force", name, check=False)
