# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on ssh: keys open it, nothing else does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

ENVIRONMENT = {"PLAIN": "one two", "QUOTED": """a "b" 'c' \\d #e $HOME"""}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace without keys."""
    image = image_of("ssh")
    if not shutil.which("ssh"):
        pytest.skip("needs ssh (package openssh-client)")
    variables = [option for name, value in ENVIRONMENT.items() for option in ("--env", f"{name}={value}")]
    directory = tmp_path_factory.mktemp("secrets")
    with running_workspace(image, directory, "--publish", "127.0.0.1::2222", *variables) as workspace:
        yield workspace


def new_key(directory: Path, *options: str) -> Path:
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(key), *(options or ("-t", "ed25519"))], check=True)
    return key


@pytest.fixture
def key(workspace: RunningWorkspace, tmp_path: Path) -> Iterator[Path]:
    """A key that the workspace takes during one test."""
    key = new_key(tmp_path)
    workspace.write_secret("authorized_keys", key.with_suffix(".pub").read_text())
    yield key
    (workspace.secrets_dir / "authorized_keys").unlink(missing_ok=True)


def ssh(
    workspace: RunningWorkspace,
    *command: str,
    key: Path | None = None,
    user: str = "developer",
    options: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    port = docker("port", workspace.name, "2222/tcp").stdout.split(":")[-1].strip()
    identity = ("-i", str(key), "-o", "IdentitiesOnly=yes") if key else ("-o", "IdentityFile=none")
    return subprocess.run(
        ["ssh", "-F", "none", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "BatchMode=yes", "-o", "IdentityAgent=none", "-o", "ConnectTimeout=20", *identity, *options,
         f"{user}@127.0.0.1", *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_without_keys_login_is_refused_and_the_workspace_is_healthy(
    workspace: RunningWorkspace, tmp_path: Path
) -> None:
    done = ssh(workspace, "true", key=new_key(tmp_path))
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr
    assert "ssh: healthy" in workspace.run("codeopen-health").stdout


def test_a_key_opens_it_without_a_restart_and_a_removed_key_does_not(workspace: RunningWorkspace, key: Path) -> None:
    done = ssh(workspace, "id", "--user", "--name", key=key)
    assert (done.stdout.strip(), done.returncode) == ("developer", 0), done.stderr
    workspace.write_secret("authorized_keys", "# nobody\n")
    assert "Permission denied" in ssh(workspace, "true", key=key).stderr


def test_another_key_does_not_open_it(workspace: RunningWorkspace, key: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert "Permission denied" in ssh(workspace, "true", key=new_key(tmp_path / "other")).stderr


@pytest.mark.parametrize("method", ["password", "keyboard-interactive", "none"])
def test_only_keys_are_offered(workspace: RunningWorkspace, key: Path, method: str) -> None:
    done = ssh(workspace, "true", options=("-o", f"PreferredAuthentications={method}"))
    assert done.returncode == 255
    assert "Permission denied (publickey)." in done.stderr


def test_the_workspaces_password_does_not_log_in(workspace: RunningWorkspace, key: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    answer.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\ncat {workspace.secrets_dir}/password\n")
    answer.chmod(0o755)
    port = docker("port", workspace.name, "2222/tcp").stdout.split(":")[-1].strip()
    done = subprocess.run(
        ["ssh", "-F", "none", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "PubkeyAuthentication=no", "developer@127.0.0.1", "true"],
        capture_output=True, text=True, check=False,
        env={"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 255
    assert "Permission denied (publickey)." in done.stderr
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("user", ["root", "sshd", "nobody"])
def test_nobody_but_developer_logs_in(workspace: RunningWorkspace, key: Path, user: str) -> None:
    assert "Permission denied" in ssh(workspace, "true", key=key, user=user).stderr


@pytest.mark.parametrize(
    "option",
    [
        "KexAlgorithms=diffie-hellman-group14-sha256",
        "Ciphers=aes128-cbc",
        "MACs=hmac-sha1",
        "HostKeyAlgorithms=rsa-sha2-512",
    ],
)
def test_old_algorithms_are_refused(workspace: RunningWorkspace, key: Path, option: str) -> None:
    # An AEAD cipher needs no MAC, so the MAC is only negotiated with another cipher.
    extra = ("-o", "Ciphers=aes256-ctr") if option.startswith("MACs") else ()
    done = ssh(workspace, "true", key=key, options=("-o", option, *extra))
    assert done.returncode == 255
    assert "no matching" in done.stderr


def test_failed_logins_of_one_do_not_lock_out_others(workspace: RunningWorkspace, key: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    wrong = new_key(tmp_path / "other")
    for _try in range(8):
        assert "Permission denied" in ssh(workspace, "true", key=wrong).stderr
    assert ssh(workspace, "true", key=key).returncode == 0


def test_a_short_rsa_key_is_refused(workspace: RunningWorkspace, tmp_path: Path) -> None:
    key = new_key(tmp_path, "-t", "rsa", "-b", "2048")
    workspace.write_secret("authorized_keys", key.with_suffix(".pub").read_text())
    assert "Permission denied" in ssh(workspace, "true", key=key).stderr


def test_a_login_has_the_containers_environment(workspace: RunningWorkspace, key: Path) -> None:
    container = workspace.run("env --null").stdout.split("\0")
    login = ssh(workspace, "env --null", key=key).stdout.split("\0")
    for name, value in ENVIRONMENT.items():
        assert f"{name}={value}" in login
    path = next(line for line in container if line.startswith("PATH="))
    assert path in login
    assert "HOME=/home/developer" in login
    assert workspace.secrets_dir.joinpath("password").read_text().strip() not in "\0".join(login)


def test_files_are_copied_and_a_terminal_opens(workspace: RunningWorkspace, key: Path, tmp_path: Path) -> None:
    workspace.write("/workspace/note", "hello\n")
    port = docker("port", workspace.name, "2222/tcp").stdout.split(":")[-1].strip()
    subprocess.run(
        ["scp", "-F", "none", "-q", "-P", port, "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o",
         "UserKnownHostsFile=/dev/null", "developer@127.0.0.1:/workspace/note", str(tmp_path / "note")],
        check=True,
    )  # fmt: skip
    assert (tmp_path / "note").read_text() == "hello\n"
    assert "/dev/pts/" in ssh(workspace, "tty", key=key, options=("-tt",)).stdout


def test_it_runs_as_developer_and_comes_back_when_it_dies_with_the_same_host_key(workspace: RunningWorkspace) -> None:
    fingerprint = "ssh-keygen -l -f ~/.config/codeopen/ssh/ssh_host_ed25519_key"
    before = workspace.run(fingerprint).stdout
    listeners = workspace.run("pgrep --exact sshd --oldest --list-full --uid developer").stdout
    assert "/usr/sbin/sshd" in listeners
    assert workspace.run("pgrep --uid root sshd", check=False).stdout == ""
    workspace.run(f"kill -9 {listeners.split()[0]}")
    workspace.run("timeout 30 sh -c 'until /etc/codeopen/health.d/ssh; do sleep 0.2; done'")
    assert workspace.run(fingerprint).stdout == before


def test_the_health_check_says_when_it_is_gone(workspace: RunningWorkspace) -> None:
    workspace.run("sv -w 10 down /run/codeopen/services/ssh")
    try:
        done = workspace.run("/etc/codeopen/health.d/ssh", check=False)
        assert (done.returncode, done.stdout) == (1, "nothing listens on port 2222\n")
    finally:
        workspace.run("sv -w 10 up /run/codeopen/services/ssh")


def test_the_image_holds_no_host_key(workspace: RunningWorkspace) -> None:
    image = docker("inspect", "--format", "{{.Image}}", workspace.name).stdout.strip()
    found = docker(
        "run", "--rm", "--user", "root", "--entrypoint", "find", image, "/etc", "/home", "-name", "*host*key*"
    )
    assert found.stdout == ""


def test_the_log_names_the_key_and_leaves_out_the_health_check(workspace: RunningWorkspace, key: Path) -> None:
    ssh(workspace, "true", key=key)
    workspace.run("codeopen-health")
    lines = [line for line in workspace.logs().splitlines() if line.startswith("[ssh]")]
    assert any("Accepted publickey for developer" in line for line in lines)
    assert not [line for line in lines if "127.0.0.1" in line and "preauth" in line]
