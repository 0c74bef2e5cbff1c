# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dockerd --validate lets pass, and which changes need a restart."""

from __future__ import annotations

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import changed_paths
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_checks import check, unknown_keys
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_keys import (
    action_for,
    collisions,
    flags_of,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import (
    config_file_of,
    effective_command,
    find,
    service_commands,
)


def which(name):
    return f"/usr/bin/{name}" if name in ("runc", "crun", "/usr/bin/tini") else None


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"debug": "yes"}, "debug is a text, expected true or false"),
        ({"mtu": True}, "mtu is true or false, expected a number"),
        ({"dns": "1.1.1.1"}, "dns is a text, expected a list"),
        ({"log-opts": {"max-size": "10x"}}, "expected a size, as in 10m"),
        ({"log-opts": {"max-size": 10}}, 'log-opts.max-size is a number, expected a text, as in "10"'),
        ({"log-opts": {"max-file": "0"}}, "at least 1"),
        ({"log-opts": {"max-siz": "1m"}}, "did you mean 'max-size'"),
        ({"log-opts": {"compress": "true"}}, "needs max-size"),
        ({"log-opts": {"mode": "fast"}}, "expected blocking or non-blocking"),
        ({"log-driver": "journald", "log-opts": {"max-size": "1m"}}, "not an option of the log driver journald"),
        ({"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}, "has no such program"),
        ({"runtimes": {"x": {}}}, "neither path nor runtimeType"),
        ({"runtimes": {"x": {"path": "crun", "runtimeType": "y"}}}, "expected one of them"),
        ({"runtimes": {"x": "crun"}}, "expected an object"),
        ({"default-runtime": "nvidia"}, "not in runtimes (known: runc)"),
        ({"bip": "10.0.0.300/24"}, "expected an address with its prefix"),
        ({"bip": "10.0.0.1"}, "expected an address with its prefix"),
        ({"default-address-pools": [{"base": "10.0.0.0/16", "size": 8}]}, "expected 16 to 32"),
        ({"default-address-pools": [{"base": "10.0.0.0/16"}]}, "needs base and size"),
        ({"dns": ["one"]}, "expected an IP address"),
        ({"registry-mirrors": ["mirror.example"]}, "expected http:// or https://"),
        ({"insecure-registries": ["http://r:5000"]}, "without http://"),
        ({"data-root": "docker"}, "expected an absolute path"),
        ({"log-level": "loud"}, "expected one of debug"),
        ({"labels": ["gpu"]}, "expected name=value"),
        ({"init-path": "/no/tini"}, "no such program"),
    ],
)
def test_mistakes_are_found(config, word):
    findings = check(config, which)
    assert len(findings) == 1
    assert word in findings[0].text
    assert findings[0].path[0] in config


def test_a_sound_configuration_has_no_findings():
    assert (
        check(
            {
                "log-driver": "json-file",
                "log-opts": {"max-size": "10m", "max-file": "3", "compress": "true", "labels": "a"},
                "runtimes": {
                    "crun": {"path": "crun", "runtimeArgs": []},
                    "kata": {"runtimeType": "io.containerd.kata.v2"},
                },
                "default-runtime": "crun",
                "bip": "10.9.0.1/24",
                "default-address-pools": [{"base": "10.200.0.0/16", "size": 24}, {"base": "fd00::/56", "size": 64}],
                "registry-mirrors": ["https://mirror.example.com/"],
                "insecure-registries": ["localhost:5000", "10.0.0.0/8"],
                "default-shm-size": "64M",
                "features": {"cdi": True},
                "something-new": 1,
            },
            which,
        )
        == []
    )


def test_unknown_keys_come_with_the_nearest():
    assert [finding.text for finding in unknown_keys({"live-restor": True, "debug": True})] == [
        "live-restor is not a key that is known here; did you mean 'live-restore'?"
    ]


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ({}, {}, "none"),
        ({}, {"labels": ["a=b"]}, "reload"),
        ({"labels": ["a=b"]}, {}, "restart"),
        ({"shutdown-timeout": 3}, {}, "reload"),
        ({}, {"live-restore": True, "debug": True}, "reload"),
        ({}, {"live-restore": True, "icc": False}, "restart"),
        ({"runtimes": {"a": {"path": "a"}, "b": {"path": "b"}}}, {"runtimes": {"a": {"path": "a"}}}, "reload"),
        ({}, {"features": {"buildkit": True}}, "reload"),
        ({}, {"features": {"cdi": True}}, "restart"),
        ({"features": {"cdi": True}}, {"features": {"cdi": True, "buildkit": False}}, "reload"),
    ],
)
def test_which_changes_can_be_reloaded(before, after, action):
    assert action_for(before, after, changed_paths(before, after)) == action


