# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role engine: it leaves a fit engine alone, and installs one on fresh systems, which containers stand in for."""

from __future__ import annotations

import json
import re

import pytest
from host_machine import docker, inventory_of, running_host

pytestmark = pytest.mark.engine


@pytest.fixture(params=["debian13", "docker_source"])
def fresh(request):
    """A host that was bare before the role ran. Molecule's scenarios show the same of Debian 12."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def inventory(tmp_path):
    """Writes an inventory of one host; its path."""
    return lambda host: inventory_of([host], tmp_path)


def test_a_fit_engine_is_left_alone(playbook):
    before = docker("info", "--format", "{{.ID}} {{.ServerVersion}}")
    run = playbook("engine")
    assert run.status == 0, run.output
    assert run.count("changed") == 0, run.output
    assert docker("info", "--format", "{{.ID}} {{.ServerVersion}}") == before


def test_an_engine_elsewhere_that_does_not_answer_is_named(playbook):
    run = playbook("engine", variables={"engine_docker_host": "tcp://127.0.0.1:1"})
    assert run.status != 0
    assert "No engine answers at tcp://127.0.0.1:1" in " ".join(run.output.split())


def test_check_mode_on_a_bare_host_predicts_what_is_done_and_does_nothing(fresh):
    done = fresh.converged
    assert done.after_check == done.before
    assert done.check.count("changed", fresh.name) == done.first.count("changed", fresh.name), done.first.output


def test_a_bare_host_gets_an_engine_that_answers_and_keeps_everything_else(fresh):
    before, after = fresh.converged.before[fresh.name], fresh.packages()
    assert int(fresh.sh("docker version --format '{{.Server.Version}}'").split(".")[0]) >= 23
    assert "buildx" in fresh.sh("docker buildx version")
    assert {name: after.get(name) for name in before} == before


def test_the_second_run_changes_nothing(fresh):
    assert fresh.converged.second.count("changed", fresh.name) == 0, fresh.converged.second.output


def test_no_other_package_would_come_from_the_other_suite(debian12):
    policy = debian12.sh("apt-cache policy bash docker.io")
    bash, engine = policy.split("docker.io:")
    assert "deb12" in bash.split("Candidate:")[1].split()[0] or "5.2.15" in bash
    assert "deb13" in engine.split("Installed:")[1].split()[0]


def test_systemd_runs_the_engine_and_starts_it_with_the_host(debian13):
    assert debian13.sh("systemctl is-active docker") == "active"
    assert debian13.sh("systemctl is-enabled docker") == "enabled"


def test_the_engine_of_dockers_repository_is_taken_from_there_alone(docker_source):
    after = docker_source.packages()
    assert {"docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin"} <= set(after)
    assert "docker.io" not in after
    assert "http://127.0.0.1" in docker_source.sh("apt-cache policy docker-ce")
    assert "Signed-By: /etc/apt/keyrings/docker.asc" in docker_source.read("/etc/apt/sources.list.d/docker.sources")


def test_one_vendors_engine_is_not_replaced_by_the_others(playbook, inventory, docker_source):
    variables = {"engine_source": "distribution", "engine_minimum_version": "99.0"}
    run = playbook("engine", variables=variables, inventory=inventory(docker_source))
    assert run.status != 0
    assert "the host has the package docker-ce" in " ".join(run.output.split())


def test_an_engine_that_was_stopped_is_started_by_systemd(playbook, inventory, debian13):
    debian13.sh("systemctl stop docker.socket docker")
    run = playbook("engine", variables={"engine_configure": "never"}, inventory=inventory(debian13))
    assert run.status == 0, run.output
    assert run.count("changed", debian13.name) == 1, run.output
    assert debian13.sh("systemctl is-active docker") == "active"


def test_an_engine_is_started_where_neither_systemd_nor_its_init_script_can(playbook, inventory, debian12):
    debian12.sh("kill $(cat /run/docker.pid); printf '#!/bin/sh\\nexit 1\\n' >/etc/init.d/docker")
    debian12.sh("while docker version >/dev/null 2>&1; do sleep 0.2; done")
    first = playbook("engine", variables={"engine_configure": "never"}, inventory=inventory(debian12))
    assert first.status == 0, first.output
    assert first.count("changed", debian12.name) == 1, first.output
    assert first.count("rescued", debian12.name) == 1, first.output
    assert debian12.sh("docker version --format '{{.Server.Version}}'")


def test_the_engine_is_hardened_before_it_runs(debian12):
    info = json.loads(debian12.sh("docker info --format '{{json .}}'"))
    # Other modules change the file later; what stays is what the first run wrote.
    assert "Merge the settings into the engine's configuration" in debian12.installed.output
    assert info["LoggingDriver"] == "json-file"
    assert "codeopen-engine.rules" in debian12.sh("ls /etc/audit/rules.d")
    assert debian12.sh("stat --format '%a %U:%G' /run/docker.sock") == "660 root:docker"


def test_settings_reach_the_running_engine_and_stay(playbook, inventory, debian13, tmp_path):
    (tmp_path / "ca.crt").write_text("stand-in of a certificate\n")
    variables = {
        "engine_configure": "always",
        "engine_address_pools": [{"base": "10.200.0.0/16", "size": 24}],
        "engine_registry_mirrors": ["https://mirror.example.org/"],
        "engine_insecure_registries": ["registry.example.org:5000"],
        "engine_registry_certificates": {"registry.example.org:5443": str(tmp_path / "ca.crt")},
        "engine_network": {"https_proxy": "http://proxy.example.org:3128"},
        "engine_settings": {"max-concurrent-downloads": 5},
    }
    check = playbook("engine", "--check", variables=variables, inventory=inventory(debian13))
    first = playbook("engine", variables=variables, inventory=inventory(debian13))
    assert first.status == 0, first.output
    assert check.count("changed", debian13.name) == first.count("changed", debian13.name)
    info = json.loads(debian13.sh("docker info --format '{{json .}}'"))
    assert info["DefaultAddressPools"] == [{"Base": "10.200.0.0/16", "Size": 24}]
    assert info["RegistryConfig"]["Mirrors"] == ["https://mirror.example.org/"]
    assert "registry.example.org:5000" in info["RegistryConfig"]["IndexConfigs"]
    assert info["HttpsProxy"] == "http://proxy.example.org:3128"
    assert "stand-in" in debian13.read("/etc/docker/certs.d/registry.example.org:5443/ca.crt")
    second = playbook("engine", variables=variables, inventory=inventory(debian13))
    assert second.count("changed", debian13.name) == 0, second.output


@pytest.mark.hosts
def test_a_package_repository_that_is_not_reached_is_named_and_the_next_run_finishes(playbook, inventory):
    with running_host("trixie", systemd=False) as host:
        host.sh("mv /etc/apt/sources.list /srv && echo 'deb http://127.0.0.1:9/debian trixie main' >/etc/apt/sources.list")
        run = playbook("engine", inventory=inventory(host))
        assert run.status != 0
        assert "http://127.0.0.1:9/debian" in " ".join(run.output.split())
        assert host.sh("dpkg-query --show docker.io", check=False) == ""
        host.sh("mv /srv/sources.list /etc/apt")
        # The engine is the role's own all the same, so it is configured.
        assert playbook("engine", inventory=inventory(host)).status == 0
        assert host.sh("docker info --format '{{.LiveRestoreEnabled}}'") == "true"


@pytest.mark.hosts
def test_containers_start_where_the_session_that_starts_the_engine_may_open_few_files(playbook, inventory):
    with running_host("trixie", systemd=False) as host:
        host.sh(
            "printf '#!/bin/sh\nulimit -n 4000\nexec python3 \"$@\"\n' >/usr/local/bin/python-few;"
            "chmod +x /usr/local/bin/python-few"
        )
        few = {"ansible_python_interpreter": "/usr/local/bin/python-few"}
        run = playbook("engine", variables=few, inventory=inventory(host))
        assert run.status == 0, run.output
        host.sh("tar -C / -c bin/busybox | docker import - counter")
        limits = host.sh("docker run --rm --network none counter /bin/busybox cat /proc/1/limits")
        assert re.search(r"Max open files\s+4000\s+4000", limits), limits


def test_a_system_that_is_not_known_is_refused_with_those_that_are(playbook, inventory, debian12):
    known = {"Debian-99": {"suite": "", "packages": []}}
    variables = {"engine_minimum_version": "99.0", "engine_distributions": known}
    run = playbook("engine", variables=variables, inventory=inventory(debian12))
    assert run.status != 0
    assert "it knows Debian 99" in " ".join(run.output.split())
