# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers of a real engine reach a cloud's metadata service.

The service is a stand-in: another machine that has its address and answers by HTTP.
"""

from __future__ import annotations

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import bridge_name, network_name
from host_machine import inventory_of
from neighbours import client, fetch, street

pytestmark = pytest.mark.engine

SERVICE = "169.254.169.254"
STATE_DIR = "/var/lib/codeopen"
SCRIPT = "/etc/codeopen/metadata-services.sh"
OWNERS = ("alice", "bob")
SLEEP = "/bin/busybox sleep 100000"


@pytest.fixture(scope="module")
def cloud(host):
    """The host, on a cloud's network, with a workspace's container of each owner and one of somebody else's."""
    host.sh("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    with street(host) as name, client(name) as service:
        service.sh(f"ip address add {SERVICE}/32 dev eth0")
        # Its name server has the same address.
        service.sh("busybox httpd -p 53 -h /srv/page")
        host.sh(f"ip route add {SERVICE}/32 via {service.address}")
        for owner in OWNERS:
            option = f"com.docker.network.bridge.name={bridge_name(STATE_DIR, owner)}"
            host.sh(f"docker network create --opt {option} {network_name(owner)}")
            host.sh(f"docker run --detach --init --name {owner} --network {network_name(owner)} counter {SLEEP}")
        host.sh(f"docker run --detach --init --name other counter {SLEEP}")
        # The role has done it already.
        keep(host, state="absent")
        yield host
        host.sh(f"docker rm --force other {' '.join(OWNERS)}")
        host.sh(f"docker network rm {' '.join(network_name(owner) for owner in OWNERS)}; ip route del {SERVICE}/32")


@pytest.fixture
def kept(cloud):
    """The same with the rules, and everything gone in the end."""
    done = keep(cloud)
    assert done["changed"], done
    yield cloud
    keep(cloud, state="absent")


def keep(host, *arguments, **options):
    return host.module("metadata_services", *arguments, **{"state": "present", **options})


def reaches(host, name, port=80):
    return host.sh(f"docker exec {name} " + fetch("/bin/busybox", SERVICE, port), check=False) == "hello"


def rules(host):
    return host.sh("iptables -S; ip6tables -S")


def test_workspaces_are_refused_and_nothing_else(cloud):
    host = cloud
    untouched = rules(host)
    assert all(reaches(host, name) for name in ("other", *OWNERS))
    told = keep(host, "--check")
    assert told["changed"]
    assert rules(host) == untouched
    done = keep(host)
    assert done["changed"], done
    assert done["versions"] == [4, 6]
    assert not any(reaches(host, owner) for owner in OWNERS)
    # Refused at once: a program that asks need not wait for an answer that never comes.
    said = host.sh(f"docker exec alice /bin/busybox wget -q -O - http://{SERVICE}/ 2>&1", check=False)
    assert "refused" in said
    assert reaches(host, "alice", port=53), "name servers of some clouds have the same address"
    assert reaches(host, "other"), "what is not a workspace is somebody else's"
    assert host.sh(fetch("busybox", SERVICE, 80)) == "hello"
    assert not keep(host)["changed"]
    assert not keep(host, "--check")["changed"]
    assert keep(host, state="absent")["changed"]
    assert rules(host) == untouched
    assert all(reaches(host, owner) for owner in OWNERS)
    assert not keep(host, state="absent")["changed"]


def test_named_owners_are_let_in_and_out(kept):
    host = kept
    assert keep(host, "--check", allow=["alice"])["changed"]
    assert not reaches(host, "alice")
    assert keep(host, allow=["alice"])["changed"]
    assert not keep(host, allow=["alice"])["changed"]
    assert reaches(host, "alice")
    assert not reaches(host, "bob")
    assert keep(host)["changed"]
    assert not reaches(host, "alice")


def test_other_addresses_and_bridges(kept):
    host = kept
    assert keep(host, addresses=["192.0.2.1"])["changed"]
    assert reaches(host, "alice")
    assert keep(host, interfaces=["docker0", "br-+"])["changed"]
    assert not any(reaches(host, name) for name in ("other", *OWNERS))


def test_it_goes_with_rules_about_ports(kept):
    host = kept
    assert host.module("published_ports", allow=[])["changed"]
    try:
        assert not keep(host)["changed"]
        assert not host.module("published_ports", allow=[])["changed"]
        assert not reaches(host, "alice")
        assert reaches(host, "other")
    finally:
        assert host.module("published_ports", state="absent")["changed"]
    assert not keep(host)["changed"]
    assert not reaches(host, "alice")


def test_the_script_of_the_hosts_start_brings_it_back(kept):
    host = kept
    before = rules(host)
    chain = "CODEOPEN-METADATA"
    host.sh(f"for t in iptables ip6tables; do $t -D DOCKER-USER -j {chain}; $t -F {chain}; $t -X {chain}; done")
    assert reaches(host, "alice")
    host.sh(f"sh {SCRIPT} && sh {SCRIPT}")
    assert sorted(rules(host).splitlines()) == sorted(before.splitlines())
    assert not reaches(host, "alice")
    assert not keep(host)["changed"]


def test_an_engine_that_does_not_filter_is_named(cloud):
    host = cloud
    host.sh("iptables -D FORWARD -j DOCKER-USER")
    try:
        done = keep(host)
        assert done["failed"]
        assert "give the role engine 'engine_metadata_services: allowed'" in done["msg"]
        assert "CODEOPEN" not in rules(host)
    finally:
        host.sh("iptables -I FORWARD -j DOCKER-USER")


def test_the_role_does_it_unless_told_otherwise(playbook, tmp_path, cloud):
    host, inventory = cloud, inventory_of([cloud], tmp_path)

    def run(*arguments, **variables):
        return playbook("engine", *arguments, variables={"engine_configure": "never", **variables}, inventory=inventory)

    def engine(*arguments, **variables):
        done = run(*arguments, **variables)
        assert done.status == 0, done.output
        return done.count("changed", host.name)

    assert engine("--check") == 1
    assert engine() == 1
    assert not reaches(host, "alice")
    assert engine() == 0
    assert engine(engine_metadata_allow=["alice"]) == 1
    assert reaches(host, "alice")
    assert not reaches(host, "bob")
    assert engine(engine_metadata_services="allowed") == 1
    assert reaches(host, "bob")

    # Where the engine does not filter, as without root.
    host.sh("iptables -D FORWARD -j DOCKER-USER")
    try:
        said = run()
        assert said.status == 0, said.output
        assert "Workspaces reach the cloud's metadata services" in " ".join(said.output.split())
        assert run(engine_metadata_services="refused").status != 0
        assert run(engine_metadata_allow=["Bob"]).status != 0, "mistakes are mistakes all the same"
    finally:
        host.sh("iptables -I FORWARD -j DOCKER-USER")
