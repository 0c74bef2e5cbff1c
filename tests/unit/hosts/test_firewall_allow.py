# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in who may reach published ports, each told with what is right."""

from __future__ import annotations

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import (
    FirewallError,
    admissions,
    check_interfaces,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import INTERFACES


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "allow[0] has no 'from', expected an address or a network, such as 10.0.0.0/8"),
        ({"from": "office"}, "allow[0].from is 'office', expected an address or a network"),
        ({"from": "10.0.0/8"}, "allow[0].from is '10.0.0/8', expected an address or a network"),
        ({"from": "10.0.0.0/33"}, "allow[0].from is '10.0.0.0/33', expected an address or a network"),
        ({"from": "10.1.2.3/8"}, "write 10.0.0.0/8 for all of it, or 10.1.2.3 for that address alone"),
        ({"from": "2001:db8::7/32"}, "write 2001:db8::/32 for all of it, or 2001:db8::7 for that address alone"),
        ({"from": "10.0.0.0/255.0.0.0"}, "expected the length of its prefix after the slash: 10.0.0.0/8"),
        ({"from": "::ffff:10.0.0.0/104"}, "which no packet has as its source; write 10.0.0.0/8"),
        ({"from": "fe80::1%eth0"}, "but the filter sees no zones; write fe80::1"),
        ({"from": "10.0.0.1", "ports": []}, "allow[0].ports is empty; name a port, or leave 'ports' out"),
        ({"from": "10.0.0.1", "ports": ["http"]}, "allow[0].ports has 'http', expected a port or a range"),
        ({"from": "10.0.0.1", "ports": ["-1"]}, "allow[0].ports has '-1', expected a port or a range"),
        ({"from": "10.0.0.1", "ports": ["0"]}, "lowest first; the nearest is 1"),
        ({"from": "10.0.0.1", "ports": ["65536"]}, "lowest first; the nearest is 65535"),
        ({"from": "10.0.0.1", "ports": ["8100-8000"]}, "lowest first; the nearest is 8000-8100"),
        ({"from": "10.0.0.1", "ports": ["8000-80000"]}, "lowest first; the nearest is 8000-65535"),
        ({"from": "10.0.0.1", "ports": ["8000:8100"]}, "allow[0].ports has '8000:8100'; write 8000-8100"),
        ({"from": "10.0.0.1", "protocol": "tpc"}, "allow[0]: unknown protocol 'tpc'; did you mean 'tcp'?"),
    ],
)
def test_a_mistake_is_told_with_what_is_right(entry, said):
    with pytest.raises(FirewallError) as caught:
        admissions([entry])
    assert said in str(caught.value)
    assert len(caught.value.problems) == 1


def test_all_mistakes_are_told_at_once():
    with pytest.raises(FirewallError) as caught:
        admissions(
            [{"from": "10.0.0.1"}, {"from": "10.0.0.1/8", "ports": ["0", "x"], "protocol": "TCP"}, {"from": "y"}]
        )
    assert len(caught.value.problems) == 5
    assert str(caught.value).startswith("5 mistakes in who may reach published ports:")


@pytest.mark.parametrize(
    ("patterns", "outward", "said"),
    [
        (["docker0", "br 1"], [], "interfaces has 'br 1', expected the name of a bridge"),
        (["+"], [], "interfaces has '+', expected the name of a bridge"),
        (["a-name-of-sixteen"], [], "interfaces has 'a-name-of-sixteen'"),
        ([], [], "interfaces is empty"),
        (["docker0", "br-+"], ["br-lan", "eth0"], "interfaces has 'br-+', which stands for br-lan too"),
        (["eth0"], ["eth0"], "interfaces has 'eth0', which stands for eth0 too"),
    ],
)
def test_interfaces_that_let_the_network_in_are_refused(patterns, outward, said):
    with pytest.raises(FirewallError) as caught:
        check_interfaces(patterns, outward)
    assert said in str(caught.value)


def test_the_engines_own_interfaces_are_fine():
    check_interfaces(INTERFACES, ["eth0", "lan0", "bridge0"])
