# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies in the images' layers, and what must not."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.catalogue

IMAGES = ("codeopen-base:0.1.0", "codeopen-python-code-server:0.1.0", "codeopen-js-code-server:0.1.0")

MEGABYTE = 1_000_000


@pytest.fixture(scope="module", params=IMAGES)
def built(request: pytest.FixtureRequest, image: Any) -> Any:
    return image(request.param)


def look(engine: Any, image: Any, script: str) -> str:
    """The output of a script in a container of the image in which nothing has been started."""
    output: bytes = engine.containers.run(image.id, ["-c", script], entrypoint="/bin/sh", user="root", remove=True)
    return output.decode().strip()


def test_base_is_small(image: Any) -> None:
    assert image(IMAGES[0]).attrs["Size"] < 757 * MEGABYTE


def test_no_lists_caches_and_logs(engine: Any, built: Any) -> None:
    script = """
    find /var/lib/apt/lists /var/cache/apt/archives -type f ! -name lock
    find /var/cache/apt -maxdepth 1 -name '*.bin'
    find /var/log/apt /var/log/dpkg.log -type f 2>/dev/null
    find /root -mindepth 1 -name '.npm' -o -name '.cache'
    find /tmp -mindepth 1
    """
    assert look(engine, built, script) == ""


def test_build_secrets_left_no_trace(engine: Any, built: Any) -> None:
    assert look(
        engine, built, "ls -A /run/secrets /run/codeopen/secrets /run/codeopen/network 2>/dev/null || true"
    ) in (
        "",
        "/run/codeopen/network:\n\n/run/codeopen/secrets:",
    )
    variables = {entry.split("=", 1)[0].lower() for entry in built.attrs["Config"]["Env"]}
    assert not variables & {"http_proxy", "https_proxy", "ssl_cert_file", "pip_cert", "pip_index_url", "apt_config"}
    assert "BEGIN CERTIFICATE" not in json.dumps(built.history())


def test_bundle_of_the_build_is_not_the_image_s(engine: Any, built: Any) -> None:
    """Debian's own bundle is untouched: every certificate in it is one of Debian's."""
    script = """
    cat $(find /usr/share/ca-certificates -name '*.crt') | grep -c 'BEGIN CERTIFICATE'
    grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt
    ls -A /usr/local/share/ca-certificates
    """
    shipped, trusted, *own = look(engine, built, script).split()
    assert shipped == trusted
    assert own == []


def test_no_npm_in_the_base(engine: Any, image: Any) -> None:
    assert look(engine, image(IMAGES[0]), "command -v node npm pip || echo none") == "none"


def test_starts_as_developer(built: Any) -> None:
    config = built.attrs["Config"]
    assert config["User"] == "developer"
    assert config["Entrypoint"][0] == "/usr/bin/tini"
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/codeopen-health"]


def test_packages_are_complete(engine: Any, built: Any) -> None:
    assert look(engine, built, "dpkg --audit") == ""
