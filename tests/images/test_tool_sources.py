# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How tools get into images: what is fetched is checked, and a tool that cannot be had stops the build by its name.

The mirror of release archives is a stand-in on loopback with one small archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from local_server import local_server
from running_workspace import docker, image_of, network_settings

pytestmark = pytest.mark.catalogue

PROJECT = Path(__file__).resolve().parents[2]
# Nothing listens there.
CLOSED = "http://127.0.0.1:9"
URL = "https://releases.example.com/tidy/tidy-1.0.tar.gz"
GO_MOD = """module codeopen.tools/tidy

go 1.24

tool example.com/tidy

require example.com/tidy v1.0.0
"""
GO_SUM = """example.com/tidy v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
example.com/tidy v1.0.0/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
"""


def archive() -> bytes:
    """The release archive: one program."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        text = b"#!/bin/sh\necho from the archive\n"
        member = tarfile.TarInfo("tidy")
        member.size, member.mode = len(text), 0o755
        packed.addfile(member, io.BytesIO(text))
    return stream.getvalue()


ARCHIVE = archive()
RIGHT = hashlib.sha256(ARCHIVE).hexdigest()
WRONG = hashlib.sha256(b"another archive").hexdigest()


class Mirror(BaseHTTPRequestHandler):
    """A mirror that has the archive, and nothing else."""

    def do_GET(self) -> None:
        """The archive, or 404."""
        content = ARCHIVE if self.path == "/mirror/" + URL.partition("://")[2] else b""
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing needs to be said."""


@pytest.fixture(scope="module")
def mirror() -> Iterator[str]:
    with local_server(Mirror) as address:
        yield f"{address}/mirror"


