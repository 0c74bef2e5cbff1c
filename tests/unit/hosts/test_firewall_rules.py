# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that come of who may reach published ports: what they let pass, and how they come in and go."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import (
    PROTOCOLS,
    admissions,
    stands_for,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import (
    CHAIN,
    INTERFACES,
    JUMP,
    parse,
    read,
    rules,
    script,
    wanted,
)
from hypothesis import given
from hypothesis import strategies as st

ENGINE = """\
-P INPUT ACCEPT
-P FORWARD DROP
-N DOCKER
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A DOCKER-USER -i eth0 -s 203.0.113.9/32 -j DROP
-A DOCKER-USER -j RETURN
"""


def addresses(version):
    bits = 32 if version == 4 else 128
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    # Few values, so that lists and packets meet.
    return st.integers(0, 7).flatmap(
        lambda low: st.integers(0, 3).map(lambda high: kind((0x20 + high) << (bits - 8) | low))
    )


PORTS = st.integers(1, 65535) | st.sampled_from([1, 80, 8000, 8050, 8100, 65535])
RANGES = PORTS.map(str) | st.tuples(PORTS, PORTS).map(lambda pair: f"{min(pair)}-{max(pair)}")


@st.composite
def entries(draw):
    address = draw(st.sampled_from([4, 6]).flatmap(addresses))
    length = draw(st.sampled_from([0, 1, 8, 24, 31, 32] + ([64, 128] if address.version == 6 else [])))
    entry = {"from": str(ipaddress.ip_network((address, length), strict=False))}
    if draw(st.booleans()):
        entry["ports"] = draw(st.lists(RANGES, min_size=1, max_size=3))
    if draw(st.booleans()):
        entry["protocol"] = draw(st.sampled_from(PROTOCOLS))
    return entry


LISTS = st.lists(entries(), max_size=6)


@st.composite
def packets(draw):
    version = draw(st.sampled_from([4, 6]))
    return {
        "version": version,
        "source": draw(addresses(version)),
        "port": draw(PORTS),
        "protocol": draw(st.sampled_from(PROTOCOLS)),
        "comes_by": draw(st.sampled_from(["eth0", "docker0", "br-0123456789ab"])),
        "goes_by": draw(st.sampled_from(["eth0", "docker0", "br-0123456789ab", "shop0"])),
        "direction": draw(st.sampled_from(["ORIGINAL", "REPLY"])),
        "states": draw(st.sampled_from([set(), {"DNAT"}, {"RELATED"}, {"RELATED", "DNAT"}])),
    }


def meets(rule, packet):
    """What the kernel does with one rule."""
    first, _colon, last = rule.ports.partition(":")
    return (
        (not rule.source or packet["source"] in ipaddress.ip_network(rule.source))
        and (not rule.comes_by or stands_for(rule.comes_by, packet["comes_by"]))
        and (not rule.goes_by or stands_for(rule.goes_by, packet["goes_by"]))
        and (not rule.protocol or rule.protocol == packet["protocol"])
        and (not rule.state or rule.state in packet["states"])
        and (not rule.ports or int(first) <= packet["port"] <= int(last or first))
        and (not rule.direction or rule.direction == packet["direction"])
    )


def passes(chain, packet):
    return next((rule.target for rule in chain if meets(rule, packet)), "RETURN") == "RETURN"


def is_listed(allow, packet):
    """The list as a person reads it."""
    return any(
        packet["source"].version == ipaddress.ip_network(entry["from"]).version
        and packet["source"] in ipaddress.ip_network(entry["from"])
        and entry.get("protocol", packet["protocol"]) == packet["protocol"]
        and any(
            int(text.split("-")[0]) <= packet["port"] <= int(text.split("-")[-1])
            for text in entry.get("ports", ["1-65535"])
        )
        for entry in allow
    )


@given(allow=LISTS, packet=packets())
def test_what_passes_is_what_the_list_says(allow, packet):
    chain = rules(admissions(allow), INTERFACES, packet["version"])
    inner = packet["comes_by"] != "eth0"
    answer = packet["direction"] == "REPLY" or "RELATED" in packet["states"]
    to_containers = "DNAT" in packet["states"] or packet["goes_by"] in ("docker0", "br-0123456789ab")
    by_published_port = "DNAT" in packet["states"] and is_listed(allow, packet)
    assert passes(chain, packet) == (inner or answer or not to_containers or by_published_port)


@given(allow=LISTS, version=st.sampled_from([4, 6]))
def test_a_rule_that_is_printed_is_read_as_itself(allow, version):
    for rule in rules(admissions(allow), INTERFACES, version):
        assert parse(rule.render()) == rule


