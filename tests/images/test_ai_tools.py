# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on ai-tools: keys reach the tools out of their files, also replaced ones, and are nowhere else."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

MODEL_STAND_IN = Path(__file__).resolve().parents[2] / "images/base/acp-gateway/tests/model_stand_in.py"
# What OpenCode is told about the stand-in, in the project; the key comes from the add-on.
PROJECT = {
    "$schema": "https://opencode.ai/config.json",
    "provider": {
        "stand-in": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Stand-in",
            "options": {"baseURL": "http://127.0.0.1:8701/v1"},
            "models": {"stand-in": {"name": "Stand-in", "limit": {"context": 32000, "output": 4000}}},
        }
    },
}
CERTIFICATE = """
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stand-in -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=api.github.com -keyout key.pem -out request.pem
echo subjectAltName=DNS:api.github.com,DNS:github.com >names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem
"""
# Shells bring in the network settings of the workspace by BASH_ENV, over these.
THROUGH_GITHUB = (
    "BASH_ENV= https_proxy=http://127.0.0.1:8702 SSL_CERT_FILE=/tmp/in/ca.pem NODE_EXTRA_CA_CERTS=/tmp/in/ca.pem"
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace without keys, in which the stand-ins run."""
    image = image_of("ai-tools")
    with running_workspace(image, tmp_path_factory.mktemp("secrets")) as workspace:
        for file in (MODEL_STAND_IN, Path(__file__).with_name("ai_stand_ins.py")):
            workspace.write(f"/tmp/in/{file.name}", file.read_text())
        workspace.write("/workspace/opencode.json", json.dumps(PROJECT))
        workspace.run(CERTIFICATE, workdir="/tmp/in")
        for arguments in ("model 8701", "github 8702 cert.pem key.pem"):
            docker("exec", "--detach", "--workdir", "/tmp/in", workspace.name, "sh", "-c",
                   f"exec python3 ai_stand_ins.py {arguments} >>log 2>&1")  # fmt: skip
        workspace.run(
            "timeout 60 sh -c 'until grep -q :21FD /proc/net/tcp && grep -q :21FE /proc/net/tcp; do sleep 0.2; done'"
        )
        yield workspace


@pytest.fixture
def key(workspace: RunningWorkspace) -> str:
    """A key that nobody else has, and no keys seen before."""
    workspace.run("rm -f /tmp/in/keys")
    return f"sk-{secrets.token_hex(16)}"


def seen(workspace: RunningWorkspace) -> set[str]:
    """The keys that the stand-ins were given since the test began."""
    return set(workspace.run("cat /tmp/in/keys").stdout.splitlines())


def take_up(workspace: RunningWorkspace, name: str, key: str) -> None:
    """Replace a NAME-api-key, and wait until the workspace has taken it up."""
    workspace.write_secret(name, key + "\n")
    workspace.run("codeopen-reload")
    older = f'[ -z "$(find /run/codeopen/secrets/{name} -newer /run/codeopen/ai-tools/seen)" ]'
    workspace.run(f"timeout 60 sh -c 'until {older}; do sleep 0.2; done'")


def ask_opencode(workspace: RunningWorkspace) -> str:
    """What the workspace's OpenCode answers to a hello, as JSON."""
    password = (workspace.secrets_dir / "password").read_text().strip()
    post = (
        f"curl --silent --show-error --fail --noproxy '*' --max-time 300 --user 'opencode:{password}' --json @-"
        " 'http://127.0.0.1:4096/session{}?directory=/workspace'"
    )
    session = json.loads(workspace.run(f"echo '{{}}' | {post.format('')}").stdout)["id"]
    message = json.dumps(
        {
            "model": {"providerID": "stand-in", "modelID": "stand-in"},
            "parts": [{"type": "text", "text": "hello"}],
        }
    )
    return workspace.run(f"echo '{message}' | {post.format(f'/{session}/message')}").stdout


def test_copilot_without_a_token_says_so(workspace: RunningWorkspace, key: str) -> None:
    done = workspace.run(f"{THROUGH_GITHUB} copilot --prompt hello", check=False)
    assert done.returncode == 1
    assert "No authentication information found" in done.stderr


@pytest.mark.parametrize("name", ["github-token", "copilot-token"])
def test_copilot_logs_in_by_a_token_file_read_at_each_start(workspace: RunningWorkspace, key: str, name: str) -> None:
    # Copilot asks gh where its own is refused.
    for other in {"github-token", "copilot-token"} - {name}:
        (workspace.secrets_dir / other).unlink(missing_ok=True)
    for token in (f"github_pat_1{key}", f"github_pat_2{key}"):
        workspace.run("rm -f /tmp/in/keys")
        workspace.write_secret(name, token + "\n")
        done = workspace.run(f"{THROUGH_GITHUB} copilot --prompt hello", check=False)
        assert "Bad credentials" in done.stderr
        assert {answer.split()[-1] for answer in seen(workspace)} == {token}


def test_gh_takes_the_token_file(workspace: RunningWorkspace, key: str) -> None:
    workspace.write_secret("github-token", f"github_pat_{key}\n")
    assert workspace.run("gh auth token").stdout.strip() == f"github_pat_{key}"


def test_a_token_that_the_person_sets_goes_first(workspace: RunningWorkspace, key: str) -> None:
    workspace.write_secret("github-token", "github_pat_file\n")
    workspace.run(f"GH_TOKEN=github_pat_{key} {THROUGH_GITHUB} copilot --prompt hello", check=False)
    assert {answer.split()[-1] for answer in seen(workspace)} == {f"github_pat_{key}"}


def test_copilot_takes_the_key_of_another_provider(workspace: RunningWorkspace, key: str) -> None:
    workspace.write_secret("openai-api-key", key + "\n")
    done = workspace.run(
        "COPILOT_OFFLINE=true COPILOT_PROVIDER_BASE_URL=http://127.0.0.1:8701/v1 COPILOT_MODEL=stand-in"
        " copilot --prompt hello --silent"
    )
    assert "STAND-IN ANSWER" in done.stdout
    assert seen(workspace) == {f"Bearer {key}"}


def test_opencode_takes_a_key_and_its_successor_without_a_restart(workspace: RunningWorkspace, key: str) -> None:
    server = workspace.run("pgrep --full 'opencode serve'").stdout
    for number in (1, 2):
        workspace.run("rm -f /tmp/in/keys")
        take_up(workspace, "stand-in-api-key", f"{key}-{number}")
        assert "STAND-IN ANSWER" in ask_opencode(workspace)
        assert seen(workspace) == {f"Bearer {key}-{number}"}
    assert workspace.run("pgrep --full 'opencode serve'").stdout == server


def test_a_program_gets_the_keys_by_with_ai_keys_alone(workspace: RunningWorkspace, key: str) -> None:
    workspace.write_secret("some-model-api-key", key + "\n")
    assert workspace.run("with-ai-keys printenv SOME_MODEL_API_KEY").stdout == f"{key}\n"
    assert key not in workspace.run("env").stdout
    assert workspace.run("with-ai-keys", check=False).returncode == 64


def test_a_key_that_cannot_be_used_is_named(workspace: RunningWorkspace, key: str) -> None:
    workspace.write_secret("empty-api-key", "")
    try:
        workspace.run("codeopen-reload")
        wanted = "/run/codeopen/secrets/empty-api-key is empty"
        workspace.run(f"timeout 60 sh -c 'until codeopen-health | grep -q \"{wanted}\"; do sleep 0.5; done'")
    finally:
        (workspace.secrets_dir / "empty-api-key").unlink()
    assert (
        "empty"
        not in workspace.run("/etc/codeopen/start.d/60-ai-tools; cat /run/codeopen/ai-tools/opencode.json").stdout
    )


def test_keys_are_in_their_files_alone(workspace: RunningWorkspace, key: str) -> None:
    for name in ("copilot-token", "github-token"):
        workspace.write_secret(name, f"{name}-{key}\n")
    take_up(workspace, "anthropic-api-key", f"anthropic-{key}")
    keys = [path.read_text().strip() for path in workspace.secrets_dir.iterdir() if path.name != "network"]
    image = docker("inspect", "--format", "{{.Image}}", workspace.name).stdout.strip()
    told = (
        docker("inspect", workspace.name).stdout
        + docker("image", "inspect", image).stdout
        + docker("history", "--no-trunc", image).stdout
        + workspace.logs()
        + workspace.run(
            "cat /run/codeopen/ai-tools/opencode.json; codeopen-health; tr '\\0' '\\n' </proc/1/environ"
        ).stdout
    )
    assert [one for one in keys if one in told] == []
    written = docker("diff", workspace.name).stdout.split()
    assert "/run/codeopen/ai-tools/opencode.json" in written
    for one in keys:
        found = workspace.run(
            f"grep -rlF -e '{one}' /run/codeopen/ai-tools /home/developer /var /etc 2>/dev/null", check=False
        )
        assert found.stdout == ""
