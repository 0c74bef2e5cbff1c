# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on a real engine: reload, restart with containers that go on, and the old file put back."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.engine

PATH = "/etc/docker/daemon.json"
FOREIGN = '{\n  "features": {\n    "buildkit": true\n  },\n  "max-download-attempts": 4\n}\n'


def engine_pid(host):
    return host.sh("cat /var/run/docker.pid")


def info(host, template):
    return json.loads(host.sh("docker info --format '{{json " + template + "}}'"))


@pytest.fixture
def settled(host):
    """The host with a foreign file that its engine has read, and live-restore on."""
    host.sh(f"mkdir -p /etc/docker && rm -f {PATH}*")
    host.sh(f"cat > {PATH} <<'END'\n{FOREIGN}END")
    result = host.module("daemon_config", config={"live-restore": True}, apply="restart")
    assert not result["failed"], result
    assert info(host, ".LiveRestoreEnabled")
    return host


@pytest.fixture
def counter(settled):
    """A container that counts, and a function that answers its count, process and starts."""
    host = settled
    host.sh("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    count = "i=0; while :; do i=$((i+1)); echo $i; /bin/busybox sleep 0.1; done"
    host.sh(f"docker run --detach --network none --name counter counter /bin/busybox sh -c '{count}'")

    def look():
        lines = host.sh("docker logs counter").split()
        pid, started, restarts = host.sh(
            "docker inspect --format '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' counter"
        ).split()
        assert [int(line) for line in lines] == list(range(1, len(lines) + 1))
        return len(lines), (pid, started, restarts)

    yield look
    host.sh("docker rm --force counter")


def test_a_reload_keeps_the_process(settled):
    host = settled
    pid = engine_pid(host)
    result = host.module("daemon_config", config={"labels": ["gpu=none"]}, apply="auto")
    assert result["applied"] == "reload", result
    assert engine_pid(host) == pid
    assert info(host, ".Labels") == ["gpu=none"]
    config = json.loads(host.read(PATH))
    assert config["features"] == {"buildkit": True}
    assert config["max-download-attempts"] == 4
    assert host.read(result["backup_file"]).startswith("{\n  ")


def test_the_second_run_changes_nothing(settled):
    host = settled
    wishes = {"config": {"debug": True, "log-opts": {"max-size": "5m"}}, "apply": "auto"}
    assert host.module("daemon_config", **wishes)["changed"]
    text, pid = host.read(PATH), engine_pid(host)
    again = host.module("daemon_config", **wishes)
    assert (again["changed"], again["applied"]) == (False, "none")
    assert (host.read(PATH), engine_pid(host)) == (text, pid)


def test_check_mode_tells_what_the_run_does(settled):
    host = settled
    wishes = {"config": {"icc": False}, "absent": ["features.buildkit"]}
    before = host.read(PATH)
    told = host.module("daemon_config", "--check", "--diff", "-vvv", **wishes)
    assert host.read(PATH) == before
    done = host.module("daemon_config", "--diff", "-vvv", **wishes)
    assert told["diff"] == done["diff"]
    assert told["diff"]["before"] == before
    assert host.read(PATH) == done["diff"]["after"]
    assert told["restart_needed"]
    assert done["restart_needed"]


def test_containers_go_on_through_a_restart_that_a_handler_makes(counter, settled):
    host = settled
    pid = engine_pid(host)
    before, process = counter()
    assert host.module("daemon_config", config={"icc": False})["restart_needed"]
    assert host.module("daemon_config", config={"userland-proxy": False})["restart_needed"]
    assert engine_pid(host) == pid
    result = host.module("daemon_config", apply="auto")
    assert (result["applied"], result["restart_needed"]) == ("restart", False)
    assert engine_pid(host) != pid
    after, same_process = counter()
    assert after > before
    assert same_process == process


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"data-root": "/proc/none", "debug": False}, "data-root"),
        ({"storage-driver": "zfs", "icc": True}, "storage-driver"),
    ],
)
def test_a_configuration_that_the_engine_does_not_start_with_is_put_back(counter, settled, config, key):
    host = settled
    text = host.read(PATH)
    before, process = counter()
    result = host.module("daemon_config", config=config, apply="auto")
    assert result["failed"], result
    assert key in result["msg"].splitlines()[0]
    assert "runs with it again" in result["msg"]
    assert host.read(PATH) == text
    assert host.sh("docker version --format '{{.Server.Version}}'")
    after, same_process = counter()
    assert after > before
    assert same_process == process


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"userns-remap": "no-such-user", "icc": True}, "it names userns-remap"),
        ({"hosts": ["unix:///run/other.sock"]}, "hosts collides with"),
        ({"live-restor": True}, "did you mean 'live-restore'"),
        ({"log-opts": {"max-size": "10x"}}, "expected a size"),
        pytest.param({"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}, "no such program"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(settled, config, word):
    host = settled
    text, pid = host.read(PATH), engine_pid(host)
    result = host.module("daemon_config", config=config, apply="auto")
    assert result["failed"], result
    assert word in result["msg"]
    assert PATH in result["msg"]
    assert (host.read(PATH), engine_pid(host)) == (text, pid)


def test_a_full_disk_loses_nothing(host):
    host.sh("mkdir -p /mnt/small && mount -t tmpfs -o size=64k none /mnt/small")
    try:
        host.sh(
            """printf '{"icc": true}' > /mnt/small/daemon.json; head -c 100000 /dev/zero > /mnt/small/fill || true"""
        )
        result = host.module("daemon_config", path="/mnt/small/daemon.json", config={"icc": False}, backup=False)
        assert result["failed"], result
        assert "the disk is full" in result["msg"]
        assert host.read("/mnt/small/daemon.json") == '{"icc": true}'
        assert host.sh("ls -A /mnt/small").split() == ["daemon.json", "fill"]
    finally:
        host.sh("umount /mnt/small")


def test_passwords_stay_out_of_the_output(settled):
    host = settled
    done = host.ansible(
        *(host.name, "--diff", "-vvv", "--module-name", "codeopen.workspaces.daemon_config", "--args"),
        json.dumps({"config": {"proxies": {"http-proxy": "http://user:hunter22@proxy:3128"}}}),
    )
    assert done.returncode == 0, done.stderr
    assert "hunter22" not in done.stdout + done.stderr
    assert "hunter22" in host.read(PATH)
