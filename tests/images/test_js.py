# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flavor js: every tool does its work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.catalogue

FLAVOR = Path(__file__).parents[2] / "images" / "flavors" / "js"
TOOLS = json.loads((FLAVOR / "tools" / "package.json").read_text(encoding="utf-8"))["dependencies"]


def test_node_is_the_pinned_one(js: Any) -> None:
    pinned = yaml.safe_load((FLAVOR / "component.yml").read_text(encoding="utf-8"))["args"]["NODE_VERSION"]
    assert js.run("node --version") == f"v{pinned}"


@pytest.mark.parametrize("tool", ["npm", "pnpm", "esbuild", "tsx", "vite", "yarn"])
def test_tool_is_the_pinned_one(js: Any, tool: str) -> None:
    pinned = TOOLS["@yarnpkg/cli-dist" if tool == "yarn" else tool]
    assert pinned in js.run(f"cd /tmp && {tool} --version")


def test_npm_installs_for_the_user(js: Any) -> None:
    js.run("cd /tmp && npm install --global --silent is-odd@3.0.1")
    assert js.run("ls -d /home/developer/.local/lib/node_modules/is-odd")


@pytest.mark.parametrize(
    "install",
    ["npm install --silent is-odd@3.0.1", "pnpm add --silent is-odd@3.0.1", "yarn add is-odd@3.0.1"],
)
def test_package_managers_install(js: Any, install: str) -> None:
    folder = f"/tmp/{install.split()[0]}-project"
    # Yarn's own way of linking needs its loader, so it is asked for node_modules
    js.run(
        f'mkdir -p {folder} && cd {folder} && echo \'{{"name": "p"}}\' >package.json && touch yarn.lock && '
        f"echo 'nodeLinker: node-modules' >.yarnrc.yml && {install}"
    )
    assert js.run(f"cd {folder} && node -p 'require(\"is-odd\")(3)'") == "true"


def test_tsx_runs_typescript(js: Any) -> None:
    js.run("echo 'const answer: number = 6 * 7; console.log(answer)' >/tmp/answer.ts")
    assert js.run("tsx /tmp/answer.ts") == "42"


def test_esbuild_builds(js: Any) -> None:
    js.run("echo 'export const answer: number = 6 * 7; console.log(answer)' >/tmp/bundle.ts")
    js.run("cd /tmp && esbuild bundle.ts --bundle --outfile=/tmp/bundle.js --log-level=error")
    assert js.run("node /tmp/bundle.js") == "42"


def test_vite_builds(js: Any) -> None:
    js.run(
        'mkdir -p /tmp/site && cd /tmp/site && echo \'{"type": "module"}\' >package.json && '
        'echo \'<script type="module" src="/main.ts"></script>\' >index.html && '
        "echo 'const answer: number = 42; document.title = String(answer)' >main.ts && vite build"
    )
    assert "42" in js.run("cat /tmp/site/dist/assets/*.js")