@given(allow=LISTS, shuffle=st.randoms())
def test_the_order_and_doubles_of_the_list_change_nothing(allow, shuffle):
    again = allow + allow[:2]
    shuffle.shuffle(again)
    assert admissions(again) == admissions(allow)


class Kernel:
    """A stand-in for the table filter: runs what iptables-restore --noflush gets."""

    def __init__(self, listing):
        self.lines = listing.splitlines()

    def listing(self):
        return "".join(f"{line}\n" for line in self.lines)

    def restore(self, text):
        first, *commands, last = text.splitlines()
        assert (first, last) == ("*filter", "COMMIT")
        for command in commands:
            word, chain = command.split()[:2]
            if word.startswith(":"):
                self.lines = [line for line in self.lines if not line.startswith(f"-A {word[1:]} ")]
                if f"-N {word[1:]}" not in self.lines:
                    self.lines.append(f"-N {word[1:]}")
            elif word == "-A":
                self.lines.append(command)
            elif word == "-D":
                self.lines.remove(f"-A{command[2:]}")
            elif word == "-I":
                rest = f"-A {chain} {command.split(' 1 ')[1]}"
                where = [number for number, line in enumerate(self.lines) if line.startswith(f"-A {chain} ")]
                self.lines.insert(where[0] if where else len(self.lines), rest)
            else:
                assert word == "-X"
                assert not [
                    line for line in self.lines if line.startswith(f"-A {chain} ") or line.endswith(f"-j {chain}")
                ]
                self.lines.remove(f"-N {chain}")


def bring(kernel, entries):
    """One run: whether it changed something."""
    before = read(kernel.listing())
    after = wanted(before, entries)
    if after is not before:
        kernel.restore(script(before, after))
        # What the difference shows is what is there.
        assert read(kernel.listing()).text() == after.text()
    return after is not before


@given(first=LISTS, second=LISTS, version=st.sampled_from([4, 6]))
def test_runs_end_with_the_last_list_and_leave_no_trace_when_taken_away(first, second, version):
    kernel = Kernel(ENGINE)
    for allow in (first, second):
        chain = rules(admissions(allow), INTERFACES, version)
        bring(kernel, chain)
        assert [parse(line) for line in read(kernel.listing()).ours] == chain
        assert not bring(kernel, chain)
    assert bring(kernel, None)
    assert not bring(kernel, None)
    assert kernel.listing() == ENGINE


@pytest.mark.parametrize(
    "meddled",
    [
        pytest.param(lambda lines: [line for line in lines if line != JUMP], id="the jump is gone"),
        pytest.param(lambda lines: [*lines, JUMP], id="the jump is there twice"),
        pytest.param(
            lambda lines: ["-A DOCKER-USER -i eth0 -j ACCEPT" if line == JUMP else line for line in lines] + [JUMP],
            id="the jump is not first",
        ),
        pytest.param(
            lambda lines: [line for line in lines if not line.endswith("DROP") or CHAIN not in line],
            id="a rule is gone",
        ),
        pytest.param(
            lambda lines: [*lines, f"-A {CHAIN} -m comment --comment hello -j ACCEPT"], id="a rule is not ours"
        ),
        pytest.param(
            lambda lines: [*lines, f"-A {CHAIN} ! -s 10.0.0.0/8 -j ACCEPT"], id="a rule is the other way round"
        ),
        pytest.param(lambda lines: [line for line in lines if CHAIN not in line], id="the chain is gone"),
    ],
)
def test_what_somebody_changed_by_hand_is_put_right(meddled):
    chain = rules(admissions([{"from": "10.0.0.0/8"}]), INTERFACES, 4)
    kernel = Kernel(ENGINE)
    bring(kernel, chain)
    right = read(kernel.listing())
    kernel.lines = meddled(kernel.lines)
    assert bring(kernel, chain)
    now = read(kernel.listing())
    assert now.ours == right.ours
    assert now.user[0] == JUMP
    assert now.user.count(JUMP) == 1
    assert set(right.user) <= set(now.user)


def test_another_spelling_of_the_same_network_is_no_change():
    chain = rules(admissions([{"from": "::102:304"}]), INTERFACES, 6)
    kernel = Kernel(ENGINE)
    bring(kernel, chain)
    kernel.lines = [line.replace("::102:304/128", "::1.2.3.4/128") for line in kernel.lines]
    assert "::1.2.3.4/128" in kernel.listing()
    assert not bring(kernel, chain)


def test_the_engines_chain_is_made_where_it_has_none_and_goes_with_ours():
    bare = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n"
    kernel = Kernel(bare)
    assert bring(kernel, rules([], INTERFACES, 6))
    assert not read(kernel.listing()).used
    assert JUMP in kernel.listing()
    assert bring(kernel, None)
    assert kernel.listing() == bare
