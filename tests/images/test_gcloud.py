# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of add-on cloud that brings gcloud, with a mirror and an archive that stand in for Google's.

Where Google's own archive can be had, test_cloud.py tries the real one.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from local_server import local_server
from running_workspace import docker, image_of, network_settings

pytestmark = pytest.mark.catalogue

ADDON = Path(__file__).resolve().parents[2] / "images" / "addons" / "cloud"
PIN = re.compile(r"^(?P<machine>\w+) https://(?P<place>\S+) sha256:(?P<checksum>[0-9a-f]{64})$", re.MULTILINE)
# As Google's is laid out.
FILES = {
    "bin/gcloud": "#!/bin/sh\necho stand-in of gcloud\n",
    "bin/gsutil": "#!/bin/sh\n",
    "bin/bq": "#!/bin/sh\n",
    "lib/__pycache__/gcloud.cpython-313.pyc": "bytecode",
}


def archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for path, text in FILES.items():
            member = tarfile.TarInfo(f"google-cloud-sdk/{path}")
            member.size, member.mode, member.uid = len(text), 0o755, 5000
            packed.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing needs to be said."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A mirror that has the archive where Google has its own, for each architecture."""
    folder = tmp_path / "mirror"
    for pin in PIN.finditer((ADDON / "tools" / "gcloud.release").read_text(encoding="utf-8")):
        file = folder / pin["place"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(archive())
    with local_server(functools.partial(Handler, directory=str(folder))) as address:
        yield address


def build(folder: Path, mirror: str, checksum: str, image: str) -> subprocess.CompletedProcess[str]:
    """Build the stage from the add-on as it is, but for the pinned checksum."""
    context = folder / "context"
    shutil.copytree(ADDON, context)
    release = context / "tools" / "gcloud.release"
    text = release.read_text(encoding="utf-8")
    release.write_text(PIN.sub(rf"\g<machine> https://\g<place> sha256:{checksum}", text), encoding="utf-8")
    network = folder / "network"
    network.write_text(f"release_mirror={mirror}\n{network_settings()}", encoding="utf-8")
    return docker(
        "build", "--progress", "plain", "--network", "host", "--target", "gcloud", "--tag", image,
        "--build-arg", f"BASE_IMAGE={image_of('base')}", "--secret", f"id=network,src={network}", str(context),
        check=False,
    )  # fmt: skip


@pytest.fixture
def image() -> Iterator[str]:
    name = f"codeopen-test-{secrets.token_hex(4)}"
    yield name
    docker("image", "rm", "--force", name, check=False)


def test_the_stage_brings_the_commands_and_settings_for_everybody(tmp_path: Path, mirror: str, image: str) -> None:
    done = build(tmp_path, mirror, hashlib.sha256(archive()).hexdigest(), image)
    assert done.returncode == 0, done.stderr
    look = (
        "/opt/cloud/bin/gcloud; readlink -e /opt/cloud/bin/gsutil /opt/cloud/bin/bq; cat /opt/gcloud/properties;"
        " find /opt/gcloud -name __pycache__ -o ! -user root"
    )
    lines = docker("run", "--rm", "--entrypoint", "/bin/sh", image, "-c", look).stdout.splitlines()
    assert lines[:3] == ["stand-in of gcloud", "/opt/gcloud/bin/gsutil", "/opt/gcloud/bin/bq"]
    assert lines[3:] == [
        "[core]", "disable_usage_reporting = true", "", "[component_manager]", "disable_update_check = true",
    ]  # fmt: skip


def test_another_archive_than_the_pinned_one_stops_the_build(tmp_path: Path, mirror: str, image: str) -> None:
    done = build(tmp_path, mirror, hashlib.sha256(b"another").hexdigest(), image)
    assert done.returncode != 0
    assert "fetch-release: gcloud from" in done.stderr
    assert "is not what tools/gcloud.release says" in done.stderr
