# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Further names of a workspace on a real engine: who finds it by them, and that they come back with its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine


def only(result: dict[str, Any]) -> dict[str, Any]:
    """The one workspace's result."""
    (item,) = result["workspaces"]
    return dict(item)


def address(host: Host, name: str, owner: str) -> str:
    """Where a workspace is in its owner's network."""
    networks = (host.container(name) or {})["NetworkSettings"]["Networks"]
    return str(networks[f"codeopen-owner-{owner}"]["IPAddress"])


def resolved(host: Host, name: str, alias: str) -> list[str]:
    """The addresses that an alias leads to from inside a workspace; none where it leads nowhere."""
    container = host.client.containers.get(f"codeopen-{host.name(name)}")
    done = container.exec_run(["nslookup", alias, "127.0.0.11"])
    lines = done.output.decode().splitlines()
    # The first is the server's own.
    return [line.split()[-1] for line in lines if line.startswith("Address") and "127.0.0.11" not in line]


def test_others_of_the_owner_find_it_by_its_aliases_also_after_its_network_was_taken_away(host: Host) -> None:
    ada, bob = f"{host.prefix}-ada", f"{host.prefix}-bob"
    neighbours = [host.entry("near", owner=ada), host.entry("far", owner=bob)]
    plain, entry = host.entry("a", owner=ada), host.entry("a", owner=ada, aliases=["web", "db"])
    host.ok(plain, *neighbours)
    before = host.started("a")
    assert resolved(host, "near", "db") == []

    told = host.ok(entry, *neighbours, check_mode=True)["workspaces"][0]
    assert (told["action"], told["diff"]["after"]) == ("update", {"state": "started", "aliases": ["db", "web"]})
    assert host.started("a") == before
    done = host.ok(entry, *neighbours)["workspaces"][0]
    assert done["diff"] == told["diff"]
    assert host.started("a") != before
    for alias in ("db", "web", host.name("a")):
        assert resolved(host, "near", alias) == [address(host, "a", ada)]
    assert resolved(host, "far", "db") == []
    again = dict(entry, aliases=["db", "web", "db"])
    assert not host.ok(again, *neighbours)["changed"]
    assert not host.ok(again, *neighbours, check_mode=True)["changed"]

    before, network = host.started("a"), f"codeopen-owner-{ada}"
    host.client.api.disconnect_container_from_network(f"codeopen-{host.name('a')}", network, force=True)
    assert resolved(host, "near", "db") == []
    mended = host.ok(entry, *neighbours)["workspaces"][0]
    assert (mended["action"], mended["diff"]["after"]["attached"]) == ("apply", network)
    for alias in ("db", "web", host.name("a")):
        assert resolved(host, "near", alias) == [address(host, "a", ada)]
    assert host.started("a") == before
    assert not host.ok(entry, *neighbours)["changed"]

    # Connected again by somebody who does not say what it is called there.
    host.client.api.disconnect_container_from_network(f"codeopen-{host.name('a')}", network, force=True)
    host.client.api.connect_container_to_network(f"codeopen-{host.name('a')}", network)
    assert resolved(host, "near", "db") == []
    for mode in (True, False):
        assert host.ok(entry, *neighbours, check_mode=mode)["workspaces"][0]["action"] == "apply"
    assert resolved(host, "near", "db") == [address(host, "a", ada)]
    assert host.started("a") == before
    assert not host.ok(entry, *neighbours)["changed"]

    gone = host.ok(plain, *neighbours)["workspaces"][0]
    assert gone["diff"] == {
        "before": {"state": "started", "aliases": ["db", "web"]}, "after": {"state": "started"},
    }  # fmt: skip
    assert resolved(host, "near", "db") == []


def test_an_alias_of_two_is_refused_before_anything_starts(host: Host) -> None:
    entries = [host.entry(name, owner=host.prefix, aliases=["db"]) for name in ("a", "b")]
    refused = host.run(*entries)
    assert f"'db' is an alias of workspace '{host.name('a')}' of the same owner, too" in refused["msg"]
    assert host.container("a") is None


def test_a_claimed_member_of_a_pool_takes_its_aliases_along(host: Host) -> None:
    name, ada = host.name("p"), host.name("ada")
    pool = {"name": name, "size": 2, "workspace": host.entry("p", owner=f"pool-{name}", aliases=["db"])}
    host.ok(host.entry("near", owner=ada), pools=[pool])
    assert not host.ok(host.entry("near", owner=ada), pools=[pool])["changed"]
    assert resolved(host, "near", "db") == []
    given = {"pool": name, "claimant": ada, "state_dir": str(host.state_dir), "stop_timeout": 3, "health_timeout": 30}
    assert host.call("workspace_claim", **given)["name"] == host.name("p-1")
    assert resolved(host, "near", "db") == resolved(host, "near", host.name("p-1")) == [address(host, "p-1", ada)]
    assert not host.call("workspace_claim", **given)["changed"]
