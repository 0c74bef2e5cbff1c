# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that come of who may reach published ports: what they let pass, and how they come in and go."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import firewall_metadata
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import (
    PROTOCOLS,
    admissions,
    rules,
    stands_for,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import (
    INTERFACES,
    METADATA,
    PORTS,
    parse,
    read,
    script,
    wanted,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import bridge_name
from hypothesis import given
from hypothesis import strategies as st

CHAIN, JUMP = PORTS.chain, PORTS.jump
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


NUMBERS = st.integers(1, 65535) | st.sampled_from([1, 80, 8000, 8050, 8100, 65535])
RANGES = NUMBERS.map(str) | st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"{min(pair)}-{max(pair)}")


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
        "port": draw(NUMBERS),
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
        and (not rule.destination or packet["destination"] in ipaddress.ip_network(rule.destination))
        and (not rule.comes_by or stands_for(rule.comes_by, packet["comes_by"]))
        and (not rule.goes_by or stands_for(rule.goes_by, packet["goes_by"]))
        and (not rule.protocol or rule.protocol == packet["protocol"])
        and (not rule.port or packet["port"] == int(rule.port))
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
        assert parse(rule.render(CHAIN), CHAIN) == rule


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


def bring(kernel, entries, guard=PORTS):
    """One run: whether it changed something."""
    before = read(kernel.listing(), guard)
    after = wanted(before, entries)
    if after is not before:
        kernel.restore(script(before, after))
        # What the difference shows is what is there.
        assert read(kernel.listing(), guard).text() == after.text()
    return after is not before


@given(first=LISTS, second=LISTS, version=st.sampled_from([4, 6]))
def test_runs_end_with_the_last_list_and_leave_no_trace_when_taken_away(first, second, version):
    kernel = Kernel(ENGINE)
    for allow in (first, second):
        chain = rules(admissions(allow), INTERFACES, version)
        bring(kernel, chain)
        assert [parse(line, CHAIN) for line in read(kernel.listing(), PORTS).ours] == chain
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
    right = read(kernel.listing(), PORTS)
    kernel.lines = meddled(kernel.lines)
    assert bring(kernel, chain)
    now = read(kernel.listing(), PORTS)
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
    assert not read(kernel.listing(), PORTS).used
    assert JUMP in kernel.listing()
    assert bring(kernel, None)
    assert kernel.listing() == bare


OWNERS = st.lists(st.sampled_from(["alice", "bob", "carol"]), max_size=3)
SERVICES = [ipaddress.ip_address(address) for address in firewall_metadata.ADDRESSES]


def metadata_rules(owners, version):
    bridges = firewall_metadata.bridges_of(owners, "/var/lib/codeopen")
    return firewall_metadata.rules(firewall_metadata.ADDRESSES, firewall_metadata.INTERFACES, bridges, version)


@st.composite
def questions(draw):
    """A packet from somewhere on the host to somewhere."""
    bridge = st.sampled_from(["alice", "bob"]).map(lambda owner: bridge_name("/var/lib/codeopen", owner))
    return {
        "destination": draw(st.sampled_from(SERVICES) | addresses(4) | addresses(6)),
        "comes_by": draw(st.sampled_from(["eth0", "virbr0", "docker0", "docker_gwbridge", "br-0123456789ab"]) | bridge),
        "protocol": draw(st.sampled_from(PROTOCOLS)),
        "port": draw(st.sampled_from([53, 80, 443, 8080])),
        "source": None,
        "goes_by": "eth0",
        "direction": "ORIGINAL",
        "states": set(),
    }


@given(owners=OWNERS, packet=questions())
def test_metadata_services_are_refused_to_workspaces_but_those_of_named_owners(owners, packet):
    chain = metadata_rules(owners, packet["destination"].version)
    to_service = packet["destination"] in SERVICES and packet["protocol"] == "tcp" and packet["port"] != 53
    by_workspace = packet["comes_by"] not in ("eth0", "virbr0", "docker0", "br-0123456789ab")
    allowed = packet["comes_by"] in firewall_metadata.bridges_of(owners, "/var/lib/codeopen")
    assert passes(chain, packet) == (not to_service or not by_workspace or allowed)


@given(owners=OWNERS, version=st.sampled_from([4, 6]))
def test_a_metadata_rule_that_is_printed_is_read_as_itself(owners, version):
    for rule in metadata_rules(owners, version):
        assert parse(rule.render(METADATA.chain), METADATA.chain) == rule


@given(
    steps=st.lists(st.tuples(st.sampled_from([PORTS, METADATA]), st.booleans()), max_size=6),
    version=st.sampled_from([4, 6]),
)
def test_both_guards_come_and_go_without_disturbing_each_other(steps, version):
    kernel, entries = (
        Kernel(ENGINE),
        {PORTS: rules([], INTERFACES, version), METADATA: metadata_rules(["bob"], version)},
    )
    there = set()
    for guard, stays in steps:
        bring(kernel, entries[guard] if stays else None, guard)
        there = there | {guard} if stays else there - {guard}
        for other in there:
            assert not bring(kernel, entries[other], other), "the other guard would change it back"
            assert read(kernel.listing(), other).user.index(other.jump) < len(there)
    for guard in (PORTS, METADATA):
        bring(kernel, None, guard)
    assert kernel.listing() == ENGINE


def test_a_rule_of_others_before_both_guards_is_put_after_them():
    kernel = Kernel(ENGINE)
    for guard, entries in ((PORTS, rules([], INTERFACES, 4)), (METADATA, metadata_rules([], 4))):
        bring(kernel, entries, guard)
    kernel.restore("*filter\n-I DOCKER-USER 1 -j ACCEPT\nCOMMIT\n")
    for guard, entries in ((PORTS, rules([], INTERFACES, 4)), (METADATA, metadata_rules([], 4))):
        assert bring(kernel, entries, guard)
    assert set(read(kernel.listing(), PORTS).user[:2]) == {PORTS.jump, METADATA.jump}


def test_mistakes_about_metadata_services_are_told_together():
    with pytest.raises(firewall_metadata.MetadataError) as error:
        firewall_metadata.check(["169.254.169.254", "metadata.google"], ["br-+", "a bridge"], ["alice", "Bob"])
    assert str(error.value).splitlines() == [
        "3 mistakes in which containers reach metadata services:",
        "- addresses has 'metadata.google', expected the address of a metadata service, such as 169.254.169.254",
        "- interfaces has 'a bridge', expected the name of a bridge, such as docker0, or how names begin, such as br-+",
        "- allow has 'Bob', expected the owner of workspaces: lower-case letters, digits and single hyphens between them",
    ]
    with pytest.raises(firewall_metadata.MetadataError, match="addresses is empty"):
        firewall_metadata.check([], ["docker0"], [])
