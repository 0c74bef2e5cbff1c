# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavor python with another Python, from a mirror.

The mirror is a stand-in on loopback. What it has is really installed and run: Debian's Python, packed as uv's makers
pack theirs, with a list that names it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from running_workspace import RunningWorkspace, docker, image_of, network_settings, running_workspace

pytestmark = pytest.mark.catalogue

FLAVOR = Path(__file__).parents[2] / "images" / "flavors" / "python"
# What uv replaces by the mirror.
RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"
ARCHIVE = "20260101/cpython-install_only.tar.gz"
PACK = """\
cd "$(mktemp -d)"
mkdir -p python/bin python/lib/python3/dist-packages
cp /usr/bin/python3.13 python/bin/
cp -r /usr/lib/python3.13 python/lib/
cp -r /usr/lib/python3/dist-packages/pip python/lib/python3/dist-packages/
rm -f python/lib/python3.13/EXTERNALLY-MANAGED
# Debian's own links lead out of the archive, which uv refuses.
find python -type l \\( -lname '/*' -o -xtype l \\) -delete
ln -s python3.13 python/bin/python3
ln -s python3.13 python/bin/python
for name in pip pip3; do
  printf '#!/bin/sh\\nexec "$(dirname "$(readlink -f "$0")")/python3" -m pip "$@"\\n' >python/bin/$name
  chmod 0755 python/bin/$name
done
tar --create --gzip python
"""


class Mirror:
    """A folder served on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        mirror = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, format: str, *arguments: Any) -> None:
                mirror.asked.append(self.path)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """The mirror with one Python, a list that names it, and a list with a wrong checksum."""
    image = image_of("python")
    folder = tmp_path_factory.mktemp("mirror")
    archive = folder / ARCHIVE
    archive.parent.mkdir()
    packer = docker(
        "create", "--user", "root", "--entrypoint", "bash", image, "-euc", f"( {PACK} ) >/tmp/python.tar.gz"
    )
    name = packer.stdout.strip()
    try:
        docker("start", "--attach", name)
        docker("cp", f"{name}:/tmp/python.tar.gz", str(archive))
    finally:
        docker("rm", "--force", name)
    said = docker("run", "--rm", "--entrypoint", "/usr/bin/python3", image, "--version").stdout
    major, minor, patch = (int(number) for number in said.split()[1].split("."))
    entry = {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{RELEASES}/{ARCHIVE}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": None,
        "build": "20260101",
    }
    key = f"cpython-{major}.{minor}.{patch}-linux-{platform.machine()}-gnu"
    (folder / "list.json").write_text(json.dumps({key: entry}))
    (folder / "wrong.json").write_text(json.dumps({key: {**entry, "sha256": "0" * 64}}))
    made = Mirror(folder)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def build(tag: str, folder: Path, **arguments: str) -> Any:
    """Build the flavor as it is, on the host's network, where the mirror is."""
    (folder / "network").write_text(network_settings())
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    # Images that other tests build the same way share all steps before this one.
    return docker(
        "build", "--progress", "plain", "--network", "host", "--tag", tag, "--build-arg", "BASE_IMAGE=codeopen-base:0.1.0",
        "--secret", f"id=network,src={folder}/network", *options, str(FLAVOR), check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def workspace(mirror: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with the mirror's Python."""
    tag = f"codeopen-test-{secrets.token_hex(4)}"
    done = build(
        tag, tmp_path_factory.mktemp("build"),
        PYTHON_VERSION="3.13", PYTHON_MIRROR=mirror.url, PYTHON_LIST=f"{mirror.url}/list.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    try:
        # As the builder adds it.
        path = "PATH=/opt/python/bin:/home/developer/.local/bin:/usr/local/bin:/usr/bin:/bin:/opt/opencode/bin"
        with running_workspace(tag, tmp_path_factory.mktemp("secrets"), "--env", path) as workspace:
            yield workspace
    finally:
        docker("image", "rm", "--force", tag, check=False)


def test_python_and_pip_are_the_mirror_s(workspace: RunningWorkspace, mirror: Mirror) -> None:
    assert f"/{ARCHIVE}" in mirror.asked
    for command in ("python", "python3"):
        where = workspace.run(f"{command} -c 'import sys; print(sys.executable)'").stdout
        assert where.startswith("/opt/python/versions/cpython-3.13"), where
    assert "/opt/python/versions/" in workspace.run("pip --version").stdout
    workspace.run("python -m venv --without-pip /tmp/env")
    where = workspace.run("/tmp/env/bin/python -c 'import sys; print(sys.base_prefix)'").stdout
    assert where.startswith("/opt/python/versions/"), where
    assert workspace.run("python -c 'import sys; print(sys.prefix)'").stdout.startswith("/opt/python/versions/")
    workspace.run("pip install --quiet --user --break-system-packages six==1.17.0")
    assert workspace.run("python -c 'import six; print(six.__version__)'").stdout == "1.17.0\n"


@pytest.mark.parametrize("tool", ["ipython", "jupyterlab", "pytest"])
def test_tools_that_run_code_are_on_the_same_python(workspace: RunningWorkspace, tool: str) -> None:
    where = workspace.run(f"/opt/{tool}/bin/python -c 'import sys; print(sys.base_prefix)'").stdout
    assert where.startswith("/opt/python/versions/cpython-3.13")


def test_tools_that_do_not_run_code_stay_on_debian_s(workspace: RunningWorkspace) -> None:
    assert workspace.run("/opt/poetry/bin/python -c 'import sys; print(sys.base_prefix)'").stdout == "/usr\n"


def test_pytest_runs_on_the_mirror_s_python(workspace: RunningWorkspace) -> None:
    test = "import sys\n\n\ndef test_prefix():\n    assert sys.base_prefix.startswith('/opt/python/versions/')\n"
    workspace.write("/workspace/test_prefix.py", test)
    assert "1 passed" in workspace.run("pytest").stdout


@pytest.mark.parametrize(
    ("mirror_path", "list_name", "reason"),
    [("", "wrong.json", "Hash mismatch"), ("/nowhere", "list.json", "404")],
    ids=["wrong checksum", "not there"],
)
def test_a_python_that_cannot_be_had_stops_the_build(
    mirror: Mirror, tmp_path: Path, mirror_path: str, list_name: str, reason: str
) -> None:
    tag = f"codeopen-test-{secrets.token_hex(4)}"
    done = build(
        tag, tmp_path,
        PYTHON_VERSION="3.13", PYTHON_MIRROR=mirror.url + mirror_path, PYTHON_LIST=f"{mirror.url}/{list_name}",
    )  # fmt: skip
    try:
        assert done.returncode != 0
        assert reason.lower() in done.stderr.lower()
        assert f"link-python: could not install Python 3.13 from {mirror.url}{mirror_path};" in done.stderr
    finally:
        docker("image", "rm", "--force", tag, check=False)
