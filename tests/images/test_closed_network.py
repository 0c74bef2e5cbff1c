# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies and mirrors reach build steps and workspaces, really serve them, and leave no trace in a layer.

The mirrors are stand-ins on loopback: two package indexes, two registries and a proxy with one package each, and a
forwarder to the archive that the image's own apt sources name.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import secrets
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from running_workspace import docker, network_settings, running_workspace

pytestmark = pytest.mark.catalogue

VERSION = "0.1.0"
PACKAGE = "codeopen-mirrored"
GO_MODULE = "example.org/mirrored"
CREDENTIALS = f"user:{secrets.token_hex(6)}"


def wheel() -> bytes:
    """A Python package with one module."""
    stream = io.BytesIO()
    info = f"{PACKAGE.replace('-', '_')}-1.dist-info"
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("codeopen_mirrored.py", "print('from the index')\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return stream.getvalue()


def tarball(folder: str, files: dict[str, str]) -> bytes:
    """A compressed archive of text files in one folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def npm_package() -> bytes:
    """A Node.js package with one module."""
    manifest = json.dumps({"name": PACKAGE, "version": "1.0.0"})
    return tarball("package", {"package.json": manifest, "index.js": "console.log('from the registry')\n"})


def go_module() -> bytes:
    """A Go module with one program."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{GO_MODULE}@v1.0.0/go.mod", f"module {GO_MODULE}\n")
        archive.writestr(f"{GO_MODULE}@v1.0.0/main.go", 'package main\n\nfunc main() { println("from the index") }\n')
    return stream.getvalue()


def crate() -> bytes:
    """A crate with one program."""
    return tarball(
        f"{PACKAGE}-1.0.0",
        {
            "Cargo.toml": f'[package]\nname = "{PACKAGE}"\nversion = "1.0.0"\nedition = "2021"\n',
            "src/main.rs": 'fn main() { println!("from the registry") }\n',
        },
    )


