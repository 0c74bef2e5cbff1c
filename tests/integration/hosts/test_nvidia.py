# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nvidia, with stand-ins for NVIDIA's programs in a signed repository, and a real engine."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import subprocess

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import GpuHost, device_requests, parse

pytestmark = pytest.mark.engine

STAND_INS = pathlib.Path(__file__).parent / "stand_ins"
TOOLKIT = [path for path in STAND_INS.iterdir() if path.name != "nvidia-smi"]
GPU_A = "GPU-aaaaaaaa-0000-0000-0000-000000000000"
GPU_B = "GPU-bbbbbbbb-0000-0000-0000-000000000000"
MIG = "MIG-cccccccc-0000-0000-0000-000000000000"
TWO_T4 = f"GPU 0: Tesla T4 (UUID: {GPU_A})\nGPU 1: Tesla T4 (UUID: {GPU_B})\n"
A100_WITH_MIG = f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {GPU_A})\n  MIG 3g.20gb     Device  0: (UUID: {MIG})\n"
PLAY = "- hosts: all\n  gather_facts: false\n  roles: [codeopen.workspaces.nvidia]\n"


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options).stdout


def package(folder, version):
    """A package of stand-ins; its entry in the list of packages."""
    tree = folder / f"tree-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/share").mkdir()
    (tree / "usr/share/stand-in-toolkit-version").write_text(version)
    for program in TOOLKIT:
        (tree / "usr/bin" / program.name).write_bytes(program.read_bytes())
        (tree / "usr/bin" / program.name).chmod(0o755)
    configuration = tree / "etc/nvidia-container-runtime/config.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(
        "#accept-nvidia-visible-devices-envvar-when-unprivileged = true\ndisable-require = false\n\n[nvidia-container-cli]\nload-kmods = true\n"
    )
    control = (
        f"Package: nvidia-container-toolkit\nVersion: {version}-1\nArchitecture: all\n"
        "Maintainer: stand-in <none@example.com>\nDescription: stand-ins for tests\n"
    )
    (tree / "DEBIAN/control").write_text(control)
    name = f"nvidia-container-toolkit_{version}.deb"
    run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(folder / name))
    content = (folder / name).read_bytes()
    return f"{control}Filename: ./{name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder like NVIDIA's repository, signed by a key of its own."""
    root = tmp_path_factory.mktemp("repository")
    flat = root / "stable/deb/amd64"
    flat.mkdir(parents=True)
    work = tmp_path_factory.mktemp("package")
    entries = package(work, "1.17.8") + package(work, "1.16.0")
    for file in work.glob("*.deb"):
        file.rename(flat / file.name)
    (flat / "Packages").write_text(entries)
    digest = hashlib.sha256(entries.encode()).hexdigest()
    release = f"Origin: stand-in\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} {len(entries)} Packages\n"
    (flat / "Release").write_text(release)
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
    run(*gpg, "--quick-generate-key", "stand-in <none@example.com>", "rsa3072", "sign", "never")
    (root / "gpgkey").write_bytes(run(*gpg, "--armor", "--export"))
    run(*gpg, "--clearsign", "--output", str(flat / "InRelease"), str(flat / "Release"))
    return root


@pytest.fixture(scope="module")
def gpu_host(host, repository):
    """A host with the stand-in driver and repository, and nothing else of NVIDIA's."""
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


def create_and_read(host, requests):
    """Run a container with these device requests; its environment, or the engine's refusal."""
    body = {
        "Image": "counter",
        "Cmd": ["/bin/busybox", "env"],
        "HostConfig": {"DeviceRequests": requests, "NetworkMode": "none"},
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
        ("nvidia.com/gpu=0", "STAND_IN_CDI=0"),
        (f"nvidia.com/gpu={GPU_A}", f"STAND_IN_CDI={GPU_A}"),
    ],
)
def test_the_engine_understands_the_requests(gpu_host, wish, expected):
    devices = tuple(f"nvidia.com/gpu={name}" for name in ("0", "1", GPU_A, GPU_B, "all"))
    there = GpuHost("26.1.5", (GPU_A, GPU_B), (), hook=True, cdi_feature=True, cdi_devices=devices)
    assert expected in create_and_read(gpu_host, device_requests(parse(wish), there))


def test_the_engine_takes_cdi_where_there_is_no_hook(gpu_host):
    devices = tuple(f"nvidia.com/gpu={name}" for name in ("0", "1"))
    there = GpuHost("26.1.5", (GPU_A, GPU_B), (), hook=False, cdi_feature=True, cdi_devices=devices)
    assert "STAND_IN_CDI=1" in create_and_read(gpu_host, device_requests(parse([1]), there))


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
