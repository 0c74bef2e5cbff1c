# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavor js: a small app of Vite is installed, built and tested, and every tool does its work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from running_workspace import RunningWorkspace, image_of, running_workspace

pytestmark = pytest.mark.catalogue

FLAVOR = Path(__file__).parents[2] / "images" / "flavors" / "js"
PINS = json.loads((FLAVOR / "tools" / "package.json").read_text(encoding="utf-8"))["dependencies"]
ARGUMENTS = yaml.safe_load((FLAVOR / "component.yml").read_text(encoding="utf-8"))["args"]
# What a tool's command is called, where not as itself.
COMMANDS = {"typescript": "tsc"}
APP = {
    "package.json": json.dumps(
        {
            "name": "app",
            "private": True,
            "type": "module",
            "scripts": {"build": "vite build", "test": "vitest run"},
            "dependencies": {"is-odd": "3.0.1"},
            "devDependencies": {"vite": PINS["vite"], "vitest": PINS["vitest"]},
        }
    ),
    "index.html": '<!doctype html>\n<title>app</title>\n<script type="module" src="/src/main.ts"></script>\n',
    "src/parity.ts": """\
import isOdd from "is-odd";

export function parity(value: number): string {
  return isOdd(value) ? "odd" : "even";
}
""",
    "src/main.ts": 'import { parity } from "./parity";\n\ndocument.title = `42 is ${parity(42)}`;\n',
    "src/parity.test.ts": """\
import { expect, test } from "vitest";
import { parity } from "./parity";

test("three is odd", () => {
  expect(parity(3)).toBe("odd");
});
""",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with a small app in its workspace folder, its dependencies installed."""
    with running_workspace(image_of("js"), tmp_path_factory.mktemp("secrets")) as workspace:
        for path, text in APP.items():
            workspace.write(f"/workspace/{path}", text)
        workspace.run("npm install --silent --no-audit")
        yield workspace


def test_node_and_bun_are_the_pinned_ones(workspace: RunningWorkspace) -> None:
    assert workspace.run("node --version").stdout == f"v{ARGUMENTS['NODE_VERSION']}\n"
    assert workspace.run("bun --version").stdout == f"{ARGUMENTS['BUN_VERSION']}\n"


@pytest.mark.parametrize("tool", PINS)
def test_a_tool_is_the_pinned_one(workspace: RunningWorkspace, tool: str) -> None:
    pinned = PINS[tool].rpartition("@")[2]
    assert pinned in workspace.run(f"{COMMANDS.get(tool, tool)} --version", workdir="/tmp").stdout


def test_headers_are_for_this_processor_alone(workspace: RunningWorkspace) -> None:
    machine = workspace.run("uname --machine").stdout.strip()
    assert workspace.run("ls /opt/node/include/node/openssl/archs").stdout.split() == [f"linux-{machine}"]


def test_only_the_tools_own_commands_are_found(workspace: RunningWorkspace) -> None:
    """What the tools are made of is not in PATH, where it would hide a person's commands of that name."""
    commands = set(workspace.run("ls /opt/js-tools/bin").stdout.split())
    assert {COMMANDS.get(tool, tool) for tool in PINS} | {"npx", "pnpx"} <= commands
    assert not commands & {"parser", "acorn", "semver", "js-yaml"}


def test_the_app_is_built(workspace: RunningWorkspace) -> None:
    workspace.run("npm run --silent build")
    assert "42 is " in workspace.run("cat dist/assets/*.js").stdout
    assert 'src="/assets/' in workspace.run("cat dist/index.html").stdout


def test_vite_serves_the_app(workspace: RunningWorkspace) -> None:
    workspace.run("(setsid vite --port 5199 --strictPort >/tmp/vite.log 2>&1 & echo $! >/tmp/vite.pid)")
    try:
        found = workspace.run(
            "curl --silent --fail --noproxy '*' --retry 100 --retry-delay 1 --retry-all-errors http://localhost:5199/src/main.ts"
        ).stdout
    finally:
        workspace.run("kill $(cat /tmp/vite.pid)")
    assert "/src/parity.ts" in found


def test_vitest_runs_the_app_s_tests_and_fails_a_wrong_one(workspace: RunningWorkspace) -> None:
    assert "1 passed" in workspace.run("NO_COLOR=1 npm test --silent").stdout
    workspace.write("/workspace/src/wrong.test.ts", APP["src/parity.test.ts"].replace('"odd"', '"even"'))
    try:
        done = workspace.run("NO_COLOR=1 npm test --silent", check=False)
    finally:
        workspace.run("rm src/wrong.test.ts")
    assert done.returncode == 1
    assert "expected 'odd' to be 'even'" in done.stdout + done.stderr


def test_jest_runs_tests_where_a_project_has_no_jest(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/jest/package.json", "{}")
    workspace.write("/tmp/jest/sum.test.js", 'test("adds", () => {\n  expect(40 + 2).toBe(42);\n});\n')
    assert "1 passed" in workspace.run("jest", workdir="/tmp/jest").stderr
    workspace.write("/tmp/jest/wrong.test.js", 'test("adds", () => {\n  expect(40 + 2).toBe(43);\n});\n')
    done = workspace.run("jest", workdir="/tmp/jest", check=False)
    assert done.returncode == 1
    assert "Expected: 43" in done.stderr


def test_eslint_finds_a_planted_fault_and_nothing_else(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/lint/eslint.config.mjs", 'export default [{ rules: { "no-unused-vars": "error" } }];\n')
    workspace.write("/tmp/lint/good.js", "export const answer = 42;\n")
    workspace.run("eslint .", workdir="/tmp/lint")
    workspace.write("/tmp/lint/bad.js", "const forgotten = 42;\n")
    done = workspace.run("eslint .", workdir="/tmp/lint", check=False)
    assert done.returncode == 1
    assert "'forgotten' is assigned a value but never used" in done.stdout


def test_biome_finds_a_planted_fault_and_nothing_else(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/biome/good.js", "export const answer = 42;\n")
    workspace.run("biome ci .", workdir="/tmp/biome")
    workspace.write("/tmp/biome/bad.js", "export const same = (a) => a == a;\n")
    done = workspace.run("biome lint .", workdir="/tmp/biome", check=False)
    assert done.returncode == 1
    assert "lint/suspicious" in done.stdout + done.stderr


def test_prettier_finds_and_mends_bad_formatting(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/format/bad.ts", "export const  answer:number=42")
    done = workspace.run("prettier --check bad.ts", workdir="/tmp/format", check=False)
    assert done.returncode == 1
    assert workspace.run("prettier bad.ts", workdir="/tmp/format").stdout == "export const answer: number = 42;\n"


def test_tsc_finds_a_planted_fault_and_nothing_else(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/types/good.ts", "export const answer: number = 42;\n")
    workspace.run("tsc --noEmit --strict good.ts", workdir="/tmp/types")
    workspace.write("/tmp/types/bad.ts", 'export const answer: number = "42";\n')
    done = workspace.run("tsc --noEmit --strict bad.ts", workdir="/tmp/types", check=False)
    assert done.returncode != 0
    assert "Type 'string' is not assignable to type 'number'" in done.stdout


def test_tsx_runs_typescript(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/answer.ts", "const answer: number = 6 * 7;\nconsole.log(answer);\n")
    assert workspace.run("tsx /tmp/answer.ts").stdout == "42\n"


def test_bun_runs_typescript(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/bun.ts", "const answer: number = 6 * 7;\nconsole.log(answer, typeof Bun);\n")
    assert workspace.run("bun run /tmp/bun.ts").stdout == "42 object\n"


def test_esbuild_builds(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/bundle.ts", "export const answer: number = 6 * 7;\nconsole.log(answer);\n")
    workspace.run("esbuild bundle.ts --bundle --outfile=/tmp/bundle.js --log-level=error", workdir="/tmp")
    assert workspace.run("node /tmp/bundle.js").stdout == "42\n"


@pytest.mark.parametrize(
    "install",
    [
        "npm install --silent is-odd@3.0.1",
        "pnpm add --silent is-odd@3.0.1",
        "yarn add is-odd@3.0.1",
        "bun add --silent is-odd@3.0.1",
    ],
)
def test_package_managers_install(workspace: RunningWorkspace, install: str) -> None:
    folder = f"/tmp/{install.split()[0]}-project"
    workspace.write(f"{folder}/package.json", '{"name": "p"}\n')
    if install.startswith("yarn"):
        # Its own way of linking needs its loader; the lock file makes this folder a project of its own.
        workspace.write(f"{folder}/.yarnrc.yml", "nodeLinker: node-modules\n")
        workspace.write(f"{folder}/yarn.lock", "")
    workspace.run(install, workdir=folder)
    assert workspace.run("node -p 'require(\"is-odd\")(3)'", workdir=folder).stdout == "true\n"


def test_npm_installs_for_the_user(workspace: RunningWorkspace) -> None:
    workspace.run("npm install --global --silent is-odd@3.0.1", workdir="/tmp")
    workspace.run("test -d /home/developer/.local/lib/node_modules/is-odd")
