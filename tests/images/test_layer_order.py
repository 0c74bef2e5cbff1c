# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image has the same packages, users and libraries whichever order its add-ons were stacked in."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_workspace import docker, network_settings

pytestmark = pytest.mark.catalogue

BASE = "codeopen-base:0.1.0"
ADDONS = Path(__file__).parents[2] / "images" / "addons"
# Between them they bring system users, libraries that they share, and configuration that packages change.
STACK = ("databases", "ssh")
LISTS = {
    "packages": "dpkg-query --show --showformat '${Package} ${Version} ${Status}\\n' | sort",
    "users": "sort /etc/passwd",
    "groups": "sort /etc/group",
    "shadow": "cut -d : -f 1-2 /etc/shadow | sort",
    "library cache": "ldconfig -p | tail -n +2 | sort",
    "alternatives": "update-alternatives --get-selections | sort",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The add-ons on the base, in one order and in the other."""
    if docker("image", "inspect", BASE, check=False).returncode:
        pytest.skip(f"image {BASE} is not built")
    settings = tmp_path_factory.mktemp("network") / "network"
    settings.write_text(network_settings())
    made: list[str] = []
    tops = []
    try:
        for order in (STACK, STACK[::-1]):
            parent = BASE
            for addon in order:
                name = f"codeopen-test-{secrets.token_hex(4)}"
                docker(
                    "build", "--quiet", "--tag", name, "--secret", f"id=network,src={settings}",
                    "--build-arg", f"BASE_IMAGE={parent}", "--build-arg", f"BUILD_IMAGE={BASE}", str(ADDONS / addon),
                )  # fmt: skip
                made.append(name)
                parent = name
            tops.append(parent)
        yield tops
    finally:
        for name in reversed(made):
            docker("image", "rm", "--force", name, check=False)


@pytest.mark.parametrize("what", LISTS)
def test_the_order_of_add_ons_does_not_matter(images: list[str], what: str) -> None:
    one, other = (
        docker("run", "--rm", "--user", "root", "--entrypoint", "bash", image, "-euc", LISTS[what]).stdout
        for image in images
    )
    assert len(one.splitlines()) > 3
    assert one.splitlines() == other.splitlines()


def test_what_the_add_ons_bring_is_there_in_both(images: list[str]) -> None:
    for image in images:
        found = docker("run", "--rm", "--entrypoint", "bash", image, "-euc", "command -v psql redis-cli /usr/sbin/sshd")
        assert len(found.stdout.split()) == 3
