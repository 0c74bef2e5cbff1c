# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on a real engine gets a clear message, stops nobody else, and loses nothing."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import until

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def at(port: int) -> list[dict[str, Any]]:
    """Ports of a workspace that wants this one."""
    return [{"name": "web", "container": 4096, "host": port}]


def get(url: str) -> str:
    """What a workspace answers."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode()).strip()


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON that the module ends with."""
    output, _unused = process.communicate(timeout=120)
    return dict(json.loads(output[output.index("{") :]))


def test_every_port_that_cannot_be_had_is_in_one_message_and_nothing_starts(host: Host, taken_port: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    failed = host.run(
        host.entry("a", ports=at(taken_port)),
        host.entry("b", ports=at(free)),
        host.entry("c", ports=at(free)),
        host.entry("d"),
    )
    assert failed["failed"]
    assert "2 mistakes" in failed["msg"]
    assert f"'{host.name('a')}': port web wants {taken_port}, but something else on this host listens" in failed["msg"]
    assert f"'{host.name('c')}': port web wants {free}, but port web of workspace '{host.name('b')}'" in failed["msg"]
    assert all(host.container(name) is None for name in "abcd")


def test_a_port_of_another_container_names_it(host: Host) -> None:
    first = host.ok(host.entry("a"))["workspaces"][0]
    port = first["ports"]["web"]
    failed = host.run(host.entry("b", ports=at(port)))
    assert f"wants {port}, but workspace '{host.name('a')}' has it" in failed["msg"]
    host.ok(host.entry("a", state="stopped"))
    failed = host.run(host.entry("b", ports=at(port)))
    assert f"wants {port}, but workspace '{host.name('a')}' has it" in failed["msg"]


def test_a_stopped_workspace_whose_port_was_taken_is_refused_before_it_starts(host: Host, taken_port: int) -> None:
    host.ok(host.entry("a", state="stopped"))
    port = taken_port
    failed = host.run(host.entry("a", ports=at(port)))
    assert f"wants {port}, but something else" in failed["msg"]


def test_ports_out_of_range_and_bad_names_are_refused_together(host: Host) -> None:
    failed = host.run(
        host.entry("a", ports=at(70000)),
        dict(host.entry("b"), name="../b"),
        dict(host.entry("c"), name="c; rm -rf"),
    )
    assert "3 mistakes" in failed["msg"]
    assert "host is 70000, out of range: expected 1 to 65535" in failed["msg"]
    assert "'../b' (item 2)" in failed["msg"]
    assert not list(host.state_dir.iterdir()) or not (host.state_dir / "workspaces").exists()


def test_the_gate_ends_at_once_when_the_container_dies(host: Host) -> None:
    begin = time.monotonic()
    failed = host.run(host.entry("a", mode="dies"), health_timeout=90)
    assert time.monotonic() - begin < 60
    assert "it died with exit code 3" in failed["msg"]
    assert "fatal: no database" in failed["msg"]
    assert failed["workspaces"][0]["state"] == "failed"
    assert (host.container("a") or {})["State"]["Status"] == "exited"


def test_an_unhealthy_container_says_what_its_check_says(host: Host) -> None:
    failed = host.run(host.entry("a", mode="never"))
    assert "it is unhealthy: its health check says (exit code 1): the database is away" in failed["msg"]
    done = host.ok(host.entry("a"))
    assert done["workspaces"][0]["action"] == "update"


def test_a_container_that_takes_too_long_is_given_up(host: Host) -> None:
    failed = host.run(host.entry("a", mode="stuck"), health_timeout=2)
    assert "not healthy within 2 seconds: its health check has not answered yet" in failed["msg"]


@pytest.mark.parametrize("mode", ["dies", "never"])
def test_an_update_that_fails_puts_the_old_one_back(host: Host, mode: str) -> None:
    first = host.ok(host.entry("a", environment={"TEXT": "old"}))["workspaces"][0]
    before, _since = host.started("a")
    failed = host.run(host.entry("a", mode=mode))
    assert "The previous container is put back and healthy again" in failed["msg"]
    assert get(first["urls"]["web"]) == "healthy old"
    assert host.started("a")[0] == before
    assert host.container("a", "--previous") is None
    assert not host.ok(host.entry("a", environment={"TEXT": "old"}))["changed"]


def test_one_of_five_fails_and_the_others_run(host: Host) -> None:
    entries = [host.entry(name, mode="dies" if name == "c" else None) for name in "abcde"]
    failed = host.run(*entries)
    assert failed["failed"]
    assert failed["msg"].startswith(f"1 of 5 workspaces failed: {host.name('c')}.")
    states = [item["state"] for item in failed["workspaces"]]
    assert states == ["started", "started", "failed", "started", "started"]
    assert all(get(item["urls"]["web"]) == "healthy" for item in failed["workspaces"] if item["state"] == "started")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("mode", ["slow", "late"])
def test_an_interrupted_update_is_finished_by_the_next_run(host: Host, number: signal.Signals, mode: str) -> None:
    first = host.ok(host.entry("a", environment={"TEXT": "old"}))["workspaces"][0]
    container = host.client.containers.get(f"codeopen-{host.name('a')}")
    container.exec_run(["sh", "-c", "echo mine > /home/developer/file"])
    wished = host.entry("a", mode=mode)
    process = host.process(wished)
    until(lambda: host.container("a", "--previous"))
    process.send_signal(number)
    process.communicate(timeout=60)
    assert host.container("a", "--previous")

    assert host.run(wished, check_mode=True)["workspaces"][0]["changed"]
    result = host.run(wished)
    # What was left running may have become healthy meanwhile.
    assert result["workspaces"][0]["action"] in ("update", "recover")
    if mode == "slow":
        assert not result.get("failed"), result["msg"]
        assert get(first["urls"]["web"]) == "slow"
        assert not host.ok(wished)["changed"]
    else:
        assert "put back and healthy again" in result["msg"]
        assert get(first["urls"]["web"]) == "healthy old"
    assert host.container("a", "--previous") is None
    found = host.client.containers.get(f"codeopen-{host.name('a')}")
    assert found.exec_run("cat /home/developer/file").output == b"mine\n"


def leave(host: Host, *, new: str) -> None:
    """What a run leaves that was killed at one of its steps."""
    name = f"codeopen-{host.name('a')}"
    host.ok(host.entry("a"))
    host.client.api.stop(name, timeout=1)
    host.client.api.rename(name, f"{name}--previous")
    if new == "created":
        labels = dict(host.client.containers.get(f"{name}--previous").labels, **{"codeopen.spec": "other"})
        api: Any = host.client.api
        api.create_container_from_config({"Image": host.image, "Labels": labels}, name)


@pytest.mark.parametrize("new", ["missing", "created"])
@pytest.mark.parametrize("wish", ["same", "other", "stopped", "absent"])
def test_whatever_a_killed_run_left_is_settled(host: Host, new: str, wish: str) -> None:
    leave(host, new=new)
    entries: dict[str, dict[str, Any]] = {
        "same": host.entry("a"),
        "other": host.entry("a", environment={"TEXT": "new"}),
        "stopped": host.entry("a", state="stopped"),
        "absent": {"name": host.name("a"), "state": "absent"},
    }
    result = host.ok(entries[wish])
    assert result["changed"]
    assert host.container("a", "--previous") is None
    if wish == "absent":
        assert host.container("a") is None
        assert host.client.volumes.list(filters={"label": f"codeopen.workspace={host.name('a')}"})
    elif wish == "stopped":
        assert (host.container("a") or {})["State"]["Status"] == "exited"
    else:
        assert get(result["workspaces"][0]["urls"]["web"]) == ("healthy new" if wish == "other" else "healthy")
    assert not host.ok(entries[wish])["changed"]


def test_a_killed_creation_is_finished_by_the_next_run(host: Host) -> None:
    wished = host.entry("a", mode="slow")
    process = host.process(wished)
    until(lambda: host.container("a"))
    process.kill()
    process.communicate(timeout=60)
    done = host.ok(wished)
    assert get(done["workspaces"][0]["urls"]["web"]) == "slow"
    assert not host.ok(wished)["changed"]


def test_an_engine_that_is_not_there_is_named(host: Host) -> None:
    failed = host.run(host.entry("a"), docker_host=f"unix://{host.state_dir}/none.sock")
    assert f"No Docker Engine answers at unix://{host.state_dir}/none.sock" in failed["msg"]


def test_a_missing_image_fails_its_workspace_only_and_is_a_note_in_check_mode(host: Host) -> None:
    missing = host.entry("a", image="codeopen-none:9")
    told = host.ok(missing, check_mode=True)["workspaces"][0]
    assert told["action"] == "create"
    assert "codeopen-none:9 is not on this host" in told["notes"][0]
    failed = host.run(missing, host.entry("b"))
    assert "Image codeopen-none:9 is not on this host: the role codeopen.workspaces.images builds it" in failed["msg"]
    assert [item["state"] for item in failed["workspaces"]] == ["failed", "started"]


def test_an_image_of_another_recipe_is_refused_and_the_workspace_goes_on(host: Host) -> None:
    first = host.ok(host.entry("a"))["workspaces"][0]
    other = host.entry("a", recipe="b" * 64)
    assert host.ok(other, check_mode=True)["workspaces"][0]["action"] == "update"
    assert "was built from another recipe" in host.run(other)["msg"]
    assert get(first["urls"]["web"]) == "healthy"
