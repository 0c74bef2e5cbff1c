# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers get the GPUs that they were given, and no others get any."""

from __future__ import annotations

testinfra_hosts = ["gpu"]
COUNTER = "docker image inspect counter >/dev/null 2>&1 || tar -C / -c bin/busybox | docker import - counter"


def seen(host, arguments):
    """The environment of a container that was started with these arguments."""
    host.run(COUNTER)
    return host.check_output(f"docker run --rm --network none {arguments} counter /bin/busybox env")


def test_the_runtime_is_registered_and_not_the_default(host):
    assert "nvidia" in host.check_output("docker info --format '{{json .Runtimes}}'")
    assert host.check_output("docker info --format '{{.DefaultRuntime}}'") == "runc"


def test_a_container_gets_what_it_was_given(host):
    assert "NVIDIA_VISIBLE_DEVICES=all" in seen(host, "--gpus all")
    assert "NVIDIA_VISIBLE_DEVICES=1" in seen(host, "--gpus device=1")
    assert "STAND_IN_CDI=0" in seen(host, "--device nvidia.com/gpu=0")


def test_a_container_without_a_grant_gets_none(host):
    assert "NVIDIA" not in seen(host, "")
    assert "NVIDIA" not in seen(host, "--runtime nvidia")
    config = host.file("/etc/nvidia-container-runtime/config.toml").content_string
    assert config.startswith("accept-nvidia-visible-devices-envvar-when-unprivileged = false\n")