def test_flags_are_named_as_the_file_names_them():
    argv = [
        "dockerd",
        "-H",
        "fd://",
        "--label=a=b",
        "--log-opt",
        "max-size=1m",
        "-D",
        "--config-file=/x.json",
        "--",
        "-s",
    ]
    assert set(flags_of(argv)) == {"hosts", "labels", "log-opts", "debug", "config-file"}


def test_collisions_follow_the_engine():
    argv = ["dockerd", "-H", "fd://", "--add-runtime=a=b", "--http-proxy=http://p", "--debug"]
    config = {"hosts": ["unix:///x"], "runtimes": {}, "proxies": {"http-proxy": "http://q"}, "icc": False}
    assert collisions(config, argv) == {"hosts": "-H", "proxies.http-proxy": "--http-proxy=http://p"}


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (["dockerd"], "/etc/docker/daemon.json"),
        (["dockerd", "--config-file", "/a"], "/a"),
        (["dockerd", "--config-file=/b"], "/b"),
    ],
)
def test_the_file_an_engine_reads(argv, path):
    assert config_file_of(argv) == path


def test_the_last_drop_in_decides_the_command():
    files = [
        ("unit", "[Service]\nExecStart=/usr/bin/dockerd -H fd:// \\\n  $DOCKER_OPTS\n"),
        ("10.conf", "[Service]\nExecStart=\nExecStart=-/usr/bin/dockerd --debug ${DOCKER_OPTS}\n"),
        ("20.conf", "[Service]\nEnvironment=A=b\n"),
    ]
    assert effective_command(files[:1], {"DOCKER_OPTS": "--icc=false"}) == (
        "unit",
        ["/usr/bin/dockerd", "-H", "fd://", "--icc=false"],
    )
    assert effective_command(files, {}) == ("10.conf", ["/usr/bin/dockerd", "--debug"])
    assert effective_command([("u", "ExecStart=a\nExecStart=\n")], {}) is None


def test_the_service_is_read_from_its_files(tmp_path):
    unit = tmp_path / "usr/lib/systemd/system/docker.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n")
    defaults = tmp_path / "etc/default/docker"
    defaults.parent.mkdir(parents=True)
    defaults.write_text("#DOCKER_OPTS='--debug'\nDOCKER_OPTS='--icc=false'\n")
    script = tmp_path / "etc/init.d/docker"
    script.parent.mkdir()
    script.touch()
    assert service_commands("docker", str(tmp_path)) == [(str(defaults), ["dockerd", "--icc=false"])]
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert service_commands("docker", str(tmp_path)) == [
        (str(unit), ["/usr/sbin/dockerd", "-H", "fd://", "--icc=false"])
    ]
    dropin = tmp_path / "etc/systemd/system/docker.service.d/10-own.conf"
    dropin.parent.mkdir(parents=True)
    dropin.write_text("[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --debug\n")
    assert service_commands("docker", str(tmp_path)) == [(str(dropin), ["/usr/sbin/dockerd", "--debug"])]


def test_the_engine_is_known_by_its_file_and_its_own_namespace(tmp_path):
    def process(pid, namespace, *argv):
        folder = tmp_path / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "ns/pid").symlink_to(f"pid:[{namespace}]")
        (folder / "comm").write_text("dockerd\n")
        (folder / "cmdline").write_text("\0".join(argv) + "\0")
        (folder / "stat").write_text(f"{pid} (docker d) S " + " ".join(str(number) for number in range(4, 40)))
        (folder / "environ").write_text("PATH=/bin\0A=b=c\0")

    process("self", 1, "python")
    process(10, 2, "dockerd")
    process(11, 1, "dockerd", "--config-file=/other.json")
    process(12, 1, "dockerd", "--debug")
    found = find("/etc/docker/daemon.json", str(tmp_path))
    assert (found.pid, found.started, found.argv) == (12, 22, ["dockerd", "--debug"])
    assert found.environment == {"PATH": "/bin", "A": "b=c"}
    assert find("/other.json", str(tmp_path)).pid == 11
    assert find("/third.json", str(tmp_path)) is None
