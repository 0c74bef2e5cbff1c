# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nvidia, with stand-ins for NVIDIA's programs in a signed repository, and a real engine."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import GpuHost, device_requests, parse
from nvidia_repository import STAND_INS, make_repository

pytestmark = pytest.mark.engine

GPU_A = "GPU-aaaaaaaa-0000-0000-0000-000000000000"
GPU_B = "GPU-bbbbbbbb-0000-0000-0000-000000000000"
MIG = "MIG-cccccccc-0000-0000-0000-000000000000"
TWO_T4 = f"GPU 0: Tesla T4 (UUID: {GPU_A})\nGPU 1: Tesla T4 (UUID: {GPU_B})\n"
A100_WITH_MIG = f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {GPU_A})\n  MIG 3g.20gb     Device  0: (UUID: {MIG})\n"
PLAY = "- hosts: all\n  gather_facts: false\n  roles: [codeopen.workspaces.nvidia]\n"


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory, signing_key):
    """A folder like NVIDIA's repository."""
    root = tmp_path_factory.mktemp("repository")
    make_repository(root, tmp_path_factory.mktemp("package"), signing_key)
    return root


@pytest.fixture(scope="module")
def gpu_host(debian12, repository):
    """A host with the stand-in driver and repository, and nothing else of NVIDIA's."""
    host = debian12
    run("docker", "cp", f"{repository}/.", f"{host.name}:/srv/nvidia")
    run("docker", "cp", str(STAND_INS / "nvidia-smi"), f"{host.name}:/usr/bin/nvidia-smi")
    host.sh("chmod -R a+rX /srv/nvidia && chmod 755 /usr/bin/nvidia-smi && rm -rf /etc/apt/sources.list*")
    host.sh("mkdir -p /etc/apt/sources.list.d /etc/docker")
    host.sh("""printf '{"features": {"buildkit": true}, "max-download-attempts": 4}' > /etc/docker/daemon.json""")
    host.sh("tar -C / -c bin/busybox | docker import - counter")
    return host


@pytest.fixture
def play(gpu_host, tmp_path):
    """Run the role; the finished process with ``changed`` added."""

    def _play(*arguments, group="other", gpus=None, **variables):
        gpu_host.sh("rm -f /etc/stand-in-gpus")
        if gpus:
            gpu_host.sh(f"cat > /etc/stand-in-gpus <<'END'\n{gpus}END")
        (tmp_path / "play.yml").write_text(PLAY)
        (tmp_path / "hosts.ini").write_text(f"[{group}]\n{gpu_host.name}\n")
        done = gpu_host.ansible(
            str(tmp_path / "play.yml"),
            *arguments,
            program="ansible-playbook",
            inventory=str(tmp_path / "hosts.ini"),
            nvidia_repository="file:///srv/nvidia",
            **variables,
        )
        done.changed = int(re.search(r"changed=(\d+)", done.stdout).group(1)) if "changed=" in done.stdout else None
        return done

    return _play


def create_and_read(host, requests, **host_config):
    """Run a container with these device requests; its environment, or the engine's refusal."""
    body = {
        "Image": "counter",
        "Cmd": ["/bin/busybox", "env"],
        "HostConfig": {"DeviceRequests": requests, "NetworkMode": "none", **host_config},
    }
    script = (
        "import http.client,json,socket\n"
        "def call(method, path, body=None):\n"
        "    c = http.client.HTTPConnection('x'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('/var/run/docker.sock')\n"
        "    c.request(method, path, body, {'Content-Type': 'application/json'}); r = c.getresponse(); return r.status, r.read()\n"
        f"status, text = call('POST', '/containers/create', {json.dumps(json.dumps(body))})\n"
        "if status != 201: print(text.decode()); raise SystemExit\n"
        "name = json.loads(text)['Id']\n"
        "status, text = call('POST', '/containers/%s/start' % name)\n"
        "if status >= 300: print(text.decode())\n"
        "call('POST', '/containers/%s/wait' % name)\n"
        "print(call('GET', '/containers/%s/logs?stdout=1' % name)[1].decode('utf-8', 'replace'))\n"
        "call('DELETE', '/containers/%s?force=1' % name)\n"
    )
    return subprocess.run(
        ["docker", "exec", "-i", host.name, "python3", "-"], input=script, capture_output=True, text=True, check=True
    ).stdout


def test_a_host_without_a_gpu_is_skipped_with_a_word(play):
    done = play()
    assert done.returncode == 0, done.stdout
    assert "has no NVIDIA GPU, so there is nothing to set up" in done.stdout
    assert done.changed == 0


def test_a_host_of_the_group_without_one_is_an_error(play):
    done = play(group="gpu")
    assert done.returncode != 0
    assert "is in the group gpu and has no GPU" in done.stdout
    assert "couldn't communicate with the NVIDIA driver" in done.stdout


def test_check_mode_on_a_host_without_the_toolkit(play, gpu_host):
    before = gpu_host.read("/etc/docker/daemon.json")
    done = play("--check", gpus=TWO_T4)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Would install nvidia-container-toolkit" in done.stdout
    assert gpu_host.read("/etc/docker/daemon.json") == before
    assert gpu_host.sh("ls /etc/apt/sources.list.d") == ""
    assert gpu_host.sh("command -v nvidia-ctk", check=False) == ""


