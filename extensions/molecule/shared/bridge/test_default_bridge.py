# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The default bridge of an engine that started with its settings before any container ran."""

from __future__ import annotations

import json

testinfra_hosts = ["codeopen"]


def test_a_port_without_an_address_is_for_the_host_alone(host):
    host.run("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    name = host.check_output("docker run --detach --publish 80 --network bridge counter /bin/busybox sleep 60")
    try:
        there = json.loads(host.check_output(f"docker inspect {name}"))[0]
        assert {port["HostIp"] for port in there["NetworkSettings"]["Ports"]["80/tcp"]} == {"127.0.0.1"}
    finally:
        host.run(f"docker rm --force {name}")


def test_containers_on_the_default_bridge_do_not_reach_each_other(host):
    host.run("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    server = host.check_output("docker run --detach counter /bin/busybox httpd -f -p 80 -h /bin")
    try:
        address = host.check_output(
            f"docker inspect --format '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}' {server}"
        )
        fetch = f"/bin/busybox timeout 5 /bin/busybox wget -q -O /dev/null http://{address}/busybox"
        ask = f"counter /bin/busybox sh -c '{fetch}; exit $?'"
        # A first process ignores the signal of `timeout`, so a shell is that. From the server's own network it is
        # reached, so the other container's failure is the engine's doing.
        assert host.run(f"docker run --rm --network container:{server} {ask}").rc == 0
        assert host.run(f"docker run --rm {ask}").rc != 0
    finally:
        host.run(f"docker rm --force {server}")
