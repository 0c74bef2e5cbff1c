# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true of every host after the playbooks: asked of the running engine, not read from files."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

testinfra_hosts = ["codeopen"]
INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
CONVERGE = os.environ["CODEOPEN_CONVERGE"]


@pytest.fixture
def info(host):
    return json.loads(host.check_output("docker info --format '{{json .}}'"))


def test_systemd_runs_the_engine(host):
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled


def test_the_engine_runs_with_the_settings(info):
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == "json-file"
    assert info["Warnings"] is None or not any("insecure" in warning for warning in info["Warnings"])


def test_a_container_gets_the_hardened_defaults(host):
    host.run("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    name = host.check_output("docker create --publish 80 --network bridge counter /bin/busybox sleep 60")
    try:
        host.check_output(f"docker start {name}")
        there = json.loads(host.check_output(f"docker inspect {name}"))[0]
        assert there["HostConfig"]["LogConfig"]["Config"]["max-size"] == "10m"
        limits = host.check_output(f"docker exec {name} /bin/busybox cat /proc/1/limits")
        # The host's own limit may be lower.
        soft, hard = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()
        assert int(soft) <= 65536
        assert int(hard) <= 524288
        assert host.run("pgrep docker-proxy").rc == 1
    finally:
        host.run(f"docker rm --force {name}")


def test_check_mode_predicts_no_change():
    done = subprocess.run(
        ["ansible-playbook", "--check", "--inventory", INVENTORY, CONVERGE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"\bchanged=(\d+)", done.stdout)) == {"0"}, done.stdout