def test_a_toolkit_that_is_missing_is_named(play):
    done = play(gpus=TWO_T4, nvidia_toolkit_install=False)
    assert done.returncode != 0
    assert "at least 1.17.8 is needed" in done.stdout


def test_the_toolkit_is_installed_registered_and_not_the_default(play, gpu_host):
    pid = gpu_host.sh("cat /var/run/docker.pid")
    done = play(group="gpu", gpus=TWO_T4)
    assert done.returncode == 0, done.stdout + done.stderr
    assert gpu_host.sh("dpkg-query --show --showformat '${Version}' nvidia-container-toolkit") == "1.17.8-1"
    assert json.loads(gpu_host.read("/etc/docker/daemon.json")) == {
        "features": {"buildkit": True, "cdi": True},
        "max-download-attempts": 4,
        "runtimes": {"nvidia": {"path": "nvidia-container-runtime"}},
    }
    assert gpu_host.sh("cat /var/run/docker.pid") != pid
    info = json.loads(gpu_host.sh("docker info --format '{{json .}}'"))
    assert info["DefaultRuntime"] == "runc"
    assert "nvidia" in info["Runtimes"]
    toml = gpu_host.read("/etc/nvidia-container-runtime/config.toml")
    assert toml.startswith("accept-nvidia-visible-devices-envvar-when-unprivileged = false\n")
    assert "load-kmods = true" in toml
    assert "Signed-By: /etc/apt/keyrings/nvidia-container-toolkit.asc" in gpu_host.read(
        "/etc/apt/sources.list.d/nvidia-container-toolkit.sources"
    )


def test_the_second_run_changes_nothing(play):
    done = play(group="gpu", gpus=TWO_T4)
    assert (done.returncode, done.changed) == (0, 0), done.stdout


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("all", "NVIDIA_VISIBLE_DEVICES=all"),
        (2, "NVIDIA_VISIBLE_DEVICES=0,1"),
        ([1], "NVIDIA_VISIBLE_DEVICES=1"),
        (GPU_B, f"NVIDIA_VISIBLE_DEVICES={GPU_B}"),
        (MIG, f"NVIDIA_VISIBLE_DEVICES={MIG}"),
        ("0:0", "NVIDIA_VISIBLE_DEVICES=0:0"),
        ("nvidia.com/gpu=0", "STAND_IN_CDI=0"),
        (f"nvidia.com/gpu={GPU_A}", f"STAND_IN_CDI={GPU_A}"),
    ],
)
def test_the_engine_understands_the_requests(gpu_host, wish, expected):
    devices = tuple(f"nvidia.com/gpu={name}" for name in ("0", "1", GPU_A, GPU_B, "all"))
    there = GpuHost("26.1.5", (GPU_A, GPU_B), (MIG,), hook=True, cdi_feature=True, cdi_devices=devices)
    assert expected in create_and_read(gpu_host, device_requests(parse(wish), there))


def test_the_engine_takes_cdi_where_there_is_no_hook(gpu_host):
    devices = tuple(f"nvidia.com/gpu={name}" for name in ("0", "1"))
    there = GpuHost("26.1.5", (GPU_A, GPU_B), (), hook=False, cdi_feature=True, cdi_devices=devices)
    assert "STAND_IN_CDI=1" in create_and_read(gpu_host, device_requests(parse([1]), there))


def test_capabilities_reach_the_container(gpu_host):
    there = GpuHost("26.1.5", (GPU_A, GPU_B), hook=True)
    seen = create_and_read(gpu_host, device_requests(parse("all", ["utility", "compute"]), there))
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in seen


def test_a_container_without_a_request_gets_no_gpu_whatever_runs_it(gpu_host):
    assert "NVIDIA" not in create_and_read(gpu_host, [])
    assert "NVIDIA" not in create_and_read(gpu_host, [], Runtime="nvidia")
    assert "create" in gpu_host.read("/var/log/stand-in-runtime.log")


@pytest.mark.parametrize(
    ("request_of_it", "refusal"),
    [
        ({"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=missing"]}, "unresolvable CDI devices nvidia.com/gpu=missing"),
        ({"Driver": "bogus", "Count": -1, "Capabilities": [["gpu"]]}, 'could not select device driver "bogus"'),
    ],
)
def test_the_engine_refuses_what_it_does_not_have(gpu_host, request_of_it, refusal):
    assert refusal in json.loads(create_and_read(gpu_host, [request_of_it]).splitlines()[0])["message"]


def test_drift_is_told_and_mended(play, gpu_host):
    told = play("--check", gpus=A100_WITH_MIG)
    assert "would be generated" in told.stdout
    assert GPU_B in told.stdout
    done = play(gpus=A100_WITH_MIG)
    assert done.returncode == 0, done.stdout
    assert MIG in gpu_host.read("/etc/cdi/nvidia.yaml")
    assert GPU_B not in gpu_host.read("/etc/cdi/nvidia.yaml")
    assert play(gpus=A100_WITH_MIG).changed == 0


def test_a_version_above_what_the_repository_has_is_an_error(play):
    done = play(gpus=TWO_T4, nvidia_toolkit_minimum_version="99.0.0")
    assert done.returncode != 0
    assert "version 1.17.8" in done.stdout
    assert "at least 99.0.0 is needed" in done.stdout
