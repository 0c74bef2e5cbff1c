# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers that ran before never stopped, and foreign settings are still there."""

from __future__ import annotations

import json
import time

testinfra_hosts = ["codeopen"]


def test_the_workspace_and_the_container_never_stopped(host):
    before = host.check_output("cat /root/running").splitlines()
    assert len(before) == 2
    form = "{{.Name}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}"
    for line in before:
        assert host.check_output(f"docker inspect --format '{form}' {line.split()[0]}") == line


def test_the_container_goes_on_counting(host):
    before = host.check_output("docker logs --tail 1 counting")
    time.sleep(1)
    assert int(host.check_output("docker logs --tail 1 counting")) > int(before)


def test_the_engine_was_restarted_with_the_new_settings(host):
    started = host.check_output("stat --format %Y /run/docker.pid")
    assert int(started) > int(host.check_output("stat --format %Y /root/running"))


def test_foreign_settings_are_still_there(host):
    assert json.loads(host.check_output("docker info --format '{{json .Labels}}'")) == ["owner=somebody"]
    # These two the engine does not tell.
    config = json.loads(host.check_output("cat /etc/docker/daemon.json"))
    assert config["max-concurrent-downloads"] == 7
    assert config["features"] == {"buildkit": True}


def test_the_default_bridge_waits_for_a_start_without_containers(host):
    options = json.loads(host.check_output("docker network inspect --format '{{json .Options}}' bridge"))
    assert options["com.docker.network.bridge.enable_icc"] == "true"
