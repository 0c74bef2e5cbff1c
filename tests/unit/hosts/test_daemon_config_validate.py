# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engines' own programs are asked, with stand-ins for these programs, and how a process is known."""

from __future__ import annotations

import os
import socket

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_kinds import KINDS
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_service import EngineService
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_validate import (
    validate_containerd,
    validate_docker,
    validate_podman,
)


def test_validate_asks_dockerd_and_names_the_real_file(tmp_path, monkeypatch):
    program = tmp_path / "dockerd"
    program.write_text('#!/bin/sh\necho "unable to configure the Docker daemon with file $3: bad $3" >&2; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert validate_docker("{}", "/etc/docker/daemon.json", str(tmp_path)) == ("bad /etc/docker/daemon.json", "")
    program.write_text('#!/bin/sh\necho "unknown flag: --validate" >&2; exit 125\n')
    refused, warning = validate_docker("{}", "/etc/docker/daemon.json", str(tmp_path))
    assert refused == ""
    assert "older than 23.0" in warning
    assert os.listdir(tmp_path) == ["dockerd"]


def test_containerd_is_asked_about_a_copy_whose_imports_are_found(tmp_path, monkeypatch):
    program = tmp_path / "containerd"
    program.write_text('#!/bin/sh\n[ "$1 $3 $4" = "--config config dump" ] && echo "$2: $(cat "$2")" >&2; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    text = "imports = ['conf.d/*.toml'] # ours\n"
    refused, warning = validate_containerd(text, "/etc/containerd/config.toml", str(tmp_path))
    assert refused == '/etc/containerd/config.toml: imports = ["/etc/containerd/conf.d/*.toml"] # ours'
    assert os.listdir(tmp_path) == ["containerd"]


def test_podman_is_asked_about_its_own_file_alone(tmp_path, monkeypatch):
    program = tmp_path / "podman"
    program.write_text('#!/bin/sh\necho "$1 $CONTAINERS_CONF: $(cat "$CONTAINERS_CONF")" >&2; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    for path in ("/etc/containers/containers.conf", "/etc/containers/containers.conf.d/50-logs.conf"):
        assert validate_podman("[engine]", path, str(tmp_path)) == (f"--version {path}: [engine]", "")
    assert validate_podman("[engine]", "/etc/containers/storage.conf", str(tmp_path)) == ("", "")


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (["containerd"], "/etc/containerd/config.toml"),
        (["containerd", "--config", "/run/c.toml", "--log-level", "info"], "/run/c.toml"),
        (["/usr/bin/containerd", "-c=/run/c.toml"], "/run/c.toml"),
    ],
)
def test_the_file_that_containerd_reads(argv, path):
    assert KINDS["containerd"].daemon.config_file_of(argv) == path


def test_a_daemon_that_only_listens_answers(tmp_path):
    path = str(tmp_path / "containerd.sock")
    service = EngineService(KINDS["containerd"].daemon, "/etc/containerd/config.toml", "containerd", f"unix://{path}")
    assert not service.answers()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        assert not service.answers()
        listener.listen()
        assert service.answers()
