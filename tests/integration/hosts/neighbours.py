# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other machines on the network of the hosts, which try what they reach."""

from __future__ import annotations

import contextlib
import secrets

from host_machine import docker, host_image

# Long enough for a busy machine; only what is refused takes all of it.
PATIENCE = 5


def fetch(busybox, address, port):
    """A command that prints the page at an address; ``busybox`` is how that is called."""
    return f"{busybox} timeout {PATIENCE} {busybox} wget -q -O - http://{address}:{port}/index.html"


class Client:
    """Another machine on the host's network."""

    def __init__(self, name):
        self.name = name

    @property
    def address(self):
        return docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name)

    def sh(self, script, **options):
        return docker("exec", self.name, "sh", "-c", script, **options)

    def reaches(self, address, port=8080):
        return self.sh(fetch("busybox", address, port), check=False) == "hello"


@contextlib.contextmanager
def client():
    """A machine that stays for a while, and serves a page itself."""
    name = f"codeopen-test-{secrets.token_hex(4)}"
    try:
        docker(
            *("run", "--detach", "--init", "--name", name, "--cap-add", "NET_ADMIN"),
            *("--sysctl", "net.ipv6.conf.all.disable_ipv6=0", host_image("bookworm")),
            *(
                "sh",
                "-c",
                "mkdir /srv/page && echo hello >/srv/page/index.html && exec busybox httpd -f -p 80 -h /srv/page",
            ),
        )
        yield Client(name)
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
