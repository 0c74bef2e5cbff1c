# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in the images' layers, and what must not: each component's image that is on this engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue
from running_workspace import docker, image_of

pytestmark = pytest.mark.catalogue

CATALOGUE = find_catalogue()
COMPONENTS = ["base"]
COMPONENTS += [name for name, flavor in CATALOGUE.flavors.items() if not flavor.components]
COMPONENTS += list(CATALOGUE.addons)
MEGABYTE = 1_000_000


@pytest.fixture(scope="module", params=COMPONENTS)
def image(request: pytest.FixtureRequest) -> str:
    return image_of(request.param)


def about(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", image).stdout)[0]
    return found


def look(image: str, script: str) -> str:
    """The output of a script in a container of the image in which nothing has been started."""
    done = docker("run", "--rm", "--user", "root", "--entrypoint", "/bin/sh", image, "-c", script)
    return done.stdout.strip()


def test_base_is_small() -> None:
    assert about(image_of("base"))["Size"] < 757 * MEGABYTE


def test_no_npm_in_the_base() -> None:
    assert look(image_of("base"), "command -v node npm pip || echo none") == "none"


def test_no_lists_caches_logs_and_secrets(image: str) -> None:
    script = """
    find /var/lib/apt/lists /var/cache/apt/archives -type f ! -name lock
    find /var/cache/apt -maxdepth 1 -name '*.bin'
    find /var/log/apt /var/log/dpkg.log -type f 2>/dev/null
    find /root -mindepth 1 -name '.npm' -o -name '.cache'
    find /tmp -mindepth 1
    find /run/secrets /run/codeopen/secrets /run/codeopen/network -mindepth 1 2>/dev/null
    dpkg --audit
    """
    assert look(image, script) == ""


def test_settings_of_the_build_left_no_trace(image: str) -> None:
    variables = {entry.split("=", 1)[0].lower() for entry in about(image)["Config"]["Env"]}
    assert not variables & {"http_proxy", "https_proxy", "ssl_cert_file", "pip_cert", "pip_index_url", "apt_config"}
    assert "BEGIN CERTIFICATE" not in docker("history", "--no-trunc", image).stdout


def test_bundle_of_the_build_is_not_the_image_s(image: str) -> None:
    """Debian's own bundle is untouched: every certificate in it is one of Debian's."""
    script = """
    cat $(find /usr/share/ca-certificates -name '*.crt') | grep -c 'BEGIN CERTIFICATE'
    grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt
    ls -A /usr/local/share/ca-certificates
    """
    shipped, trusted, *own = look(image, script).split()
    assert shipped == trusted
    assert own == []


def test_starts_as_developer(image: str) -> None:
    config = about(image)["Config"]
    assert config["User"] == "developer"
    assert config["Entrypoint"][0] == "/usr/bin/tini"
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/codeopen-health"]
