# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults at every step, on a real engine: after each, the next run mends it, says so, and the one after has nothing to do.

What is lost, doubled or left over is looked for after each. The long matrix is left to ``make test-faults``.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine

# How many changes to the engine each makes, and one more, which is after its end.
CREATION = range(1, 5)
UPDATE = range(1, 7)
REMOVAL = range(1, 6)


def get(url: str) -> str:
    """What a workspace answers."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode()).strip()


def killed_after(host: Host, step: int, *entries: dict[str, Any], **options: Any) -> bool:
    """Run the module and kill it after so many changes to the engine; whether it got that far."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(step)],
        input=json.dumps(host.arguments(*entries, **options)), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stdout
    return done.returncode != 0


def containers(host: Host) -> list[str]:
    """The names of all containers with the test's prefix, without it."""
    rows = host.client.api.containers(all=True, filters={"name": f"codeopen-{host.prefix}-"})
    return sorted(row["Names"][0].removeprefix(f"/codeopen-{host.prefix}-") for row in rows)


def write_file(host: Host) -> None:
    """Put a file into the workspace's home."""
    host.client.containers.get(f"codeopen-{host.name('a')}").exec_run(["sh", "-c", "echo mine > /home/developer/file"])


def assert_serves(host: Host, entry: dict[str, Any], text: str) -> None:
    """The workspace is as asked for, alone, with its file; and there is nothing left to do."""
    result = host.ok(entry)
    assert not result["changed"], result["workspaces"]
    assert get(result["workspaces"][0]["urls"]["web"]) == f"healthy {text}".strip()
    assert containers(host) == ["a"]
    found = host.client.containers.get(f"codeopen-{host.name('a')}")
    assert found.exec_run("cat /home/developer/file").output == b"mine\n"


@pytest.mark.faults
@pytest.mark.parametrize("step", CREATION)
def test_a_creation_killed_at_each_step(host: Host, step: int) -> None:
    entry = host.entry("a", owner=host.prefix)
    # A network, a container, and its start.
    killed = killed_after(host, step, entry)
    assert killed is (step < CREATION[-1])
    done = host.ok(entry)
    # After the last of them nothing is left to mend, it only has to become healthy.
    assert done["changed"] is (step < CREATION[-2]), done
    write_file(host)
    assert_serves(host, entry, "")


@pytest.mark.parametrize("step", [3, *[pytest.param(step, marks=pytest.mark.faults) for step in UPDATE if step != 3]])
def test_an_update_killed_at_each_step(host: Host, step: int) -> None:
    host.ok(host.entry("a", environment={"TEXT": "old"}))
    write_file(host)
    entry = host.entry("a", environment={"TEXT": "new"})
    told = host.ok(entry, check_mode=True)["workspaces"][0]["action"]
    killed = killed_after(host, step, entry)
    assert killed is (step < UPDATE[-1])
    done = host.ok(entry)["workspaces"][0]
    # The last of the five changes is the removal of the old container: nothing is left to mend after it.
    assert done["changed"] is (killed and step < 5)
    assert told == "update"
    assert_serves(host, entry, "new")


@pytest.mark.faults
@pytest.mark.parametrize("step", REMOVAL)
def test_a_removal_killed_at_each_step(host: Host, step: int) -> None:
    host.ok(host.entry("a", owner=host.prefix))
    absent = {"name": host.name("a"), "state": "absent"}
    # It stops the container, and removes it, its volume and its network.
    assert killed_after(host, step, absent, purge=True) is (step < REMOVAL[-1])
    host.ok(absent, purge=True)
    assert not host.client.api.networks(names=[f"codeopen-owner-{host.prefix}"])
    assert containers(host) == []
    assert not host.client.volumes.list(filters={"label": f"codeopen.workspace={host.name('a')}"})
    assert not (host.state_dir / "workspaces" / host.name("a")).exists()
    assert not host.ok(absent, purge=True)["changed"]


def fault_container(host: Host) -> str:
    host.client.api.remove_container(f"codeopen-{host.name('a')}", force=True)
    return "create"


def fault_killed(host: Host) -> str:
    host.client.api.kill(f"codeopen-{host.name('a')}")
    return "start"


def fault_network(host: Host) -> str:
    name = f"codeopen-owner-{host.prefix}"
    host.client.api.disconnect_container_from_network(f"codeopen-{host.name('a')}", name, force=True)
    host.client.api.remove_network(name)
    return "apply"


def fault_network_stopped(host: Host) -> str:
    host.client.api.stop(f"codeopen-{host.name('a')}", timeout=1)
    host.client.api.remove_network(f"codeopen-owner-{host.prefix}")
    return "start"


def fault_paused(host: Host) -> str:
    host.ok(host.entry("a", owner=host.prefix, state="paused"))
    return "start"


def fault_limits(host: Host) -> str:
    host.client.api.update_container(f"codeopen-{host.name('a')}", mem_limit="80m", memswap_limit="80m")
    return "apply"


def fault_secrets(host: Host) -> str:
    (host.state_dir / "workspaces" / host.name("a") / "secrets" / "token").unlink()
    return "apply"


@pytest.mark.parametrize(
    "fault",
    [
        fault_container,
        fault_network,
        fault_network_stopped,
        pytest.param(fault_killed, marks=pytest.mark.faults),
        pytest.param(fault_paused, marks=pytest.mark.faults),
        pytest.param(fault_limits, marks=pytest.mark.faults),
        pytest.param(fault_secrets, marks=pytest.mark.faults),
    ],
)
def test_what_somebody_did_by_hand_is_mended_once(host: Host, fault: Any) -> None:
    entry, other = host.entry("a", owner=host.prefix), host.entry("b", owner=host.prefix, state="absent")
    secrets = {host.name("a"): {"token": "x"}}
    host.ok(entry, other, secrets=secrets)
    write_file(host)
    action = fault(host)
    told = host.ok(entry, other, secrets=secrets, check_mode=True)["workspaces"]
    mended = host.ok(entry, other, secrets=secrets)["workspaces"]
    assert [(item["action"], item["changed"]) for item in mended] == [(action, True), ("none", False)]
    assert [item["action"] for item in told] == [action, "none"]
    assert_serves(host, entry, "")