class Context:
    """A build context with one tool's pin, built on the host's own network, where the stand-in is."""

    def __init__(self, folder: Path, image: str) -> None:
        self.folder = folder
        self.image = image

    def write(self, path: str, text: str) -> None:
        file = self.folder / "context" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def build(self, command: str, settings: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Build an image on the base; the step's helpers find the context under /src."""
        (self.folder / "network").write_text(settings + network_settings(), encoding="utf-8")
        self.write(
            "Dockerfile",
            f'FROM {image_of("base")}\nUSER root\nARG LEAVE_OUT=""\nCOPY . /src/\n'
            f"RUN --mount=type=secret,id=network {command}\nUSER developer\n",
        )
        return docker(
            "build", "--progress", "plain", "--no-cache", "--network", "host", "--tag", self.image,
            "--secret", f"id=network,src={self.folder}/network", *options, f"{self.folder}/context", check=False,
        )  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = Context(tmp_path, f"codeopen-test-{secrets.token_hex(4)}")
    yield made
    docker("image", "rm", "--force", made.image, check=False)


def pin(checksum: str) -> str:
    """The release file, for both architectures."""
    return "".join(f"{machine} {URL} sha256:{checksum}\n" for machine in ("amd64", "arm64"))


FETCH = "fetch-release tidy /src/tidy.tar.gz"


def test_a_release_archive_comes_from_the_mirror_and_is_checked(context: Context, mirror: str) -> None:
    context.write("tools/tidy.release", f"# Why it is this one.\n{pin(RIGHT)}")
    done = context.build(f"{FETCH} && tar -C /usr/local/bin -xzf /src/tidy.tar.gz", f"release_mirror={mirror}\n")
    assert done.returncode == 0, done.stderr
    assert docker("run", "--rm", "--entrypoint", "tidy", context.image).stdout == "from the archive\n"


def test_another_archive_than_the_pinned_one_stops_the_build(context: Context, mirror: str) -> None:
    context.write("tools/tidy.release", pin(WRONG))
    done = context.build(f"{FETCH} || {{ ls /src; exit 1; }}", f"release_mirror={mirror}\n")
    assert done.returncode != 0
    assert f"expected sha256:{WRONG}, got sha256:{RIGHT}" in done.stderr
    assert f"fetch-release: tidy from {mirror}/" in done.stderr
    assert "is not what tools/tidy.release says" in done.stderr
    # Nothing of it is left for a step that goes on regardless.
    assert " tidy.tar.gz" not in done.stderr


def test_a_release_that_the_mirror_does_not_have_stops_the_build(context: Context, mirror: str) -> None:
    context.write("tools/tidy.release", pin(RIGHT))
    done = context.build(FETCH, f"release_mirror={mirror}/elsewhere\n")
    assert done.returncode != 0
    assert f"fetch-release: could not get tidy from {mirror}/elsewhere/releases.example.com" in done.stderr
    assert "404" in done.stderr


def test_a_release_without_a_pin_for_the_architecture_stops_the_build(context: Context, mirror: str) -> None:
    context.write("tools/tidy.release", pin(RIGHT).replace("amd64", "m68k").replace("arm64", "s390x"))
    done = context.build(FETCH, f"release_mirror={mirror}\n")
    assert done.returncode != 0
    assert "fetch-release: tidy.release has no line for " in done.stderr


SOURCES = {
    "release": (FETCH, f"release_mirror={CLOSED}\n", "fetch-release: could not get tidy from"),
    "pypi": (
        "PIP_RETRIES=0 install-python-tool tidy /opt/tidy tidy",
        f"pip_index={CLOSED}/simple/\n",
        "install-python-tool: could not install tidy",
    ),
    "go": ("build-go-tool tidy /opt/tidy", f"go_proxy={CLOSED}\n", "build-go-tool: could not get or compile tidy"),
}


def write_pins(context: Context) -> None:
    """Pins of a tool called tidy from each source."""
    context.write("tools/tidy.release", pin(RIGHT))
    context.write("tools/tidy.txt", f"tidy==1.0 --hash=sha256:{RIGHT}\n")
    context.write("tidy/go.mod", GO_MOD)
    context.write("tidy/go.sum", GO_SUM)


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_does_not_answer_stops_the_build_with_the_tool_s_name(context: Context, source: str) -> None:
    command, settings, said = SOURCES[source]
    write_pins(context)
    if source == "go":
        # The toolchain's own source does answer; only the modules' does not.
        command = f"install-apt python3-pip >/dev/null && fetch-go /opt/build-go && {command}"
    done = context.build(command, settings)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("source", SOURCES)
def test_a_tool_that_is_left_out_needs_no_source(context: Context, source: str) -> None:
    command, settings, _said = SOURCES[source]
    write_pins(context)
    done = context.build(command, settings, "--build-arg", "LEAVE_OUT=other tidy")
    assert done.returncode == 0, done.stderr
    assert "tidy is left out" in done.stderr


def test_a_closed_source_stops_the_playbook_until_the_tool_is_left_out(tmp_path: Path) -> None:
    """Through the playbook: the failure names the tool, and an image without it has a label that says so."""
    image_of("base")
    name = f"tidy-{secrets.token_hex(4)}"
    folder = tmp_path / "images" / "addons" / name
    (folder / "tools").mkdir(parents=True)
    (folder / "README.md").write_text("# A tool from a source that does not answer\n", encoding="utf-8")
    (folder / "component.yml").write_text(
        f"---\nname: {name}\nkind: addon\nsummary: A tool\nsize_budget: 1MB\ntools: {{{name}: release}}\n",
        encoding="utf-8",
    )
    (folder / "tools" / f"{name}.release").write_text(pin(RIGHT), encoding="utf-8")
    (folder / "Dockerfile").write_text(
        'ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nUSER root\nARG LEAVE_OUT=""\nCOPY tools/ /src/tools/\n'
        f"RUN --mount=type=secret,id=network fetch-release {name} /opt/tidy.tar.gz\nUSER developer\n",
        encoding="utf-8",
    )
    variables = {
        "codeopen_workspaces": [{"name": "tidy", "flavor": "bare", "addons": [name]}],
        "codeopen_catalogue_paths": [str(PROJECT / "tests" / "images" / "catalogue"), str(tmp_path / "images")],
        "codeopen_network": {"release_mirror": CLOSED},
        "codeopen_state_dir": str(tmp_path / "state"),
    }

    def play(**more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/playbook.sh", "playbooks/build.yml", "--extra-vars", json.dumps({**variables, **more})],
            cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    image = f"codeopen-bare-{name}:0.1.0"
    try:
        failed = play()
        assert failed.returncode != 0
        assert f"could not get {name} from {CLOSED}" in failed.stdout + failed.stderr
        assert docker("image", "inspect", image, check=False).returncode != 0
        done = play(codeopen_leave_out=[name])
        assert done.returncode == 0, done.stdout + done.stderr
        label = docker("image", "inspect", "--format", '{{index .Config.Labels "codeopen.left-out"}}', image).stdout
        assert label.split() == [name]
    finally:
        docker("image", "rm", "--force", image, check=False)
