# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of composed flavors and presets share: their images, and a small piece of work in each language."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import plan_from_files
from running_workspace import RunningWorkspace, docker

COMMANDS = {
    "js": "node npm npx pnpm yarn bun tsx tsc esbuild vite prettier eslint biome jest vitest",
    "python": "python pip uv poetry jupyter ipython pytest black ruff gcc",
    "go": "go gofmt gopls golangci-lint air dlv",
    "rust": "rustc cargo cargo-clippy rustfmt rust-analyzer cargo-nextest cargo-audit cargo-deny sccache mold",
    "ai-tools": "copilot",
    "cloud": "aws az terraform kubectl",
    "code-server": "code-server",
    "databases": "psql redis-cli mongosh mysql sqlite3",
    "docker": "docker dockerd",
    "kubernetes": "kubectl helm k9s stern dive",
    "security": "trivy gitleaks hadolint age age-keygen sops mkcert cosign",
    "ssh": "sftp",
    "toolbox": "zsh starship tmux vim nvim delta difft lazygit gh yq fzf fd bat eza tree glow just direnv http wget"
    " shellcheck shfmt procs dust duf btop htop protoc grpcurl act mise make g++ 7z zstd lz4 brotli cpio bsdtar",
}


def planned(**wish: str) -> dict[str, Any]:
    """Give the plan's workspace of a flavor or preset whose image the builder made of what its parts are now, or skip.

    Tools that the image was made without are left out of the plan too. With ``CODEOPEN_REQUIRE_IMAGES=1`` a missing
    image fails.
    """
    name = plan_from_files([{"name": "x", **wish}])["workspaces"][0]["image"]
    found = docker("image", "inspect", "--format", "{{json .Config.Labels}}", name, check=False)
    labels = json.loads(found.stdout) if found.returncode == 0 else {}
    left_out = labels.get("codeopen.left-out", "").split()
    entry: dict[str, Any] = plan_from_files([{"name": "x", **wish}], leave_out=left_out)["workspaces"][0]
    if labels.get("codeopen.recipe") == entry["recipe"]:
        return entry
    reason = f"{name} is not built of what its parts are now"
    if os.environ.get("CODEOPEN_REQUIRE_IMAGES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def check_parts(workspace: RunningWorkspace, parts: Iterable[str]) -> None:
    """Every command of the parts is found, and none in the home volume."""
    for part in parts:
        for command in COMMANDS[part].split():
            where = workspace.run(f"command -v {command}", check=False).stdout.strip()
            assert where, f"{part}: no {command}"
            assert not where.startswith("/home/"), where


def _js(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/js/package.json", json.dumps({"type": "module"}))
    workspace.write("/tmp/js/index.html", '<script type="module" src="/main.ts"></script>\n')
    workspace.write("/tmp/js/main.ts", "const answer: number = 42;\ndocument.title = String(answer);\n")
    workspace.run("vite build", workdir="/tmp/js")
    assert "42" in workspace.run("cat /tmp/js/dist/assets/*.js").stdout


def make_poetry_project(workspace: RunningWorkspace) -> None:
    """Make one, with a dependency, and run it."""
    # pip's own index by the standard interface: mirrors seldom have the one that Poetry prefers
    index = workspace.run(
        "python -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)'"
    ).stdout.strip()
    folder = "/tmp/poetry-project"
    workspace.run("poetry new --quiet poetry-project", workdir="/tmp")
    workspace.run(f"poetry source add --priority=primary simple {index}/ && poetry add --quiet six", workdir=folder)
    assert workspace.run("poetry run python -c 'import six; print(6 * 7)'", workdir=folder).stdout == "42\n"


def _python(workspace: RunningWorkspace) -> None:
    workspace.run("uv init --quiet --python /usr/bin/python3 /tmp/py && cd /tmp/py && uv add --quiet six")
    assert workspace.run("uv run python -c 'import six; print(6 * 7)'", workdir="/tmp/py").stdout == "42\n"


def _go(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/go/go.mod", "module example.org/demo\n\ngo 1.22\n")
    workspace.write("/tmp/go/main.go", "package main\n\nfunc main() { println(6 * 7) }\n")
    assert workspace.run("go build -o demo . && ./demo", workdir="/tmp/go").stderr == "42\n"
    workspace.run("golangci-lint run ./...", workdir="/tmp/go")


def _rust(workspace: RunningWorkspace) -> None:
    workspace.run("cargo new --quiet --vcs none /tmp/rs")
    workspace.write("/tmp/rs/src/main.rs", 'fn main() {\n    println!("{}", 6 * 7);\n}\n')
    assert workspace.run("cargo run --quiet", workdir="/tmp/rs").stdout == "42\n"
    workspace.run("cargo clippy --quiet -- --deny warnings", workdir="/tmp/rs")


# A small piece of work in each language; asserts what comes of it.
WORKS: dict[str, Callable[[RunningWorkspace], None]] = {"js": _js, "python": _python, "go": _go, "rust": _rust}
