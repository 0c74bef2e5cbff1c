# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workspaces that the inventory gives a host run there, healthy, and answer."""

from __future__ import annotations

import json
import time

testinfra_hosts = ["codeopen"]


# After the engine's restart a running container's health is unknown until its next check.
CHECKED_SECONDS = 60


def becomes_healthy(host, identifier):
    deadline = time.monotonic() + CHECKED_SECONDS
    while True:
        status = host.check_output(f"docker inspect --format '{{{{.State.Health.Status}}}}' {identifier}")
        if status != "starting" or time.monotonic() > deadline:
            return status == "healthy"
        time.sleep(1)


def test_the_hosts_workspaces_are_healthy_and_answer_only_with_a_password(host):
    wanted = {entry["name"] for entry in host.ansible.get_variables()["codeopen_workspaces"]}
    running = host.check_output("docker ps --filter label=codeopen.workspace --format '{{.ID}}'").split()
    found = {}
    for identifier in running:
        there = json.loads(host.check_output(f"docker inspect {identifier}"))[0]
        found[there["Config"]["Labels"]["codeopen.workspace"]] = there
    assert set(found) == wanted
    for there in found.values():
        assert becomes_healthy(host, there["Id"])
        [port] = there["NetworkSettings"]["Ports"]["4096/tcp"]
        assert port["HostIp"] == "127.0.0.1"
        ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{port['HostPort']}/')"
        assert "HTTP Error 401" in host.run(f'python3 -c "{ask}"').stderr
