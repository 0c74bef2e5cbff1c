# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the tests: each is prepared once, by the role engine itself, and serves all modules."""

from __future__ import annotations

import contextlib
import pathlib

import pytest
from apt_repository import SigningKey, publish
from host_machine import converge, docker, inventory_of, run_engine, running_host

HERE = pathlib.Path(__file__).parent
STAND_INS = HERE / "stand_ins"
REPOSITORY_PORT = 8042
BARE_HOSTS = {"debian12", "debian13_hosts", "debian13", "docker_source", "docker_repository", "fresh", "host"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What prepares a bare host is for `make test-hosts`; in `make test`, Molecule's scenario `default` does."""
    for item in items:
        if HERE in item.path.parents and BARE_HOSTS & set(item.fixturenames):
            item.add_marker("hosts")


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory):
    """The key of all stand-ins for vendors' repositories."""
    return SigningKey(tmp_path_factory.mktemp("gnupg"))


@pytest.fixture(scope="session")
def debian12(playbook, tmp_path_factory):
    """A host of Debian 12 without an init, with the engine that the role installed."""
    with running_host("bookworm", systemd=False) as host:
        host.installed = run_engine(playbook, inventory_of([host], tmp_path_factory.mktemp("debian12")))
        yield host


@pytest.fixture(scope="session")
def docker_repository(tmp_path_factory, signing_key):
    """A folder like Docker's repository, with Debian's packages under the names of Docker's."""
    root = tmp_path_factory.mktemp("docker") / "linux"
    pool = root / "debian/pool"
    pool.mkdir(parents=True)
    (root / "debian/gpg").write_bytes(signing_key.public())
    with running_host("trixie", systemd=False) as host:
        docker("cp", str(STAND_INS / "rename_packages.sh"), f"{host.name}:/srv/rename_packages.sh")
        host.sh("mkdir /srv/pool && cd /srv/pool && sh ../rename_packages.sh")
        docker("cp", f"{host.name}:/srv/pool/.", str(pool))
    suite = root / "debian/dists/trixie"
    suite.mkdir(parents=True)
    publish(
        root / "debian",
        suite / "stable/binary-amd64/Packages",
        suite / "Release",
        list(pool.glob("*.deb")),
        signing_key,
    )
    return root


@pytest.fixture(scope="session")
def debian13_hosts(playbook, tmp_path_factory, docker_repository):
    """Two hosts of Debian 13 with systemd, prepared in one play.

    The first takes the distribution's engine, by a user who needs a password for sudo; the second that of Docker.
    """
    sudoer = {"ansible_user": "deploy", "ansible_become": True, "ansible_become_password": "by the book"}
    mirror = f"http://127.0.0.1:{REPOSITORY_PORT}/linux"
    with contextlib.ExitStack() as stack:
        by_sudo = stack.enter_context(running_host("trixie", systemd=True, **sudoer))
        by_sudo.sh("useradd --create-home deploy && echo 'deploy:by the book' | chpasswd")
        by_sudo.sh("echo 'deploy ALL=(ALL) ALL' >/etc/sudoers.d/deploy")
        by_docker = stack.enter_context(
            running_host("trixie", systemd=True, engine_source="docker", engine_docker_repository=mirror)
        )
        docker("cp", str(docker_repository), f"{by_docker.name}:/srv/linux")
        docker(
            *("exec", "--detach", by_docker.name),
            *("python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv", str(REPOSITORY_PORT)),
        )
        converged = converge(playbook, tmp_path_factory.mktemp("debian13"), [by_sudo, by_docker])
        by_sudo.converged = by_docker.converged = converged
        yield by_sudo, by_docker


@pytest.fixture(scope="session")
def debian13(debian13_hosts):
    """A host of Debian 13 with systemd, which Ansible reaches as a user with sudo."""
    return debian13_hosts[0]


@pytest.fixture(scope="session")
def docker_source(debian13_hosts):
    """A host of Debian 13 with systemd and the engine of Docker's own repository."""
    return debian13_hosts[1]


@pytest.fixture(scope="module", params=["debian12", "debian13"])
def host(request):
    """A host with a running engine: started without an init, and by systemd."""
    return request.getfixturevalue(request.param)
