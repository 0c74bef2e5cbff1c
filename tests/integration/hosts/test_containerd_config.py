# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""daemon_config on TOML: the real containerd reads what it wrote, restarts with it, and gets the old file back."""

from __future__ import annotations

import pytest
import tomllib

pytestmark = pytest.mark.engine

PATH = "/etc/containerd/config.toml"
# As `containerd config default` lays it out, with what a person added.
FOREIGN = """\
# By hand; see the wiki.
version = 2
imports = ["conf.d/*.toml"] # ours

[plugins]

  # The garbage collector.
  [plugins."io.containerd.gc.v1.scheduler"]
    deletion_threshold = 0 # never
    startup_delay = "100ms"

  # Its monitor.
  [plugins."io.containerd.monitor.v1.cgroups"]
    no_prometheus = true
"""
WISHES = {
    "engine": "containerd",
    "config": {
        "oom_score": -500,
        "plugins": {
            "io.containerd.gc.v1.scheduler": {"startup_delay": "10s"},
            "io.containerd.runtime.v1.linux": {"shim_debug": True},
        },
    },
    "absent": [["plugins", "io.containerd.monitor.v1.cgroups"]],
}
WRITTEN = """\
# By hand; see the wiki.
version = 2
imports = ["conf.d/*.toml"] # ours
oom_score = -500

[plugins]

  # The garbage collector.
  [plugins."io.containerd.gc.v1.scheduler"]
    deletion_threshold = 0 # never
    startup_delay = "10s"

  [plugins."io.containerd.runtime.v1.linux"]
    shim_debug = true

  # Its monitor.
"""


@pytest.fixture
def settled(host):
    """A host with a foreign file that its containerd has read, instead of the package's own."""
    host.sh(f"mkdir -p /etc/containerd /srv/old && (mv {PATH}* /srv/old || true)")
    host.sh(f"cat > {PATH} <<'END'\n{FOREIGN}END")
    restart(host)
    yield host
    host.sh(f"rm -f {PATH}* && (mv /srv/old/config.toml* /etc/containerd || true)")
    restart(host)


def restart(host):
    # One start more than systemd lets pass in its short time is no failure of containerd.
    host.sh("[ ! -d /run/systemd/system ] || { systemctl reset-failed containerd; systemctl restart containerd; }")


def dumped(host):
    """What containerd itself makes of the file."""
    return tomllib.loads(host.sh(f"containerd --config {PATH} config dump"))


def test_containerd_reads_what_was_merged_and_what_was_there(settled):
    host = settled
    told = host.module("daemon_config", "--check", "--diff", "-vvv", **WISHES)
    assert host.read(PATH) == FOREIGN
    done = host.module("daemon_config", "--diff", "-vvv", **WISHES)
    assert told["diff"] == done["diff"]
    assert host.read(PATH) == done["diff"]["after"] == WRITTEN
    assert host.read(done["backup_file"]) == FOREIGN
    config = dumped(host)
    assert config["oom_score"] == -500
    scheduler = config["plugins"]["io.containerd.gc.v1.scheduler"]
    assert (scheduler["startup_delay"], scheduler["deletion_threshold"]) == ("10s", 0)
    again = host.module("daemon_config", **WISHES)
    assert not again["changed"]
    assert host.read(PATH) == WRITTEN


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"grpc": {"max_recv_message_size": "much"}},
            "containerd refuses it (the changed key is grpc.max_recv_message_size)",
        ),
        ({"version": 7}, "unsupported config version"),
        ({"imports": ["gone.toml"]}, "/etc/containerd/gone.toml"),
    ],
)
def test_what_containerd_refuses_is_not_written(settled, config, words):
    result = settled.module("daemon_config", engine="containerd", config=config)
    assert result["failed"], result
    assert words in result["msg"]
    assert PATH in result["msg"]
    assert settled.read(PATH) == FOREIGN


def test_invalid_toml_is_left_alone(settled):
    settled.sh(f"echo '[broken' >> {PATH}")
    result = settled.module("daemon_config", **WISHES)
    assert result["failed"], result
    assert f"{PATH} is not valid TOML" in result["msg"]
    assert "line 15, column 8" in result["msg"]
    assert settled.read(PATH) == FOREIGN + "[broken\n"


@pytest.fixture
def counting(debian13):
    """A container that goes on counting."""
    host = debian13
    host.sh("docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter")
    count = "i=0; while :; do i=$((i+1)); echo $i; /bin/busybox sleep 0.1; done"
    host.sh(f"docker run --detach --network none --name containerd-counter counter /bin/busybox sh -c '{count}'")
    yield lambda: int(host.sh("docker logs --tail 1 containerd-counter"))
    host.sh("docker rm --force containerd-counter")


@pytest.mark.parametrize("host", ["debian13"], indirect=True)
def test_containerd_is_restarted_once_and_containers_go_on(settled, counting):
    host = settled
    pid = host.sh("systemctl show --value --property MainPID containerd")
    assert host.module("daemon_config", **WISHES)["restart_needed"]
    before = counting()
    result = host.module("daemon_config", engine="containerd", apply="auto")
    assert (result["applied"], result["restart_needed"]) == ("restart", False), result
    assert host.sh("systemctl show --value --property MainPID containerd") != pid
    assert not host.module("daemon_config", apply="auto", **WISHES)["changed"]
    assert counting() > before
    assert host.sh("docker run --rm --network none counter /bin/busybox echo new") == "new"


@pytest.mark.parametrize("host", ["debian13"], indirect=True)
def test_a_configuration_that_containerd_does_not_start_with_is_put_back(settled, counting):
    host = settled
    result = host.module(
        "daemon_config", engine="containerd", config={"root": "/proc/none"}, apply="auto", apply_timeout=10
    )
    assert result["failed"], result
    assert "the changed key is root" in result["msg"]
    assert "runs with it again" in result["msg"]
    assert host.read(PATH) == FOREIGN
    assert host.sh("systemctl is-active containerd") == "active"
    before = counting()
    host.sh("sleep 0.5")
    assert counting() > before
