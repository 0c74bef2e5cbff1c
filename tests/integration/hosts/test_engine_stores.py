# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the role engine after which an engine shows other images: a user namespace, containerd's image store."""

from __future__ import annotations

import json

import pytest
from host_machine import inventory_of

pytestmark = pytest.mark.engine


def info(host, template):
    return json.loads(host.sh("docker info --format '{{json " + template + "}}'"))


@pytest.fixture
def engine_with(playbook, debian12, tmp_path):
    """Sets up the engine of the host of Debian 12 with further variables; in the end it is as it was."""
    host = debian12
    path = inventory_of([host], tmp_path)
    before = (info(host, ".SecurityOptions"), info(host, ".Driver"))

    def _engine_with(**variables):
        first = playbook("engine", variables=variables, inventory=path)
        assert first.status == 0, first.output
        assert first.count("changed", host.name) >= 1, first.output
        second = playbook("engine", variables=variables, inventory=path)
        assert second.count("changed", host.name) == 0, second.output
        host.sh("tar -C / -c bin/busybox | docker import - store-test")
        return host

    yield _engine_with
    host.sh("docker image rm --force store-test", check=False)
    result = host.module("daemon_config", absent=["userns-remap", "features.containerd-snapshotter"], apply="auto")
    assert result["applied"] == "restart", result
    assert (info(host, ".SecurityOptions"), info(host, ".Driver")) == before


def test_containers_run_in_a_user_namespace(engine_with):
    host = engine_with(engine_userns_remap="default")
    assert "name=userns" in info(host, ".SecurityOptions")
    # Root in the container is nobody's user on the host.
    seen = host.sh(
        "docker run --rm --network none store-test /bin/busybox sh -c '/bin/busybox id -u; /bin/busybox cat /proc/self/uid_map'"
    )
    inside, first, outside, count = seen.split()
    assert (inside, first) == ("0", "0")
    assert int(outside) >= 65536
    assert host.sh("grep ^dockremap: /etc/subuid").split(":")[1:] == [outside, count]


def test_images_lie_in_containerds_store(engine_with):
    host = engine_with(engine_storage="containerd")
    assert info(host, ".DriverStatus") == [["driver-type", "io.containerd.snapshotter.v1"]]
    assert host.sh("docker run --rm --network none store-test /bin/busybox echo runs") == "runs"
    assert "store-test" in host.sh(
        "ctr --address /var/run/docker/containerd/containerd.sock --namespace moby images list"
    )
