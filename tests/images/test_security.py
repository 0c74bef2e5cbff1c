# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on security: planted weaknesses and secrets are found, and what is encrypted or signed comes back or is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from running_workspace import RunningWorkspace, image_of, running_workspace

pytestmark = pytest.mark.catalogue

# Shaped like a key of GitHub's, and nobody's.
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
# No key log, no database of vulnerabilities: neither is reached from everywhere.
OFFLINE = "--offline-scan --skip-check-update --quiet"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    with running_workspace(image_of("security"), tmp_path_factory.mktemp("secrets")) as workspace:
        yield workspace


def test_gitleaks_finds_a_secret_that_was_committed_and_removed(workspace: RunningWorkspace) -> None:
    workspace.run(
        "git init -q ~/shop && cd ~/shop && git config user.name T && git config user.email t@example.org;"
        f"echo 'token = \"{TOKEN}\"' >settings.py; git add . && git commit -qm one;"
        "echo 'token = None' >settings.py; git commit -qam two"
    )
    assert workspace.run("cd ~/shop && gitleaks dir --no-banner .").returncode == 0
    found = workspace.run("cd ~/shop && gitleaks git --no-banner --redact --report-path /tmp/leaks.json .", check=False)
    assert found.returncode == 1, found.stdout + found.stderr
    (leak,) = json.loads(workspace.run("cat /tmp/leaks.json").stdout)
    assert (leak["RuleID"], leak["File"]) == ("github-pat", "settings.py")
    assert TOKEN not in found.stdout + found.stderr


def test_trivy_finds_a_planted_secret_and_a_misconfiguration(workspace: RunningWorkspace) -> None:
    workspace.write("/home/developer/site/settings.py", f'token = "{TOKEN}"\n')
    workspace.write("/home/developer/site/Dockerfile", "FROM debian:latest\nRUN apt-get update\nUSER root\n")
    done = workspace.run(f"trivy fs {OFFLINE} --scanners secret,misconfig --format json ~/site")
    results = json.loads(done.stdout)["Results"]
    secrets = [finding["RuleID"] for result in results for finding in result.get("Secrets") or []]
    faults = [finding["ID"] for result in results for finding in result.get("Misconfigurations") or []]
    assert secrets == ["github-pat"]
    assert any(fault.endswith("0002") for fault in faults), faults
    assert workspace.run(f"trivy fs {OFFLINE} --scanners secret --exit-code 3 ~/site", check=False).returncode == 3


def test_trivy_lists_what_a_project_depends_on(workspace: RunningWorkspace) -> None:
    workspace.write("/home/developer/pear/requirements.txt", "requests==2.32.3\n")
    done = workspace.run(f"trivy fs {OFFLINE} --format cyclonedx ~/pear")
    components = {(entry["name"], entry.get("version")) for entry in json.loads(done.stdout)["components"]}
    assert ("requests", "2.32.3") in components


def test_trivy_names_the_database_that_it_does_not_reach(workspace: RunningWorkspace) -> None:
    done = workspace.run("trivy fs --db-repository localhost:9/nothing --scanners vuln ~/pear", check=False)
    assert done.returncode != 0
    assert "localhost:9/nothing" in done.stdout + done.stderr


@pytest.mark.parametrize(("line", "code"), [("RUN sudo true", 1), ("USER 1000", 0)], ids=["planted", "clean"])
def test_hadolint_judges_a_dockerfile(workspace: RunningWorkspace, line: str, code: int) -> None:
    workspace.write("/tmp/Dockerfile", f"FROM debian:13\n{line}\n")
    done = workspace.run("hadolint /tmp/Dockerfile", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("DL3004" in done.stdout) is bool(code)


def test_age_gives_a_file_only_to_its_key(workspace: RunningWorkspace) -> None:
    workspace.run(
        "cd /tmp && age-keygen -o ours.txt 2>/dev/null && age-keygen -o theirs.txt 2>/dev/null;"
        "echo pear | age --recipient $(age-keygen -y ours.txt) --output fruit.age"
    )
    assert workspace.run("age --decrypt --identity /tmp/ours.txt /tmp/fruit.age").stdout == "pear\n"
    assert workspace.run("age --decrypt --identity /tmp/theirs.txt /tmp/fruit.age", check=False).returncode != 0


def test_sops_encrypts_values_with_a_key_from_the_secrets_directory(workspace: RunningWorkspace) -> None:
    workspace.run("age-keygen -o /tmp/sops.txt 2>/dev/null")
    workspace.write_secret("age-key", workspace.run("cat /tmp/sops.txt").stdout)
    workspace.run(
        "cd /tmp && echo 'fruit: pear' >plain.yaml && age-keygen -y sops.txt >recipient;"
        "sops encrypt --age $(cat recipient) plain.yaml >secret.yaml && rm sops.txt"
    )
    text = workspace.run("cat /tmp/secret.yaml").stdout
    assert "fruit: ENC[" in text
    assert "pear" not in text
    shown = workspace.run(
        "SOPS_AGE_KEY_FILE=/run/codeopen/secrets/age-key sops decrypt --extract '[\"fruit\"]' /tmp/secret.yaml"
    )
    assert shown.stdout.strip() == "pear"
    assert workspace.run("sops decrypt /tmp/secret.yaml", check=False).returncode != 0


def test_a_server_with_mkcerts_certificate_is_trusted_by_who_trusts_its_authority(workspace: RunningWorkspace) -> None:
    workspace.run("cd /tmp && mkcert shop.test localhost 2>&1")
    workspace.run(
        "cd /tmp && python3 -c '\n"
        "import http.server, ssl\n"
        'server = http.server.HTTPServer(("127.0.0.1", 8443), http.server.SimpleHTTPRequestHandler)\n'
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
        'context.load_cert_chain("shop.test+1.pem", "shop.test+1-key.pem")\n'
        "server.socket = context.wrap_socket(server.socket, server_side=True)\n"
        "server.serve_forever()' >/tmp/server.log 2>&1 &\n"
        "timeout 60 bash -c 'until (exec 3<>/dev/tcp/127.0.0.1/8443) 2>/dev/null; do sleep 0.2; done'"
    )
    ask = "curl --silent --show-error --noproxy '*' --output /dev/null https://localhost:8443/"
    trusted = workspace.run(f'{ask} --cacert "$(mkcert -CAROOT)/rootCA.pem"', check=False)
    assert trusted.returncode == 0, trusted.stderr
    assert workspace.run(ask, check=False).returncode == 60


def test_cosign_verifies_what_its_key_signed_and_nothing_else(workspace: RunningWorkspace) -> None:
    workspace.run(
        "cd /tmp && export COSIGN_PASSWORD=pear && cosign generate-key-pair >/dev/null 2>&1 && echo 1.0 >release;"
        "cosign sign-blob --yes --tlog-upload=false --key cosign.key --output-signature release.sig release >/dev/null 2>&1"
    )
    verify = (
        "cd /tmp && cosign verify-blob --insecure-ignore-tlog --key cosign.pub --signature release.sig release 2>&1"
    )
    assert "Verified OK" in workspace.run(verify).stdout
    assert workspace.run(f"echo 1.1 >/tmp/release; {verify}", check=False).returncode != 0
