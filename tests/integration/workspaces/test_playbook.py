# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module in a real playbook: nothing secret is shown, however talkative Ansible is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from .conftest import Host

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[3]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nhush-certificate\n-----END CERTIFICATE-----\n"


def play(
    host: Host, folder: Path, task: dict[str, Any], *options: str, module: str = "workspace"
) -> subprocess.CompletedProcess[str]:
    """Run one task of a module on this machine."""
    tasks = [{"name": "Converge", f"codeopen.workspaces.{module}": task}]
    plays = [{"name": "Test", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    playbook = folder / "playbook.yml"
    playbook.write_text(json.dumps(plays))
    command = shutil.which("ansible-playbook")
    assert command is not None
    return subprocess.run(
        [command, "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", *options, str(playbook)],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1"),
    )


def test_nothing_secret_is_in_the_output_and_all_of_it_in_the_workspace(host: Host, tmp_path: Path) -> None:
    bundle = tmp_path / "company.pem"
    bundle.write_text(f"Company CA\n{CERTIFICATE}")
    task = {
        "workspaces": [host.entry("a", environment={"API_KEY": "hush-key"})],
        "network": {"https_proxy": "http://u:hush-proxy@proxy.example.org:3128", "ca_bundle": str(bundle)},
        "state_dir": str(host.state_dir),
        "stop_timeout": 3,
    }
    first = play(host, tmp_path, task, "-vvv", "--diff")
    assert "changed=1" in first.stdout, first.stdout
    folder = host.state_dir / "workspaces" / host.name("a") / "secrets"
    network = (folder / "network").read_text()
    assert network == f"https_proxy=http://u:hush-proxy@proxy.example.org:3128\n{CERTIFICATE}"
    assert "hush" not in first.stdout + first.stderr
    assert (folder / "password").read_text().strip() not in first.stdout + first.stderr
    found = host.container("a")
    assert found is not None
    assert "API_KEY=hush-key" in found["Config"]["Env"]
    assert "hush-proxy" not in json.dumps(found)
    assert "changed=0" in play(host, tmp_path, task).stdout
    assert "changed=0" in play(host, tmp_path, task, "--check", "--diff").stdout


def test_secrets_come_from_vault_and_are_nowhere_to_be_seen(host: Host, tmp_path: Path) -> None:
    vault = tmp_path / "vault-password"
    vault.write_text("hush-vault\n")
    encrypted = subprocess.run(
        ["ansible-vault", "encrypt_string", "--vault-password-file", str(vault), "hush-token-1", "--name", "token"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    variables = tmp_path / "variables.yml"
    variables.write_text(encrypted.stdout)
    task: dict[str, Any] = {
        "workspaces": [host.entry("a")],
        "secrets": {host.name("a"): {"github-token": "{{ token }}", "ssh-key": "hush-key\nhush-end\n"}},
        "state_dir": str(host.state_dir),
        "stop_timeout": 3,
    }
    options = ("-vvv", "--diff", "--vault-password-file", str(vault), "-e", f"@{variables}")
    outputs = [play(host, tmp_path, task, *options), play(host, tmp_path, task, *options, "--check")]
    assert ["changed=1" in outputs[0].stdout, "changed=0" in outputs[1].stdout] == [True, True], outputs[0].stdout
    container = host.client.containers.get(f"codeopen-{host.name('a')}")
    since = host.started("a")

    def inside(name: str) -> bytes:
        return bytes(container.exec_run(f"cat /run/codeopen/secrets/{name}").output)

    assert (inside("github-token"), inside("ssh-key")) == (b"hush-token-1", b"hush-key\nhush-end\n")
    task["secrets"] = {host.name("a"): {"github-token": "hush-token-2"}}
    told = play(host, tmp_path, task, *options, "--check")
    assert "changed=1" in told.stdout
    assert inside("github-token") == b"hush-token-1"
    done = play(host, tmp_path, task, *options)
    assert ["changed=1" in done.stdout, "(value " in done.stdout, "github-token" in done.stdout] == [True] * 3
    assert inside("github-token") == b"hush-token-2"
    assert b"No such file" in inside("ssh-key")
    assert host.started("a") == since
    refused = play(host, tmp_path, dict(task, secrets={host.name("a"): {"../x": "hush"}}))
    assert "is not a secret's file name" in refused.stdout + refused.stderr
    inspected = json.dumps([host.container("a"), container.logs().decode()])
    for shown in [inspected, *(output.stdout + output.stderr for output in [*outputs, told, done, refused])]:
        assert "hush" not in shown


def test_what_happens_is_shown_while_it_happens(host: Host, tmp_path: Path) -> None:
    checked = host.entry("a", checks=[{"tcp": "web"}])
    task = {"workspaces": [checked, host.entry("b", mode="dies")], "state_dir": str(host.state_dir)}
    first = play(host, tmp_path, task)
    lines = [line.split("] ", 2)[-1] for line in first.stdout.splitlines() if line.startswith("[localhost] [")]
    assert lines[0] == "2 of 2 workspaces to change"
    told = [line for line in lines if line.startswith(host.name("a: "))]
    words = ["created (", "starting (asked for)", "waits to be healthy", "healthy, its checks begin", "running (it is healthy)"]
    for line, text in zip(told, [*words, "create done in "]):
        assert line.startswith(host.name(f"a: {text}")), lines
    assert f"{host.name('b')}: failed (it died with exit code 3.)" in lines
    assert "failed=1" in first.stdout
    assert "1 of 2 workspaces failed" in first.stdout
    again = play(host, tmp_path, dict(task, workspaces=[checked]))
    assert "changed=0" in again.stdout
    assert "[localhost] [" not in again.stdout
    (log,) = (host.state_dir / "logs").iterdir()
    assert log.name.startswith("workspaces-")
    quiet = play(host, tmp_path, dict(task, workspaces=[host.entry("a", state="stopped")], progress=False))
    assert "changed=1" in quiet.stdout
    assert "[localhost] [" not in quiet.stdout


def test_a_missing_ca_bundle_and_a_misspelt_key_are_named(host: Host, tmp_path: Path) -> None:
    task: dict[str, Any] = {"workspaces": [], "state_dir": str(host.state_dir)}
    missing = play(host, tmp_path, dict(task, network={"ca_bundle": "/no/such.pem"}))
    assert "network.ca_bundle: /no/such.pem on the controller cannot be read" in missing.stdout + missing.stderr
    misspelt = play(host, tmp_path, dict(task, network={"htp_proxy": "x"}))
    assert "did you mean 'http_proxy'" in misspelt.stdout + misspelt.stderr


def test_secrets_in_memory_are_on_no_disk_and_come_back_after_the_hosts_start(host: Host) -> None:
    entry, secrets = host.entry("a"), {host.name("a"): {"token": "hush-memory"}}
    path, name = "/run/codeopen/secrets/token", f"codeopen-{host.name('a')}"
    container_of = host.client.containers.get
    assert host.ok(entry, secrets=secrets)["workspaces"][0]["action"] == "create"
    assert not host.ok(entry, secrets=secrets)["changed"]
    assert container_of(name).exec_run(f"cat {path}").output == b"hush-memory"
    assert not any(b"hush-memory" in file.read_bytes() for file in host.state_dir.rglob("*") if file.is_file())
    # What a reboot does: memory is empty, and the engine starts the container by itself.
    container_of(name).stop(timeout=1)
    shutil.rmtree(host.secret("a", "token").parent)
    container_of(name).start()
    assert container_of(name).exec_run(f"cat {path}").exit_code != 0
    told = host.ok(entry, secrets=secrets, check_mode=True)["workspaces"][0]
    done = host.ok(entry, secrets=secrets)["workspaces"][0]
    assert (told["action"], done["action"]) == ("apply", "apply")
    assert container_of(name).exec_run(f"cat {path}").output == b"hush-memory"
    assert container_of(name).exec_run(["sh", "-c", f"echo x >{path}"]).exit_code != 0
    # On disk, they stay.
    on_disk = {"secrets": secrets, "secrets_in": "disk"}
    assert host.ok(entry, check_mode=True, **on_disk)["workspaces"][0]["action"] == "update"
    assert host.ok(entry, **on_disk)["workspaces"][0]["action"] == "update"
    assert not host.ok(entry, **on_disk)["changed"]
    assert container_of(name).exec_run(f"cat {path}").output == b"hush-memory"


def test_hosts_one_after_the_other_and_none_after_one_that_failed(host: Host, tmp_path: Path) -> None:
    def run(mode: str, *options: str) -> str:
        hosts = {
            f"h{number}": {
                "codeopen_plan": {"workspaces": [host.entry(f"h{number}", mode=mode)]},
                "codeopen_state_dir": str(host.state_dir),
            }
            for number in (1, 2)
        }
        shared = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = tmp_path / "inventory.json"
        inventory.write_text(json.dumps({"codeopen": {"hosts": hosts, "vars": shared}}))
        command = shutil.which("ansible-playbook")
        assert command is not None
        # The play that deploys, without the one before it, which makes the plan.
        plays = yaml.safe_load((ROOT / "playbooks" / "deploy.yml").read_text())
        playbook = tmp_path / "deploy.yml"
        playbook.write_text(json.dumps(plays[1:]))
        done = subprocess.run(
            [command, "-i", str(inventory), *options, str(playbook)],
            capture_output=True, text=True, check=False, env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg")),
        )  # fmt: skip
        return done.stdout

    failed = run("dies", "-e", "codeopen_serial=1", "-e", "workspaces_lock_timeout=5")
    assert "it died with exit code 3" in failed, failed
    assert host.container("h1") is not None
    assert host.container("h2") is None
    done = run("healthy")
    assert done.count("changed=1") == 2, done
    assert done.count("PLAY [Deploy the workspaces]") == 1
    again = run("healthy", "-e", "codeopen_serial=1")
    assert again.count("changed=0") == 2, again
    assert again.count("PLAY [Deploy the workspaces]") == 2
