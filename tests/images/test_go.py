# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavor go: a module with a dependency, and what a person does with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

MAIN = """\
package main

import (
    "fmt"

    "rsc.io/quote/v3"
)

func greeting(name string) string {
    return quote.HelloV3() + " " + name
}

func main() {
    fmt.Println(greeting("codeopen"))
}
"""
TEST = """\
package main

import "testing"

func TestGreeting(t *testing.T) {
    if got := greeting("you"); got != "Hello, world. you" {
        t.Fatal(got)
    }
}
"""
FAULT = """\
package main

import "os"

func faulty() {
    os.Remove("somewhere")
}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with a small module in its workspace folder."""
    with running_workspace(image_of("go"), tmp_path_factory.mktemp("secrets")) as workspace:
        workspace.write("/workspace/main.go", MAIN)
        workspace.write("/workspace/main_test.go", TEST)
        workspace.run("go mod init example.org/demo && go get rsc.io/quote/v3@v3.1.0 && go mod tidy")
        yield workspace


def test_a_module_with_a_dependency_builds_and_runs(workspace: RunningWorkspace) -> None:
    # LANG picks the language of the greeting.
    assert workspace.run("go build -o /tmp/demo . && LANG=en /tmp/demo").stdout == "Hello, world. codeopen\n"
    assert "rsc.io/quote/v3 v3.1.0 h1:" in workspace.run("cat go.sum").stdout


def test_tests_run_with_the_race_detector(workspace: RunningWorkspace) -> None:
    assert "--- PASS: TestGreeting" in workspace.run("LANG=en go test -race -v ./...").stdout


def test_a_program_with_c_in_it_builds(workspace: RunningWorkspace) -> None:
    program = '// int answer(void) { return 42; }\nimport "C"\n\nfunc main() { println(C.answer()) }\n'
    workspace.write("/tmp/c/main.go", f"package main\n\n{program}")
    assert workspace.run("go run ./main.go", workdir="/tmp/c").stderr == "42\n"


def test_golangci_lint_finds_a_planted_fault_and_nothing_else(workspace: RunningWorkspace) -> None:
    assert "0 issues" in workspace.run("golangci-lint run ./...").stdout
    workspace.write("/workspace/fault.go", FAULT)
    try:
        done = workspace.run("golangci-lint run ./...", check=False)
    finally:
        workspace.run("rm fault.go")
    assert done.returncode == 1
    assert "Error return value of `os.Remove` is not checked (errcheck)" in done.stdout


def test_gopls_finds_definitions_in_the_module_and_in_the_dependency(workspace: RunningWorkspace) -> None:
    call = position('greeting("codeopen")')
    found = workspace.run(f"gopls definition main.go:{call}").stdout
    assert "/workspace/main.go" in found
    assert "func greeting(name string) string" in found
    found = workspace.run(f"gopls definition main.go:{position('HelloV3')}").stdout
    assert "/home/developer/go/pkg/mod/rsc.io/quote/v3@v3.1.0" in found


def position(text: str) -> str:
    """Where a text begins in MAIN, as line:column from 1."""
    before = MAIN[: MAIN.index(text)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def test_delve_stops_at_a_breakpoint_and_prints_a_variable(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/commands", "break main.greeting\ncontinue\nprint name\nexit\n")
    done = workspace.run("dlv debug --allow-non-terminal-interactive=true --init /tmp/commands . </dev/null")
    assert '"codeopen"' in done.stdout


def test_air_builds_again_when_a_file_changes(workspace: RunningWorkspace) -> None:
    workspace.run("rm -rf ~/air && cp -r /workspace ~/air")
    workspace.run(
        "cd ~/air && (setsid air >/tmp/air.log 2>&1 & echo $! >/tmp/air.pid);"
        " timeout 300 sh -c 'until grep -q codeopen /tmp/air.log; do sleep 0.3; done';"
        " sed -i s/codeopen/changed/ main.go;"
        " timeout 300 sh -c 'until grep -q changed /tmp/air.log; do sleep 0.3; done'; kill $(cat /tmp/air.pid)"
    )


def test_installed_commands_are_found_and_the_toolchain_is_not_in_the_home_volume(workspace: RunningWorkspace) -> None:
    workspace.run("mkdir -p ~/hello && cd ~/hello && cp /workspace/main.go . && cp /workspace/go.* . && go install .")
    assert workspace.run("command -v demo").stdout == "/home/developer/go/bin/demo\n"
    tools = workspace.run("readlink -f $(command -v go gofmt gopls golangci-lint air dlv)").stdout.split()
    assert len(tools) == 6
    assert all(tool.startswith("/opt/go/") for tool in tools)


def test_no_caches_are_in_the_image(workspace: RunningWorkspace) -> None:
    image = docker("inspect", "--format", "{{.Image}}", workspace.name).stdout.strip()
    script = "find / -xdev \\( -path '*/pkg/mod' -o -name go-build -o -name build-go \\) 2>/dev/null; ls -A /home/developer /tmp /src"
    found = docker("run", "--rm", "--user", "root", "--entrypoint", "bash", image, "-c", script, check=False).stdout
    assert "pkg/mod" not in found
    assert "go-build" not in found
    assert "build-go" not in found
