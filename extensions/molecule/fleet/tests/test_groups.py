# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each host runs with the settings of its group, and without those of the other."""

from __future__ import annotations

import json

import pytest

testinfra_hosts = ["codeopen"]


@pytest.fixture
def info(host):
    return json.loads(host.check_output("docker info --format '{{json .}}'"))


def is_builder(host):
    return "builders" in host.ansible.get_variables()["group_names"]


def test_the_builders_engine_keeps_its_data_elsewhere(host, info):
    assert info["Driver"] == "overlay2"
    assert info["DockerRootDir"] == ("/var/lib/docker/builder" if is_builder(host) else "/var/lib/docker")
    assert info.get("DefaultAddressPools") == ([{"Base": "10.200.0.0/16", "Size": 24}] if is_builder(host) else None)


def test_the_teams_hosts_guard_their_ports(host):
    rules = host.run("iptables -S DOCKER-USER").stdout.splitlines()
    assert ("-A DOCKER-USER -j CODEOPEN-PORTS" in rules) == (not is_builder(host))
