# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on docker: an engine of the workspace's own builds and runs containers, and the host's is out of reach."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

# A root file system out of the workspace's own files, since a registry is not always reached.
PACK = r"""
mkdir -p /workspace/tiny && cd /workspace/tiny
programs="/bin/sh /bin/cat /usr/bin/id /usr/bin/python3"
libraries=$(for program in $programs; do ldd "$program" | grep -oE '/[^ ]+\.so[^ ]*'; done | sort -u)
tar --create --dereference --absolute-names --file root.tar $programs $libraries \
  --exclude=__pycache__ --exclude=test --exclude=idlelib /usr/lib/python3.13
cat >Dockerfile <<'END'
FROM scratch
ADD root.tar /
RUN echo "made inside" >/made
CMD ["/bin/cat", "/made"]
END
docker build --quiet --tag tiny . && docker tag tiny kept
"""
COMPOSE = """
services:
  web:
    image: tiny
    command: [python3, -m, http.server, "80", --directory, /usr/lib/python3.13/json]
    ports: ["127.0.0.1:8099:80"]
    stop_signal: SIGKILL
  client:
    image: tiny
    command: [python3, -c, "import urllib.request as r; print(r.urlopen('http://web/decoder.py').status)"]
    profiles: [by-hand]
"""


def granted() -> list[str]:
    """What component.yml asks the engine for, and the volume of the data, as options of ``docker run``."""
    runtime = find_catalogue().addons["docker"].runtime
    options = [f"--device={device}:{device}:rw" for device in runtime.devices]
    options += [f"--security-opt={option}" for option in runtime.security_opt]
    return [*options, "--volume=/var/lib/docker"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with what the component asks for, and an image ``tiny`` built in it."""
    with running_workspace(image_of("docker"), tmp_path_factory.mktemp("secrets"), *granted()) as workspace:
        workspace.run(PACK)
        yield workspace


def test_the_engine_is_rootless(workspace: RunningWorkspace) -> None:
    assert "name=rootless" in workspace.run("docker info --format '{{.SecurityOptions}}'").stdout
    assert workspace.run("pgrep --uid root dockerd", check=False).stdout == ""
    assert "docker: healthy" in workspace.run("codeopen-health").stdout


def test_an_image_built_from_scratch_runs(workspace: RunningWorkspace) -> None:
    assert workspace.run("docker run --rm tiny").stdout == "made inside\n"
    # Root in there is developer out here, so files of the workspace stay the person's own.
    workspace.run("docker run --rm --volume /workspace:/mnt tiny sh -c 'id >/mnt/by-root'")
    assert workspace.run("cat by-root").stdout.startswith("uid=0")
    assert workspace.run("stat --format %U by-root").stdout == "developer\n"


def test_buildx_builds_for_an_archive(workspace: RunningWorkspace) -> None:
    workspace.run("cd tiny && docker buildx build --quiet --output type=local,dest=/tmp/out .")
    assert workspace.run("cat /tmp/out/made").stdout == "made inside\n"


def test_compose_brings_up_services_that_find_each_other(workspace: RunningWorkspace) -> None:
    workspace.write("/workspace/site/compose.yml", COMPOSE)
    workspace.run("docker compose up --detach --wait", workdir="/workspace/site")
    get = "curl --silent --fail --retry 30 --retry-all-errors --retry-delay 1 --noproxy '*' http://127.0.0.1:8099/decoder.py"
    assert "JSONDecoder" in workspace.run(get).stdout
    assert workspace.run("docker compose run --rm client", workdir="/workspace/site").stdout == "200\n"
    workspace.run("docker compose down", workdir="/workspace/site")
    assert workspace.run("docker ps --quiet").stdout == ""


def test_the_hosts_engine_is_out_of_reach(workspace: RunningWorkspace) -> None:
    container = json.loads(docker("inspect", workspace.name).stdout)[0]
    assert not [mount for mount in container["Mounts"] if "docker.sock" in mount["Source"] + mount["Destination"]]
    assert container["HostConfig"]["Privileged"] is False
    found = workspace.run("sudo find / -xdev -type s -name '*docker*.sock' 2>/dev/null", check=False).stdout.split()
    assert [path for path in found if not path.startswith("/run/codeopen/docker/")] == []
    mine = workspace.run("docker info --format '{{.ID}}'").stdout
    assert mine.strip()
    assert mine != docker("info", "--format", "{{.ID}}").stdout
    assert workspace.name not in workspace.run("docker ps --all --format '{{.Names}}'").stdout


def test_a_killed_engine_comes_back_with_its_images(workspace: RunningWorkspace) -> None:
    for program in ("dockerd", "rootlesskit"):
        workspace.run(f"pkill -9 --exact {program}")
        workspace.run("timeout 120 sh -c 'sleep 1; until /etc/codeopen/health.d/docker; do sleep 0.5; done'")
        assert workspace.run("docker run --rm kept").stdout == "made inside\n"


def test_images_outlive_a_restart_of_the_workspace(workspace: RunningWorkspace) -> None:
    docker("restart", workspace.name)
    workspace.wait_until_healthy()
    assert workspace.run("docker run --rm kept").stdout == "made inside\n"


def test_without_what_it_needs_it_says_what_that_is() -> None:
    script = "timeout 20 /etc/codeopen/services/docker/run; /etc/codeopen/health.d/docker"
    done = docker("run", "--rm", "--entrypoint", "bash", image_of("docker"), "-c", script, check=False)
    assert done.returncode == 1
    said = done.stdout.splitlines()
    assert said[0] == said[-1]
    assert said[0].startswith("the engine cannot run: rootless: ")
    assert "seccomp=unconfined" in said[0]
    assert "the container has no device /dev/net/tun" in said[0]
    assert "rootful: the container is not privileged" in said[0]


def test_an_unknown_choice_is_named() -> None:
    script = "timeout 20 /etc/codeopen/services/docker/run"
    done = docker(
        "run", "--rm", "--env", "CODEOPEN_DOCKER=podman", "--entrypoint", "bash", image_of("docker"), "-c", script,
        check=False,
    )  # fmt: skip
    assert done.stdout == "CODEOPEN_DOCKER is 'podman': expected auto, rootless or rootful\n"


def test_in_a_privileged_container_it_can_be_rootful(tmp_path_factory: pytest.TempPathFactory) -> None:
    options = ("--privileged", "--volume=/var/lib/docker", "--env=CODEOPEN_DOCKER=rootful")
    with running_workspace(image_of("docker"), tmp_path_factory.mktemp("secrets"), *options) as workspace:
        workspace.run(PACK)
        assert "rootless" not in workspace.run("docker info --format '{{.SecurityOptions}}'").stdout
        assert workspace.run("docker run --rm --memory 100m tiny").stdout == "made inside\n"
        workspace.run("sudo pkill -9 --exact dockerd")
        workspace.run("timeout 120 sh -c 'sleep 1; until /etc/codeopen/health.d/docker; do sleep 0.5; done'")
        assert workspace.run("docker run --rm tiny").stdout == "made inside\n"
        workspace.run("sv -w 60 force-stop /run/codeopen/services/docker")
        assert workspace.run("pgrep --exact dockerd", check=False).stdout == ""
