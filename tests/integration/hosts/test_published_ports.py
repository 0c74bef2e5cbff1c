# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches published ports of a real engine: asked from other machines, by connections that come or do not."""

from __future__ import annotations

import ipaddress
import re
import secrets
import time

import pytest
from host_machine import docker, inventory_of
from neighbours import address_of, client, fetch, interface_of, street

pytestmark = pytest.mark.engine

SCRIPT = "/etc/codeopen/published-ports.sh"
DROP_IN = "/etc/systemd/system/docker.service.d/codeopen-published-ports.conf"
SERVE = "echo hello >/index.html; exec /bin/busybox httpd -f -p 80 -h /"
LINES = "while :; do /bin/busybox nc -l -p 80; done"


def until(condition):
    """Wait for something that takes a moment."""
    for attempt in range(100):
        if condition():
            return
        time.sleep(0.2)
    pytest.fail("it did not become so")


@pytest.fixture(scope="module")
def neighbourhood(host):
    """The network where the host is reached."""
    with street(host) as name:
        yield name


@pytest.fixture(scope="module")
def friend(neighbourhood):
    """A client that lists name."""
    with client(neighbourhood) as machine:
        yield machine


@pytest.fixture(scope="module")
def stranger(neighbourhood):
    """A client that they do not."""
    with client(neighbourhood) as machine:
        yield machine


def web_address(host, name="web"):
    return host.sh(
        f"docker inspect --format '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}' {name}"
    )


def web(host, name, *options, command=SERVE):
    host.sh(f"docker run --detach --name {name} {' '.join(options)} counter /bin/busybox sh -c '{command}'")


def filters(host):
    return host.sh("iptables -S; ip6tables -S")