def test_a_port_that_a_stranger_took_since_the_plan(host: Host) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    wish = [{"name": "web", "container": 4096, "host": port}]
    host.ok(host.entry("a", environment={"TEXT": "old"}))
    write_file(host)
    entry = host.entry("a", environment={"TEXT": "new"}, ports=wish)
    assert host.ok(entry, check_mode=True)["workspaces"][0]["action"] == "update"
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        failed = host.run(entry)
        assert f"port web wants {port}, but something else on this host listens there" in failed["msg"]
        assert_serves(host, host.entry("a", environment={"TEXT": "old"}), "old")
    assert host.ok(entry)["workspaces"][0]["action"] == "update"
    assert_serves(host, entry, "new")


@pytest.mark.faults
def test_a_volume_that_somebody_removed_is_made_again(host: Host) -> None:
    host.ok(host.entry("a"))
    absent = {"name": host.name("a"), "state": "absent"}
    host.ok(absent)
    host.client.api.remove_volume(f"codeopen-{host.name('a')}-home")
    host.ok(host.entry("a"))
    write_file(host)
    assert_serves(host, host.entry("a"), "")


def test_want_of_memory_and_flapping_end_the_wait_and_put_the_old_one_back(host: Host) -> None:
    host.ok(host.entry("a", environment={"TEXT": "old"}))
    write_file(host)
    for mode, said in (("hungry", "killed for want of memory"), ("flaps", "died with exit code 4")):
        failed = host.run(host.entry("a", mode=mode), health_timeout=60)
        (item,) = failed["workspaces"]
        assert (item.get("rolled_back"), item["state"]) == (True, "failed"), failed
        assert said in item["reason"]
        causes = [step for step in host.info(host.name("a"))[0]["history"] if step["to"] == "failed"]
        assert said in causes[0]["cause"]
    assert_serves(host, host.entry("a", environment={"TEXT": "old"}), "old")


def test_a_check_that_does_not_pass_puts_the_old_one_back(host: Host) -> None:
    old = host.entry(
        "a", environment={"TEXT": "old"},
        ports=[{"name": "web", "container": 4096}, {"name": "other", "container": 4097}],
        checks=[
            {"http": "web"}, {"http": "web", "path": "/none", "status": 404}, {"tcp": "web"}, {"command": ["true"]},
        ],
    )  # fmt: skip
    host.ok(old)
    write_file(host)
    new = dict(old, environment={"TEXT": "new"})
    for check, said in (
        ({"http": "web", "path": "/none", "timeout": 0}, "answers /none with 404, and not with 200"),
        ({"http": "web", "status": 204, "timeout": 0}, "answers / with 200, and not with 204"),
        ({"tcp": "other", "timeout": 0}, "port other (127.0.0.1:"),
        ({"http": "other", "timeout": 0}, "port other (127.0.0.1:"),
        ({"command": ["sh", "-c", "echo not yet; exit 7"], "timeout": 0}, "exit code 7 and says: not yet"),
        (
            {"command": ["sh", "-c", "echo working; sleep 600"], "timeout": 2},
            "did not end within 2 seconds and says: w",
        ),
        ({"command": ["sh", "-c", "kill 1; sleep 600"], "timeout": 60}, "died with exit code 0"),
    ):
        (item,) = host.run(dict(new, checks=[check]))["workspaces"]
        assert item.get("rolled_back"), item
        assert said in item["reason"]
    assert_serves(host, old, "old")


def test_canaries_go_first_and_failures_hold_the_others_back(host: Host) -> None:
    def entries(**changes: Any) -> list[dict[str, Any]]:
        return [host.entry(name, **(changes if name == "b" else {"environment": {"TEXT": "new"}})) for name in "bcd"]

    host.ok(*[host.entry(name) for name in "bcd"])
    before = {name: host.started(name) for name in "cd"}
    failed = host.run(*entries(mode="dies"), canary=1)
    first, *others = failed["workspaces"]
    assert first["rolled_back"]
    assert all(item["held_back"] and not item["changed"] and "diff" not in item for item in others)
    assert f"held back, because of the failure of {host.name('b')}" in others[0]["error"]
    assert {name: host.started(name) for name in "cd"} == before
    again = host.run(*entries(mode="dies"), max_failures=1, parallel=1)
    assert [item.get("held_back", False) for item in again["workspaces"]] == [False, True, True]
    done = host.ok(*entries(environment={"TEXT": "new"}), canary=1)
    assert [item["action"] for item in done["workspaces"]] == ["update"] * 3


@pytest.mark.faults
def test_damaged_records_stop_a_run_before_it_touches_anything(host: Host) -> None:
    host.ok(host.entry("a"))
    (host.state_dir / "records.sqlite").write_text("no database, and long enough to be taken for one" * 10)
    failed = host.run(host.entry("a", environment={"TEXT": "new"}))
    assert "records.sqlite cannot be used" in failed["msg"]
    (host.state_dir / "records.sqlite").unlink()
    assert host.ok(host.entry("a", environment={"TEXT": "new"}))["changed"]
    with contextlib.suppress(docker.errors.NotFound):
        host.client.containers.get(f"codeopen-{host.name('a')}--previous")
        pytest.fail("there are two")
