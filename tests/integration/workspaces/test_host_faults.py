# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the host under a run: its engine ends, its disk is full, its connection drops.

The engine that ends is one of the tests' own, with data, sockets and bridge of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_engine import OwnEngine, own_engine
from ssh_host import ssh_host

from .conftest import Host, host_on, result_of, until

pytestmark = [pytest.mark.engine, pytest.mark.faults]

ROOT = Path(__file__).resolve().parents[3]


def get(result: dict[str, Any]) -> str:
    """What the first workspace of a result answers."""
    with urllib.request.urlopen(result["workspaces"][0]["urls"]["web"], timeout=10) as answer:
        return str(answer.read().decode()).strip()


@pytest.fixture(params=[False, True], ids=["engine", "live-restore"])
def another_engine(request: pytest.FixtureRequest) -> Iterator[OwnEngine]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts an engine")
    with own_engine(configuration={"live-restore": request.param}) as engine:
        yield engine


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_ends_in_the_middle_of_an_update(
    another_engine: OwnEngine, tmp_path: Path, number: signal.Signals
) -> None:
    with host_on(another_engine.url, tmp_path / "state") as host:
        host.ok(host.entry("a", environment={"TEXT": "old"}), host.entry("b"))
        path = "/home/developer/file"
        host.client.containers.get(f"codeopen-{host.name('a')}").exec_run(["sh", "-c", f"echo mine >{path}"])
        wished = host.entry("a", environment={"TEXT": "new", "MODE": "slow"})
        run = host.process(wished, host.entry("b"))
        until(lambda: host.container("a", "--previous") and host.container("a"))
        another_engine.end(number)
        failed = result_of(run)
        assert failed["failed"]
        assert host.name("a") in failed["msg"]
        another_engine.start()
        # Whatever it was in the middle of, one run mends it, and the next finds nothing.
        done = host.ok(wished, host.entry("b"))
        assert get(done) == "slow new"
        assert host.container("a", "--previous") is None
        kept = host.client.containers.get(f"codeopen-{host.name('a')}").exec_run(["cat", path]).output
        assert kept == b"mine\n"
        assert not host.ok(wished, host.entry("b"))["changed"]
        assert len(host.client.containers.list(all=True)) == 2


def test_an_engine_that_ends_in_the_middle_of_a_creation(another_engine: OwnEngine, tmp_path: Path) -> None:
    with host_on(another_engine.url, tmp_path / "state") as host:
        wished = host.entry("a", mode="slow")
        run = host.process(wished)
        until(lambda: host.container("a"))
        another_engine.end(signal.SIGKILL)
        assert result_of(run)["failed"]
        refused = host.run(wished)
        assert f"No Docker Engine answers at {another_engine.url}" in refused["msg"]
        another_engine.start()
        assert get(host.ok(wished)) == "slow"
        assert not host.ok(wished)["changed"]
        assert len(host.client.containers.list(all=True)) == 1


def test_a_full_disk_under_the_state_loses_nothing(host: Host, small_state: Path) -> None:
    first = host.entry("a", environment={"TEXT": "old"})
    token = {host.name("a"): {"token": "hush-1"}}
    on_disk = {"secrets_in": "disk"}
    host.ok(first, secrets=token, **on_disk)
    filler = small_state / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 512)
    wished = host.entry("a", environment={"TEXT": "new"})
    more = {host.name("a"): {"token": "hush-2" * 4000}}
    failed = host.run(wished, secrets=more, **on_disk)
    assert failed["failed"]
    assert "No space left on device" in failed["msg"] or "disk is full. Make room there" in failed["msg"]
    assert str(small_state) in failed["msg"]
    assert get({"workspaces": host.info(host.name("a"))}) == "healthy old"
    assert (small_state / "workspaces" / host.name("a") / "secrets/token").read_text() == "hush-1"
    filler.unlink()
    done = host.ok(wished, secrets=more, **on_disk)
    assert get(done) == "healthy new"
    assert host.container("a", "--previous") is None
    assert not host.ok(wished, secrets=more, **on_disk)["changed"]


def test_a_connection_that_drops_leaves_a_workspace_that_the_next_run_finds(host: Host, tmp_path: Path) -> None:
    program = shutil.which("ansible-playbook")
    assert program is not None
    host.ok(host.entry("a", environment={"TEXT": "old"}))
    wished = host.entry("a", environment={"TEXT": "new", "MODE": "slow"})
    task = {"workspaces": [wished], "state_dir": str(host.state_dir), "stop_timeout": 3}
    plays = [{"hosts": "remote", "gather_facts": False, "tasks": [{"codeopen.workspaces.workspace": task}]}]
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(json.dumps(plays))
    environment = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1")
    with ssh_host(tmp_path) as remote:
        command = [program, "-i", "remote,", "-e", json.dumps(remote.ansible()), str(playbook)]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        until(lambda: host.container("a", "--previous"))
        # All its connections are in the one process.
        remote.process.kill()
        output = run.communicate(timeout=120)[0]
        assert run.returncode != 0, output
        assert "unreachable=1" in output, output
    # The job goes on by itself, or is ended; the next run waits for it and finds all in order or mends it.
    done = host.ok(wished)
    assert get(done) == "slow new"
    assert host.container("a", "--previous") is None
    assert not host.ok(wished)["changed"]
