# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each preset as it comes: the tools that its list names are there and work, and those that it leaves out are not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue
from browser import chromium, page_of
from composed_flavors import COMMANDS, WORKS, check_parts, make_poetry_project, planned
from editor import edit_a_file
from running_workspace import RunningWorkspace, docker, engine_options, running_workspace

pytestmark = pytest.mark.catalogue

CATALOGUE = find_catalogue()
MEGABYTE = 1_000_000
# Tools whose command is called otherwise.
COMMAND = {"delve": "dlv", "jupyterlab": "jupyter", "typescript": "tsc"}
# What is no command.
NO_COMMAND = {"copilot-chat"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """The preset opencode-sandbox with what its parts need from the engine."""
    entry = planned(preset="opencode-sandbox")
    with running_workspace(entry["image"], tmp_path_factory.mktemp("secrets"), *engine_options(entry)) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def dev8(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """The preset dev8-mvp, its editor published."""
    options = ("--publish", "127.0.0.1::8080")
    image = planned(preset="dev8-mvp")["image"]
    with running_workspace(image, tmp_path_factory.mktemp("secrets"), *options) as workspace:
        yield workspace


def test_the_sandbox_has_the_tools_of_all_its_parts(sandbox: RunningWorkspace) -> None:
    preset = CATALOGUE.presets["opencode-sandbox"]
    check_parts(sandbox, [*CATALOGUE.flavors[preset.flavor].components, *preset.addons])


@pytest.mark.parametrize("language", WORKS)
def test_the_sandbox_works_in_each_of_its_languages(sandbox: RunningWorkspace, language: str) -> None:
    WORKS[language](sandbox)


def test_the_sandbox_has_an_engine_inside(sandbox: RunningWorkspace) -> None:
    assert sandbox.run("docker info --format '{{.ServerVersion}}'").stdout.strip()


def test_dev8_is_below_the_size_that_its_list_hopes_for() -> None:
    image = planned(preset="dev8-mvp")["image"]
    assert json.loads(docker("image", "inspect", image).stdout)[0]["Size"] < 2500 * MEGABYTE


def test_dev8_has_what_it_does_not_leave_out(dev8: RunningWorkspace) -> None:
    preset = CATALOGUE.presets["dev8-mvp"]
    absent = {COMMAND.get(tool, tool) for tool in preset.leave_out if tool not in NO_COMMAND}
    commands = [
        command
        for part in (*CATALOGUE.flavors[preset.flavor].components, *preset.addons)
        for command in COMMANDS[part].split()
    ]
    assert absent < {*commands, "gcloud"}
    found = {command: dev8.run(f"command -v {command}", check=False).stdout.strip() for command in {*commands, *absent}}
    assert {command for command, where in found.items() if not where} == absent
    assert set(preset.leave_out) <= set(_labels(dev8)["codeopen.left-out"].split())


def _labels(workspace: RunningWorkspace) -> dict[str, str]:
    labels: dict[str, str] = json.loads(docker("inspect", workspace.name).stdout)[0]["Config"]["Labels"]
    return labels


def test_dev8_works_in_each_of_its_languages(dev8: RunningWorkspace) -> None:
    dev8.write("/tmp/js/answer.ts", "const answer: number = 42;\nconsole.log(answer);\n")
    assert dev8.run("bun answer.ts && node --eval 'console.log(6 * 7)'", workdir="/tmp/js").stdout == "42\n42\n"
    dev8.run("npm init --yes >/dev/null && npm install --silent is-odd", workdir="/tmp/js")
    assert dev8.run("node --eval \"console.log(require('is-odd')(41))\"", workdir="/tmp/js").stdout == "true\n"
    make_poetry_project(dev8)
    dev8.write("/tmp/go/go.mod", "module example.org/demo\n\ngo 1.22\n")
    dev8.write("/tmp/go/main.go", "package main\n\nfunc main() { println(6 * 7) }\n")
    assert dev8.run("go build -o demo . && ./demo", workdir="/tmp/go").stderr == "42\n"


def test_dev8_s_cloud_command_lines_answer(dev8: RunningWorkspace) -> None:
    assert "CLI self-test completed: OK" in dev8.run("az self-test 2>&1").stdout
    refused = dev8.run("AWS_REGION=eu-central-1 aws sts get-caller-identity", check=False)
    assert "credentials" in refused.stderr


def test_a_person_edits_a_file_in_dev8(dev8: RunningWorkspace, tmp_path: Path) -> None:
    with chromium() as browser, page_of(browser) as page:
        edit_a_file(page, dev8, tmp_path)


def test_dev8_s_editor_has_no_chat(dev8: RunningWorkspace) -> None:
    vscode = "/opt/code-server/lib/node_modules/code-server/lib/vscode"
    assert dev8.run(f"ls -d {vscode}/extensions/copilot {vscode}/node_modules/@github/*", check=False).stdout == ""
    assert _labels(dev8)["codeopen.left-out"].split().count("copilot-chat") == 1
