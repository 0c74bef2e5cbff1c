# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that are not the host's usual one: reached by SSH, or with containerd's image store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import EngineError, connect
from own_engine import CONTAINERD_STORE, own_engine
from ssh_host import SshHost, ssh_host

from .conftest import Host, host_on

pytestmark = pytest.mark.engine


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    folder = tmp_path / "ssh"
    folder.mkdir()
    with ssh_host(folder) as host:
        monkeypatch.setenv("PATH", f"{host.command()}:{os.environ['PATH']}")
        yield host


def test_a_workspace_is_deployed_by_ssh(host: Host, remote: SshHost) -> None:
    host.docker_host = f"ssh://somebody@127.0.0.1:{remote.port}"
    entry = host.entry("a")
    assert host.ok(entry)["changed"]
    assert not host.ok(entry)["changed"]
    assert host.ok(dict(entry, state="absent"), purge=True)["changed"]
    assert host.container("a") is None


def test_a_host_that_does_not_let_in_is_named(remote: SshHost) -> None:
    remote.key.write_text("no key")
    with pytest.raises(EngineError, match=f"No Docker Engine answers at ssh://somebody@127.0.0.1:{remote.port}: "):
        connect(f"ssh://somebody@127.0.0.1:{remote.port}")


def test_workspaces_on_containerds_image_store(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts an engine")
    with own_engine(configuration=CONTAINERD_STORE) as engine, host_on(engine.url, tmp_path / "state") as host:
        entry = host.entry("a")
        assert host.ok(entry, check_mode=True)["changed"]
        assert host.ok(entry)["changed"]
        assert not host.ok(entry)["changed"]
        assert host.ok(dict(entry, memory=96 * 1024 * 1024))["workspaces"][0]["action"] == "apply"
        updated = host.ok(dict(entry, environment={"TEXT": "new"}))
        assert updated["workspaces"][0]["action"] == "update"
        assert host.ok(dict(entry, state="absent"), purge=True)["changed"]
        assert not host.client.volumes.list()