@pytest.fixture(scope="module")
def shop(host, neighbourhood):
    """The host with a container that publishes a port on all addresses, and another beside it."""
    host.sh("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    host.sh("docker network create shop")
    web(host, "web", "--network shop --restart unless-stopped --publish 0.0.0.0:8080:80")
    web(host, "beside", "--network shop --restart unless-stopped")
    yield host
    host.sh("docker rm --force web beside; docker network rm shop")


@pytest.fixture
def guarded(shop, friend):
    """The host with the friend on its list, and everything gone in the end."""
    done = shop.module("published_ports", allow=[{"from": friend.address}])
    assert not done["failed"], done
    yield shop
    shop.module("published_ports", state="absent")


def inside_reaches(host, address, port=80):
    """What a container finds at an address."""
    return host.sh("docker exec beside " + fetch("/bin/busybox", address, port), check=False) == "hello"


def test_the_listed_reach_it_and_nobody_else_and_what_is_inside_goes_on(shop, friend, stranger):
    host, address = shop, address_of(shop)
    untouched = filters(host)
    until(lambda: friend.reaches(address))
    assert stranger.reaches(address)
    done = host.module("published_ports", allow=[{"from": friend.address, "ports": [8080], "protocol": "tcp"}])
    assert done["changed"], done
    assert friend.reaches(address)
    assert not stranger.reaches(address)
    # The host itself, containers among each other, by the published port too, and to the world.
    assert host.sh(fetch("busybox", address, 8080)) == "hello"
    assert inside_reaches(host, web_address(host))
    assert inside_reaches(host, address, 8080)
    assert inside_reaches(host, stranger.address)

    again = host.module(
        "published_ports", allow=[{"from": f"{friend.address}/32", "ports": ["8080"], "protocol": "tcp"}]
    )
    assert not again["changed"], again
    assert host.sh(f"stat --format '%a %U' {SCRIPT}") == "600 root"
    assert host.sh(f"test -e {DROP_IN}; echo $?") == host.sh("test -d /run/systemd/system; echo $?")

    done = host.module("published_ports", state="absent")
    assert done["changed"]
    assert filters(host) == untouched
    assert host.sh(f"ls {SCRIPT} {DROP_IN} 2>/dev/null", check=False) == ""
    assert stranger.reaches(address)
    assert not host.module("published_ports", state="absent")["changed"]


def test_another_port_than_the_listed_is_closed(guarded, friend):
    host, address = guarded, address_of(guarded)
    # The container's own port, 80, is none of the host's.
    for ports, reached in (["8000-8100"], True), (["80", "1-8079", "8081-65535"], False):
        assert not host.module("published_ports", allow=[{"from": friend.address, "ports": ports}])["failed"]
        assert friend.reaches(address) == reached, ports
    assert not host.module("published_ports", allow=[{"from": friend.address, "protocol": "udp"}])["failed"]
    assert not friend.reaches(address)


def test_an_empty_list_lets_in_nobody_and_a_network_all_of_it(guarded, friend, stranger):
    host, address = guarded, address_of(guarded)
    assert host.module("published_ports", allow=[])["changed"]
    assert not friend.reaches(address)
    assert not stranger.reaches(address)
    network = str(ipaddress.ip_network(f"{friend.address}/16", strict=False))
    assert host.module("published_ports", allow=[{"from": network}])["changed"]
    assert friend.reaches(address)
    assert stranger.reaches(address)


def test_check_mode_tells_all_and_does_nothing(shop, friend):
    host = shop
    wishes = {"allow": [{"from": friend.address}, {"from": "2001:db8::/32", "ports": [443]}]}
    before = filters(host)
    told = host.module("published_ports", "--check", "--diff", "-vvv", **wishes)
    assert told["changed"]
    assert filters(host) == before
    assert host.sh("ls /etc/codeopen", check=False) == ""
    done = host.module("published_ports", "--diff", "-vvv", **wishes)
    assert told["diff"] == done["diff"]
    for part in done["diff"]:
        if part["after_header"].startswith("/"):
            assert host.read(part["after_header"]) == part["after"]
        else:
            now = host.sh(part["after_header"]).splitlines()
            assert part["after"].splitlines() == [
                line
                for chain in ("DOCKER-USER", "CODEOPEN-PORTS")
                for line in now
                if re.match(rf"-[AN] {chain}\b", line)
            ]
    assert not host.module("published_ports", "--check", **wishes)["changed"]
    taken = host.module("published_ports", "--check", "--diff", "-vvv", state="absent")
    assert taken["changed"]
    gone = host.module("published_ports", "--diff", "-vvv", state="absent")
    assert gone["diff"] == taken["diff"]
    assert filters(host) == before


def test_who_is_taken_from_the_list_is_cut_off_at_once(guarded, friend):
    host = guarded
    web(host, "lines", "--publish 0.0.0.0:8090:80", command=LINES)
    try:
        talk = (
            f"import socket, time\ns = socket.create_connection(('{address_of(host)}', 8090))\n"
            "while True: s.sendall(b'line\\n'); time.sleep(0.1)"
        )
        docker("exec", "--detach", friend.name, "python3", "-c", talk)

        def count():
            return len(host.sh("docker logs lines").splitlines())

        until(lambda: count() > 5)
        assert host.module("published_ports", allow=[])["changed"]
        settled = count()
        time.sleep(2)
        assert count() == settled
    finally:
        host.sh("docker rm --force lines")


def test_a_neighbour_does_not_come_past_the_published_port(shop, friend):
    host = shop
    inner = web_address(host)
    friend.sh(f"ip route add {inner}/32 via {address_of(host)}")
    try:
        assert friend.reaches(inner, 80), "the engine refuses it by itself, so that the rule shows nothing"
        host.module("published_ports", allow=[{"from": friend.address}])
        assert not friend.reaches(inner, 80)
        assert friend.reaches(address_of(host))
    finally:
        friend.sh(f"ip route del {inner}/32")
        host.module("published_ports", state="absent")


def test_rules_of_others_stay_and_come_after_ours(guarded, friend, stranger):
    host, address = guarded, address_of(guarded)
    host.sh("iptables -I DOCKER-USER -p tcp --dport 80 -j ACCEPT")
    try:
        assert stranger.reaches(address)
        assert host.module("published_ports", allow=[{"from": friend.address}])["changed"]
        assert not stranger.reaches(address)
        assert host.sh("iptables -S DOCKER-USER").splitlines()[1:3] == [
            "-A DOCKER-USER -j CODEOPEN-PORTS",
            "-A DOCKER-USER -p tcp -m tcp --dport 80 -j ACCEPT",
        ]
        host.module("published_ports", state="absent")
        assert "--dport 80 -j ACCEPT" in host.sh("iptables -S DOCKER-USER")
    finally:
        host.sh("iptables -D DOCKER-USER -p tcp --dport 80 -j ACCEPT")


def test_the_engines_restart_keeps_it(guarded, friend, stranger):
    host, address = guarded, address_of(guarded)
    pid = host.sh("cat /var/run/docker.pid")
    before = filters(host)
    label = secrets.token_hex(4)
    assert not host.module("daemon_config", config={"labels": [f"restart={label}"]}, apply="restart")["failed"]
    assert host.sh("cat /var/run/docker.pid") != pid
    until(lambda: friend.reaches(address))
    assert not stranger.reaches(address)
    assert [line for line in filters(host).splitlines() if "CODEOPEN" in line] == [
        line for line in before.splitlines() if "CODEOPEN" in line
    ]
    assert not host.module("published_ports", allow=[{"from": friend.address}])["changed"]


def test_the_script_brings_everything_back_and_may_run_twice(guarded, friend, stranger):
    host = guarded
    before = filters(host)
    host.sh(
        "for t in iptables ip6tables; do $t -D DOCKER-USER -j CODEOPEN-PORTS; $t -F CODEOPEN-PORTS; $t -X CODEOPEN-PORTS; done"
    )
    assert stranger.reaches(address_of(host))
    host.sh(f"sh {SCRIPT} && sh {SCRIPT}")
    assert sorted(filters(host).splitlines()) == sorted(before.splitlines())
    assert not stranger.reaches(address_of(host))
    assert not host.module("published_ports", allow=[{"from": friend.address}])["changed"]


def test_the_same_by_ipv6(shop, friend, stranger):
    host = shop
    result = host.module("daemon_config", config={"experimental": True, "ip6tables": True}, apply="restart")
    assert not result["failed"], result
    addresses = {friend: "fd00:aa::2", stranger: "fd00:aa::3"}
    card = interface_of(host)
    try:
        host.sh(
            f"echo 0 >/proc/sys/net/ipv6/conf/{card}/disable_ipv6; ip -6 address replace fd00:aa::1/64 dev {card} nodad"
        )
        for machine, address in addresses.items():
            machine.sh(f"ip -6 address replace {address}/64 dev eth0 nodad")
        host.sh("docker network create --ipv6 --subnet fd00:bb::/64 six")
        web(host, "web6", "--network six --publish [::]:8086:80", command=SERVE.replace("-p 80", "-p [::]:80"))
        until(lambda: friend.reaches("[fd00:aa::1]", 8086))
        assert stranger.reaches("[fd00:aa::1]", 8086)
        done = host.module("published_ports", allow=[{"from": "fd00:aa::2", "ports": [8086]}])
        assert done["versions"] == [4, 6]
        assert friend.reaches("[fd00:aa::1]", 8086)
        assert not stranger.reaches("[fd00:aa::1]", 8086)
        assert not friend.reaches(address_of(host))
        assert not host.module("published_ports", allow=[{"from": "fd00:00aa:0::2/128", "ports": [8086]}])["changed"]
    finally:
        host.sh("docker rm --force web6; docker network rm six", check=False)
        host.module("published_ports", state="absent")
        host.module("daemon_config", absent=["experimental", "ip6tables"], apply="restart")
        host.sh(f"ip -6 address del fd00:aa::1/64 dev {card}", check=False)


def test_mistakes_are_told_all_at_once_and_nothing_is_touched(guarded):
    host = guarded
    before = filters(host)
    bad = [{"from": "10.1.2.3/8"}, {"ports": [70000]}, {"from": "10.0.0.0/8", "protocol": "tpc"}]
    done = host.module("published_ports", allow=bad)
    assert done["failed"]
    assert done["msg"].startswith("4 mistakes in who may reach published ports:")
    assert filters(host) == before


def test_an_engine_that_does_not_filter_is_named(shop):
    host = shop
    host.sh("iptables -D FORWARD -j DOCKER-USER")
    try:
        done = host.module("published_ports", allow=[])
        assert done["failed"]
        assert "No forwarded packet comes by the chain DOCKER-USER" in done["msg"]
        assert "CODEOPEN" not in filters(host)
    finally:
        host.sh("iptables -I FORWARD -j DOCKER-USER")


def test_a_missing_iptables_is_named(shop):
    host = shop
    host.sh("mv /usr/sbin/iptables /usr/sbin/iptables.away")
    try:
        done = host.module("published_ports", allow=[])
        assert done["failed"]
        assert "The program iptables is missing" in done["msg"]
        assert not host.module("published_ports", state="absent")["changed"]
    finally:
        host.sh("mv /usr/sbin/iptables.away /usr/sbin/iptables")


def test_a_bridge_that_leads_outside_is_refused(shop):
    done = shop.module("published_ports", interfaces=["docker0", "eth+"])
    assert done["failed"]
    assert "interfaces has 'eth+', which stands for eth0 too" in done["msg"]


def test_the_userland_proxy_is_warned_of(shop):
    host = shop
    host.sh("echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip -6 address replace fd00:aa::1/64 dev eth0 nodad")

    def said():
        module = ("--module-name", "codeopen.workspaces.published_ports", "--args", "state=present")
        done = host.ansible(host.name, "--check", *module)
        assert "changed" in done.stdout.lower(), done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    try:
        # Other modules' tests leave a file of their own.
        assert not host.module("daemon_config", config={"userland-proxy": False}, apply="restart")["failed"]
        assert "userland" not in said()
        assert not host.module("daemon_config", config={"userland-proxy": True}, apply="restart")["failed"]
        assert "Set userland-proxy: false in the engine's configuration." in said()
    finally:
        host.module("daemon_config", config={"userland-proxy": False}, apply="restart")
        host.sh("ip -6 address del fd00:aa::1/64 dev eth0")


def test_the_role_does_it_and_leaves_it_alone_where_it_is_not_asked(playbook, tmp_path, shop, friend, stranger):
    host, address = shop, address_of(shop)
    inventory = inventory_of([host], tmp_path)

    def engine(*arguments, **variables):
        others = {"engine_configure": "never", "engine_metadata_services": "allowed"}
        done = playbook("engine", *arguments, variables={**others, **variables}, inventory=inventory)
        assert done.status == 0, done.output
        return done.count("changed", host.name)

    engine()
    allow = [{"from": friend.address, "ports": [8080, "9000-9100"]}]
    assert engine("--check", engine_ports_allow=allow) == 1
    assert stranger.reaches(address)
    assert engine(engine_ports_allow=allow) == 1
    assert friend.reaches(address)
    assert not stranger.reaches(address)
    assert engine() == 0
    assert not stranger.reaches(address)
    assert engine(engine_ports_state="absent") == 1
    assert stranger.reaches(address)


def test_the_hosts_start_brings_it_back_before_the_engine(debian13):
    host = debian13
    host.sh("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    with street(host) as name, client(name) as friend, client(name) as stranger:
        web(host, "after", "--restart unless-stopped --publish 0.0.0.0:8088:80")
        try:
            host.module("published_ports", allow=[{"from": friend.address}])
            docker("restart", host.name)
            until(lambda: host.sh("systemctl is-active docker", check=False) == "active")
            assert "status=0" in host.sh("systemctl show docker --property ExecStartPre")
            until(lambda: friend.reaches(address_of(host, name), 8088))
            assert not stranger.reaches(address_of(host, name), 8088)
            assert not host.module("published_ports", allow=[{"from": friend.address}])["changed"]

            # Taken away without a word to systemd, which still knows the drop-in: the engine starts all the same.
            host.module("published_ports", state="absent")
            host.sh("systemctl restart docker")
            assert host.sh("systemctl is-active docker") == "active"
            until(lambda: stranger.reaches(address_of(host, name), 8088))
        finally:
            host.sh("docker rm --force after")
            host.module("published_ports", state="absent")
