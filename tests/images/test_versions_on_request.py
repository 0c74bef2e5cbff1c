# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavors js and go with another version of their language than the pinned one."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import yaml
from running_workspace import docker, network_settings

pytestmark = pytest.mark.catalogue

FLAVORS = Path(__file__).parents[2] / "images" / "flavors"
BASE = "codeopen-base:0.1.0"


def build(flavor: str, folder: Path, tag: str, **changed: str) -> None:
    """Build a flavor as it is, but for some arguments."""
    component = yaml.safe_load((FLAVORS / flavor / "component.yml").read_text(encoding="utf-8"))
    arguments = {"BASE_IMAGE": BASE, **component["args"], **changed}
    (folder / "network").write_text(network_settings())
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    docker(
        "build",
        "--quiet",
        "--tag",
        tag,
        "--secret",
        f"id=network,src={folder}/network",
        *options,
        str(FLAVORS / flavor),
    )


@pytest.mark.parametrize(
    ("flavor", "arguments", "path", "script", "said"),
    [
        (
            "js",
            {"NODE_VERSION": "22.23.3", "NODE_INTEGRITY_AMD64": "", "NODE_INTEGRITY_ARM64": ""},
            "/opt/js-tools/bin:/opt/node/bin",
            "node --version; echo 'console.log(6 * 7 as number)' >a.ts; tsx a.ts;"
            " echo 'test(\"t\", () => expect(1).toBe(1))' >t.test.js; echo '{}' >package.json; jest 2>&1 | grep 'Tests:'",
            "v22.23.3\n42\nTests:       1 passed, 1 total\n",
        ),
        (
            "go",
            {"GO_VERSION": "1.22.10"},
            "/opt/go/bin:/opt/go/tools/bin",
            "go version | cut -d ' ' -f 3; printf 'module m\\n\\ngo 1.22\\n' >go.mod;"
            " printf 'package main\\n\\nfunc main() { println(6 * 7) }\\n' >main.go; go run . 2>&1; golangci-lint run ./...",
            "go1.22.10\n42\n0 issues.\n",
        ),
    ],
    ids=["js", "go"],
)
def test_another_version_is_built_and_works(
    flavor: str, arguments: dict[str, str], path: str, script: str, said: str, tmp_path: Path
) -> None:
    if docker("image", "inspect", BASE, check=False).returncode:
        pytest.skip(f"image {BASE} is not built")
    tag = f"codeopen-test-{secrets.token_hex(4)}"
    try:
        build(flavor, tmp_path, tag, **arguments)
        work = f"export PATH={path}:$PATH GOTOOLCHAIN=local; mkdir /tmp/work; cd /tmp/work; {script}"
        assert docker("run", "--rm", "--entrypoint", "bash", tag, "-euc", work).stdout == said
    finally:
        docker("image", "rm", "--force", tag, check=False)