class Mirror:
    """The stand-ins on one port, and what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.archive = ""
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                status, content = mirror.answer(self.path, self.headers.get("Proxy-Authorization", ""))
                self.send_response(status)
                listing = {"/index": "text/html", "/registry": "application/json"}.get(
                    os.path.dirname(self.path.rstrip("/"))
                )
                self.send_header("Content-Type", listing or "application/octet-stream")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """The list says enough."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.files = {
            f"/index/{PACKAGE}/": f'<a href="{PACKAGE.replace("-", "_")}-1-py3-none-any.whl">wheel</a>'.encode(),
            f"/index/{PACKAGE}/{PACKAGE.replace('-', '_')}-1-py3-none-any.whl": wheel(),
            "/registry/package.tgz": npm_package(),
        }
        # https://go.dev/ref/mod#goproxy-protocol
        versions = f"/go/{GO_MODULE}/@v/v1.0.0"
        self.files[f"/go/{GO_MODULE}/@v/list"] = b"v1.0.0\n"
        self.files[f"{versions}.info"] = b'{"Version": "v1.0.0"}'
        self.files[f"{versions}.mod"] = f"module {GO_MODULE}\n".encode()
        self.files[f"{versions}.zip"] = go_module()
        # https://doc.rust-lang.org/cargo/reference/registry-index.html#sparse-protocol
        self.files["/cargo/config.json"] = json.dumps({"dl": f"{self.url}/cargo/crates/{{crate}}"}).encode()
        self.files[f"/cargo/crates/{PACKAGE}"] = crate()
        cksum = hashlib.sha256(self.files[f"/cargo/crates/{PACKAGE}"]).hexdigest()
        release = {"name": PACKAGE, "vers": "1.0.0", "deps": [], "cksum": cksum, "features": {}, "yanked": False}
        self.files[f"/cargo/{PACKAGE[:2]}/{PACKAGE[2:4]}/{PACKAGE}"] = json.dumps(release).encode()
        integrity = base64.b64encode(hashlib.sha512(self.files["/registry/package.tgz"]).digest()).decode()
        dist = {"tarball": f"{self.url}/registry/package.tgz", "integrity": f"sha512-{integrity}"}
        one = {"name": PACKAGE, "version": "1.0.0", "dist": dist}
        self.files[f"/registry/{PACKAGE}"] = json.dumps(
            {"name": PACKAGE, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": one}}
        ).encode()

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        """Status and content of an answer."""
        if path.startswith("http://nowhere.invalid/"):
            wanted = "Basic " + base64.b64encode(CREDENTIALS.encode()).decode()
            return (200, b"through the proxy") if authorization == wanted else (407, b"")
        if path.startswith("/debian/"):
            try:
                with urllib.request.urlopen(self.archive.rstrip("/") + path[len("/debian") :], timeout=120) as found:
                    return 200, found.read()
            except urllib.error.HTTPError as error:
                return error.code, b""
        content = self.files.get(path)
        return (404, b"") if content is None else (200, content)


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def need(component: str) -> str:
    """The image of a component alone on the base, or skip."""
    image = f"codeopen-{component}:{VERSION}"
    if docker("image", "inspect", image, check=False).returncode:
        reason = f"image {image} is not built"
        if os.environ.get("CODEOPEN_REQUIRE_IMAGES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return image


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Any]:
    """Builds an image with the network file, on the host's own network, where the stand-ins are."""
    names = []

    def build(parent: str, settings: str, command: str) -> str:
        name = f"codeopen-test-{secrets.token_hex(4)}"
        names.append(name)
        (tmp_path / "network").write_text(settings)
        (tmp_path / "Dockerfile").write_text(
            f"FROM {need(parent)}\nUSER root\nRUN --mount=type=secret,id=network {command}\nUSER developer\n"
        )
        # Nothing of it may come from the cache of an earlier run.
        docker(
            "build", "--progress", "plain", "--no-cache", "--network", "host", "--tag", name,
            "--secret", f"id=network,src={tmp_path}/network", str(tmp_path),
        )  # fmt: skip
        return name

    yield build
    for name in names:
        docker("image", "rm", "--force", name, check=False)


def traces(image: str, mark: str) -> str:
    """Where ``mark`` is found in an image: its files, configuration and history."""
    files = docker(
        "run", "--rm", "--user", "root", "--entrypoint", "bash", image, "-pc",
        f"grep -rlsaF --exclude-dir=proc --exclude-dir=sys -e '{mark}' / || true",
    ).stdout  # fmt: skip
    about = docker("image", "inspect", image).stdout + docker("history", "--no-trunc", image).stdout
    return files + ("configuration or history" if mark in about else "")


@pytest.mark.parametrize(
    ("parent", "setting", "command", "asked", "said"),
    [
        (
            "python", "pip_index={url}/index/", f"pip install --quiet --target /opt/mirrored {PACKAGE}",
            f"/index/{PACKAGE}/", ["env", "PYTHONPATH=/opt/mirrored", "python3", "-c", "import codeopen_mirrored"],
        ),
        (
            "python", "pip_index={url}/index/", f"uv pip install --quiet --target /opt/mirrored {PACKAGE}",
            f"/index/{PACKAGE}/", ["env", "PYTHONPATH=/opt/mirrored", "python3", "-c", "import codeopen_mirrored"],
        ),
        (
            "js", "npm_registry={url}/registry/", f"npm install --silent --prefix /opt/mirrored {PACKAGE}@1.0.0",
            f"/registry/{PACKAGE}", ["node", f"/opt/mirrored/node_modules/{PACKAGE}/index.js"],
        ),
        (
            "go", "go_proxy={url}/go", f"GONOSUMDB='*' GOPATH=/opt/mirrored go install {GO_MODULE}@v1.0.0",
            f"/go/{GO_MODULE}/@v/v1.0.0.zip", ["bash", "-pc", "/opt/mirrored/bin/mirrored 2>&1"],
        ),
        (
            "rust", "cargo_registry=sparse+{url}/cargo/",
            'CARGO_HOME=/opt/mirrored/home cargo --config "$CODEOPEN_CARGO_CONFIG" install --quiet '
            f"--root /opt/mirrored --version =1.0.0 {PACKAGE}",
            f"/cargo/crates/{PACKAGE}", [f"/opt/mirrored/bin/{PACKAGE}"],
        ),
        (
            "base", "apt_mirror={url}/debian", "install-apt hello",
            "/debian/dists/trixie/InRelease", ["hello"],
        ),
        (
            "base", "http_proxy=http://{credentials}@{address}", "curl -sf -o /opt/fetched http://nowhere.invalid/x",
            "http://nowhere.invalid/x", ["cat", "/opt/fetched"],
        ),
    ],
    ids=["pip", "uv", "npm", "go", "cargo", "apt", "proxy"],
)  # fmt: skip
def test_a_build_step_is_served_and_leaves_no_trace(
    mirror: Mirror, built: Any, parent: str, setting: str, command: str, asked: str, said: list[str]
) -> None:
    if setting.startswith("apt_mirror"):
        look = "grep -h '^URIs:' /etc/apt/sources.list.d/*.sources; grep -h '^deb ' /etc/apt/sources.list; true"
        sources = docker("run", "--rm", "--entrypoint", "bash", need("base"), "-pc", look).stdout.split()
        mirror.archive = [word for word in sources if word.startswith("http") and "security" not in word][0]  # noqa: RUF015
    mirror.asked.clear()
    address = mirror.url.partition("://")[2]
    image = built(parent, setting.format(url=mirror.url, address=address, credentials=CREDENTIALS) + "\n", command)
    assert asked in mirror.asked
    shown = docker("run", "--rm", "--entrypoint", said[0], image, *said[1:]).stdout
    assert any(word in shown for word in ("from the index", "from the registry", "Hello, world!", "through the proxy"))
    mark = CREDENTIALS if "credentials" in setting else address
    # What a package itself records of where it came from is not a setting.
    left = [line for line in traces(image, mark).splitlines() if "/opt/mirrored" not in line]
    assert left == []


def test_a_workspace_has_every_setting(mirror: Mirror, tmp_path: Path) -> None:
    settings = {
        "no_proxy": "localhost,127.0.0.1",
        "https_proxy": f"http://{CREDENTIALS}@127.0.0.1:9",
        "apt_mirror": f"{mirror.url}/debian",
        "pip_index": f"{mirror.url}/index/",
        "npm_registry": f"{mirror.url}/registry/",
        "go_proxy": f"{mirror.url}/go",
        "cargo_registry": f"sparse+{mirror.url}/cargo/",
        "release_mirror": f"{mirror.url}/releases",
    }
    text = "".join(f"{name}={value}\n" for name, value in settings.items()) + network_settings()
    with running_workspace(need("base"), tmp_path) as workspace:
        workspace.write_secret("network", text)
        docker("restart", workspace.name)
        workspace.wait_until_healthy()
        seen = workspace.run("env; cat /.cargo/config.toml; apt-get update --print-uris").stdout
        for line in (
            f"PIP_INDEX_URL={settings['pip_index']}",
            f"UV_DEFAULT_INDEX={settings['pip_index']}",
            f"NPM_CONFIG_REGISTRY={settings['npm_registry']}",
            f"GOPROXY={settings['go_proxy']}",
            f"CODEOPEN_RELEASE_MIRROR={settings['release_mirror']}",
            f"HTTPS_PROXY={settings['https_proxy']}",
            f"no_proxy={settings['no_proxy']}",
            f'registry = "{settings["cargo_registry"]}"',
            f"{mirror.url}/debian",
        ):
            assert line in seen
        # sudo keeps what apt needs.
        assert f"{mirror.url}/debian" in workspace.run("sudo apt-get update --print-uris").stdout
        about = docker("inspect", workspace.name).stdout + workspace.logs()
        assert CREDENTIALS not in about
