# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""daemon_config on Podman's TOML: the real Podman shows what it read."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engine

PATH = "/etc/containers/containers.conf"
FOREIGN = '# by hand\n[engine]\nevents_logger = "file" # small\n'
WISHES = {"engine": "podman", "config": {"containers": {"pids_limit": 4096}, "engine": {"retry": 5}}}
# On the host's volume, for the host's own root is an overlay already.
PODMAN = "podman --root /var/lib/docker/podman"


@pytest.fixture(scope="module")
def podman_host(debian13):
    """A host with Debian's Podman and an image."""
    host = debian13
    host.sh(
        "apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends podman crun"
    )
    host.sh(f"tar -C / -c bin/busybox | {PODMAN} import - counter")
    yield host
    host.sh(f"{PODMAN} system reset --force")


@pytest.fixture
def settled(podman_host):
    """The host with a file that a person wrote."""
    podman_host.sh(f"mkdir -p /etc/containers && rm -f {PATH}* && cat > {PATH} <<'END'\n{FOREIGN}END")
    return podman_host


def test_podman_reads_what_was_merged_and_what_was_there(settled):
    first = settled.module("daemon_config", **WISHES)
    assert (first["changed"], first["restart_needed"]) == (True, False), first
    assert settled.read(PATH) == FOREIGN + "retry = 5\n\n[containers]\npids_limit = 4096\n"
    assert settled.sh("podman info --format '{{.Host.EventLogger}}'") == "file"
    settled.sh(f"{PODMAN} create --name one --network none counter /bin/busybox true")
    try:
        assert settled.sh(f"{PODMAN} inspect --format '{{{{.HostConfig.PidsLimit}}}}' one") == "4096"
    finally:
        settled.sh(f"{PODMAN} rm --force one")
    assert not settled.module("daemon_config", **WISHES)["changed"]


def test_what_podman_refuses_is_not_written(settled):
    result = settled.module("daemon_config", engine="podman", config={"containers": {"pids_limit": "many"}})
    assert result["failed"], result
    assert "pids_limit" in result["msg"]
    assert PATH in result["msg"]
    assert settled.read(PATH) == FOREIGN
