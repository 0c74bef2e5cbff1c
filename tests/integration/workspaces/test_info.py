# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of workspaces while others change them, and of those that are no more."""

from __future__ import annotations

import contextlib
import os
import pwd
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Callable

import docker.errors
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.inspection import Inspector
from ansible_collections.codeopen.workspaces.plugins.module_utils.look_again import look_up
from ansible_collections.codeopen.workspaces.plugins.module_utils.moments import parse_moment
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Observed
from watched_engine import watched_engine

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


@contextlib.contextmanager
def before_the_first(container: str, what: str, do: Callable[[], object]) -> Iterator[str]:
    """An engine on which something happens right before the first request of a kind about a container."""
    done = []

    def see(request: str) -> None:
        if f"/containers/{container}/{what}" in request and not done:
            done.append(request)
            do()

    with watched_engine(see) as url:
        yield url
    assert done


def info(host: Host, url: str, *names: str) -> dict[str, dict[str, Any]]:
    """What the module says by way of another engine's socket, by name."""
    told = host.call("workspace_info", names=list(names), state_dir=str(host.state_dir), docker_host=url)
    assert not told.get("failed"), told["msg"]
    return {workspace["name"]: workspace for workspace in told["workspaces"]}


@pytest.mark.parametrize("what", ["json", "stats"])
def test_one_that_vanishes_while_it_is_looked_at_is_lost_and_the_others_are_told(host: Host, what: str) -> None:
    host.ok(host.entry("one"), host.entry("two"))
    one, two = host.name("one"), host.name("two")
    container, _since = host.started("one")

    def remove() -> None:
        host.client.api.remove_container(container, force=True)

    with before_the_first(container, what, remove) as url:
        told = info(host, url, one, two)
    assert (told[one]["state"], told[two]["state"]) == ("lost", "running")
    assert set(told[one]) == {"name", "state", "history"}


def test_one_that_died_and_is_removed_before_its_log_is_read(host: Host) -> None:
    host.ok(host.entry("one"))
    container, _since = host.started("one")
    host.client.api.kill(container)

    def remove() -> None:
        host.ok({"name": host.name("one"), "state": "absent"})

    with before_the_first(container, "logs", remove) as url:
        told = info(host, url, host.name("one"))
    assert told[host.name("one")]["state"] == "removed"


def test_one_that_is_replaced_while_it_is_looked_at_is_told_as_it_is_then(host: Host) -> None:
    host.ok(host.entry("one"))
    container, _since = host.started("one")

    def update() -> None:
        host.ok(host.entry("one", environment={"TEXT": "other"}, owner=host.prefix))

    with before_the_first(container, "json", update) as url:
        told = info(host, url, host.name("one"))[host.name("one")]
    assert (told["state"], told["owner"], told["drift"], told["updating"]) == ("running", host.prefix, {}, False)


def test_one_that_the_engine_failed_to_remove_has_no_log(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.ok(host.entry("one"))
    container, _since = host.started("one")
    host.client.api.kill(container)

    def no_log(*_arguments: Any, **_options: Any) -> None:
        raise docker.errors.APIError("dead", response=SimpleNamespace(status_code=409, reason="Conflict", url=""))

    with contextlib.closing(connect()) as client:
        # No engine fails so on request.
        details = client.api.inspect_container(container)
        details["State"].update(Status="dead", Dead=True)
        monkeypatch.setattr(client.api, "inspect_container", lambda _id: details)
        monkeypatch.setattr(client.api, "logs", no_log)
        found = look_up(client, host.name("one"))
        told = Inspector(client, str(host.state_dir), 1).facts(host.name("one"), found)
    assert (told["state"], told["failure"]["last_lines"]) == ("failed", [])


def test_one_that_came_after_the_listing_is_not_lost(host: Host) -> None:
    host.ok(host.entry("one"))
    with contextlib.closing(connect()) as client:
        assert Inspector(client, str(host.state_dir), 1).facts(host.name("one"), Observed())["state"] == "running"


def test_what_became_of_a_removed_one_is_told_where_it_is_named(host: Host) -> None:
    host.ok(host.entry("one"), host.entry("two"))
    one, two = host.name("one"), host.name("two")
    host.ok({"name": one, "state": "absent"})
    gone, there = host.info(one, two, host.name("never-made"))
    assert (gone["name"], gone["state"], set(gone)) == (one, "removed", {"name", "state", "history"})
    assert [step["to"] for step in gone["history"]][:2] == ["removed", "removing"]
    assert there["state"] == "running"
    all_names = {workspace["name"] for workspace in host.info()}
    assert two in all_names
    assert one not in all_names


def test_the_history_says_who_and_when(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = int(time.time())
    monkeypatch.setenv("SUDO_USER", "ada")
    host.ok(host.entry("one"))
    monkeypatch.delenv("SUDO_USER")
    between = int(time.time())
    host.ok(host.entry("one", state="stopped"))
    (told,) = host.info(host.name("one"))
    states = [step["to"] for step in told["history"]]
    stopped, made = told["history"][: states.index("running")], told["history"][states.index("running") :]
    assert (states[0], states[-1]) == ("stopped", "created")
    assert {step["who"] for step in made} == {"ada"}
    assert {step["who"] for step in stopped} == {pwd.getpwuid(os.getuid()).pw_name}
    for step in made:
        assert begun <= parse_moment(step["time"], 0) <= between + 1
    for step in stopped:
        assert between <= parse_moment(step["time"], 0) <= time.time()


def test_check_mode_tells_the_same_and_writes_nothing(host: Host) -> None:
    fresh = str(host.state_dir)
    told = host.call("workspace_info", state_dir=fresh, _ansible_check_mode=True)
    assert (told["changed"], isinstance(told["workspaces"], list)) == (False, True)
    assert not list(host.state_dir.iterdir())
    host.ok(host.entry("one", state="stopped"))
    arguments = {"names": [host.name("one")], "state_dir": fresh}
    told = host.call("workspace_info", **arguments, _ansible_check_mode=True)
    assert told["workspaces"] == host.call("workspace_info", **arguments)["workspaces"]
    assert [workspace["name"] for workspace in told["workspaces"]] == arguments["names"]
