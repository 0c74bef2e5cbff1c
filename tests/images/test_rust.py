# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavor rust: a crate with a dependency, and what a person does with it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from running_workspace import RunningWorkspace, image_of, running_workspace

pytestmark = pytest.mark.catalogue

MANIFEST = """\
[package]
name = "demo"
version = "0.1.0"
edition = "2021"
license = "MIT"

[dependencies]
itoa = "=1.0.11"
"""
MAIN = """\
fn text(number: u64) -> String {
    itoa::Buffer::new().format(number).to_string()
}

fn main() {
    println!("{}", text(42));
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_formats() {
        assert_eq!(super::text(7), "7");
    }
}
"""
ADVISORY = """\
```toml
[advisory]
id = "RUSTSEC-2020-0001"
package = "itoa"
date = "2020-01-01"
url = "https://example.org/"

[versions]
patched = [">= 99.0.0"]
```

# A planted advisory

Only for the test.
"""
# Speaks the language server protocol as an editor does: initialize, then hovers over `text` in main and over `String`.
HOVER = """\
import json, subprocess, sys, time
server = subprocess.Popen(["rust-analyzer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def send(**message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    server.stdin.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
    server.stdin.flush()
def answer(number):
    while True:
        length = 0
        while (line := server.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message = json.loads(server.stdout.read(length))
        if message.get("id") == number and "method" not in message:
            return message
uri = "file:///workspace/src/main.rs"
send(id=0, method="initialize", params={"processId": None, "rootUri": "file:///workspace", "capabilities": {}})
started = answer(0)["result"]["serverInfo"]
send(method="initialized", params={})
text = open("/workspace/src/main.rs").read()
send(method="textDocument/didOpen", params={"textDocument": {"uri": uri, "languageId": "rust", "version": 1, "text": text}})
numbers = iter(range(1, 240))
def hover(line, character):
    for number in numbers:
        where = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
        send(id=number, method="textDocument/hover", params=where)
        result = answer(number).get("result")
        if result:
            return result
        time.sleep(0.5)
print(json.dumps({"server": started["name"], "own": hover(5, 20), "standard": hover(0, 25)}))
server.kill()
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with a small crate in its workspace folder."""
    with running_workspace(image_of("rust"), tmp_path_factory.mktemp("secrets")) as workspace:
        workspace.write("/workspace/Cargo.toml", MANIFEST)
        workspace.write("/workspace/src/main.rs", MAIN)
        yield workspace


def test_a_crate_with_a_dependency_builds_and_runs(workspace: RunningWorkspace) -> None:
    assert workspace.run("cargo run --quiet").stdout == "42\n"


def test_clippy_finds_a_planted_fault_and_nothing_else(workspace: RunningWorkspace) -> None:
    workspace.run("cargo clippy --quiet -- --deny warnings")
    workspace.write("/workspace/src/main.rs", MAIN + "\npub fn faulty(x: &Vec<u8>) -> bool {\n    x.len() == 0\n}\n")
    try:
        done = workspace.run("cargo clippy --quiet -- --deny warnings", check=False)
    finally:
        workspace.write("/workspace/src/main.rs", MAIN)
    assert done.returncode != 0
    assert "clippy::len-zero" in done.stderr
    assert "clippy::ptr-arg" in done.stderr


def test_rustfmt_says_what_is_badly_formatted(workspace: RunningWorkspace) -> None:
    workspace.run("cargo fmt --check")
    workspace.write("/tmp/bad.rs", "fn main(){}\n")
    done = workspace.run("rustfmt --check /tmp/bad.rs", check=False)
    assert done.returncode == 1
    assert "+fn main() {}" in done.stdout


def test_nextest_runs_the_tests(workspace: RunningWorkspace) -> None:
    done = workspace.run("cargo nextest run --color never")
    assert "demo::bin/demo tests::it_formats" in done.stderr
    assert "1 test run: 1 passed" in done.stderr


def test_rust_analyzer_answers_an_editor(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/hover.py", HOVER)
    said = json.loads(workspace.run("timeout 500 python3 /tmp/hover.py 2>/dev/null").stdout)
    assert said["server"] == "rust-analyzer"
    assert "fn text(number: u64) -> String" in json.dumps(said["own"])
    assert "pub struct String" in json.dumps(said["standard"])


def test_cargo_deny_finds_a_licence_that_is_not_allowed(workspace: RunningWorkspace) -> None:
    workspace.write("/workspace/deny.toml", '[licenses]\nallow = ["MIT", "Apache-2.0"]\n')
    workspace.run("cargo deny check licenses")
    workspace.write("/workspace/deny.toml", '[licenses]\nallow = ["ISC"]\n')
    done = workspace.run("cargo deny --color never check licenses", check=False)
    assert done.returncode != 0
    assert "licenses FAILED" in done.stdout + done.stderr


def test_cargo_audit_finds_a_planted_advisory(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/advisories/crates/itoa/RUSTSEC-2020-0001.md", ADVISORY)
    workspace.run("cd /tmp/advisories && git init --quiet && git add . && "
                  "git -c user.name=t -c user.email=t@example.org commit --quiet --message t")  # fmt: skip
    done = workspace.run("cargo audit --color never --no-fetch --stale --db /tmp/advisories", check=False)
    assert done.returncode == 1
    assert "A planted advisory" in done.stdout


def test_sccache_takes_a_second_compilation_from_its_cache(workspace: RunningWorkspace) -> None:
    done = workspace.run(
        "export RUSTC_WRAPPER=sccache CARGO_INCREMENTAL=0; sccache --zero-stats >/dev/null;"
        " cargo build --quiet --target-dir /tmp/one; rm -r /tmp/one; cargo build --quiet --target-dir /tmp/one;"
        " sccache --show-stats --stats-format json; sccache --stop-server >/dev/null"
    )
    assert json.loads(done.stdout)["stats"]["cache_hits"]["counts"]["Rust"] >= 1


def test_mold_links(workspace: RunningWorkspace) -> None:
    workspace.run("RUSTFLAGS='-C link-arg=-fuse-ld=mold' cargo build --quiet --target-dir /tmp/mold")
    assert "mold" in workspace.run("strings -a /tmp/mold/debug/demo | grep '^mold [0-9]'").stdout
    assert workspace.run("/tmp/mold/debug/demo").stdout == "42\n"


def test_installed_commands_are_found(workspace: RunningWorkspace) -> None:
    workspace.run("cargo install --quiet --path /workspace")
    assert workspace.run("command -v demo").stdout == "/home/developer/.cargo/bin/demo\n"
