# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host matters to its filter, and the script for its start."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import admissions, rules
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_boot import boot_script
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_iptables import (
    host_has_ipv6,
    outward_interfaces,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import INTERFACES, PORTS


@pytest.fixture
def host(tmp_path):
    """A folder like a host's /, with a card that is a port of the bridge br-lan."""
    net = tmp_path / "sys/class/net"
    for name in ("lo", "eth1", "br-lan", "docker0", "veth1", "wlan0"):
        (net / name).mkdir(parents=True)
    (net / "eth1/device").mkdir()
    (net / "eth1/master").symlink_to("../br-lan")
    (net / "veth1/master").symlink_to("../docker0")
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "wlan0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    return tmp_path


def test_interfaces_that_lead_outside_are_found(host):
    assert outward_interfaces(str(host)) == {"eth1", "br-lan", "wlan0"}
    zero = "0" * 32
    (host / "proc/net/ipv6_route").write_text(
        f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        f"{zero} 00 {zero} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003    wwan0\n"
        f"fe80{'0' * 28} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001  docker0\n"
    )
    assert outward_interfaces(str(host)) == {"eth1", "br-lan", "wlan0", "wwan0"}


@pytest.mark.parametrize(
    ("names", "has"), [(["lo"], False), (["lo", "docker0", "veth12"], False), (["lo", "eth0"], True)]
)
def test_ipv6_is_looked_for_where_other_machines_are(host, names, has):
    (host / "proc/net/if_inet6").write_text("".join(f"{'0' * 32} 01 40 20 80 {name:>8}\n" for name in names))
    assert host_has_ipv6(INTERFACES, str(host / "proc")) == has


def test_a_host_without_ipv6_has_none(host):
    assert not host_has_ipv6(INTERFACES, str(host / "proc"))


STAND_IN_IPTABLES = """\
#!/bin/sh
# Stands in for iptables: notes how it was called, and says that the rule is not there yet.
echo "$(basename "$0") $*" >>"$CALLS"
case $0 in *-restore) cat >>"$CALLS" ;; esac
case $* in *-C*) exit 1 ;; esac
"""


def test_the_script_of_the_hosts_start_loads_the_chain_and_leads_to_it(tmp_path):
    for name in ("iptables", "iptables-restore", "ip6tables", "ip6tables-restore"):
        (tmp_path / name).write_text(STAND_IN_IPTABLES)
        (tmp_path / name).chmod(0o755)
    chain = rules(admissions([{"from": "10.0.0.0/8"}]), INTERFACES, 4)
    (tmp_path / "boot.sh").write_text(boot_script(PORTS, {4: chain}))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    subprocess.run(["sh", str(tmp_path / "boot.sh")], env=environment, check=True)
    assert (tmp_path / "calls").read_text().splitlines() == [
        "iptables-restore --noflush --wait",
        "*filter",
        f":{PORTS.chain} - [0:0]",
        *(rule.render(PORTS.chain) for rule in chain),
        "COMMIT",
        "iptables --wait -N DOCKER-USER",
        f"iptables --wait -C DOCKER-USER -j {PORTS.chain}",
        f"iptables --wait -I DOCKER-USER -j {PORTS.chain}",
    ]
