# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other machines on the network of the hosts, which try what they reach."""

from __future__ import annotations

import contextlib
import json
import secrets

from host_machine import docker, host_image

# Long enough for a busy machine; only what is refused takes all of it.
PATIENCE = 5
_STREET = "codeopen-test-street-"


def fetch(busybox, address, port):
    """A command that prints the page at an address; ``busybox`` is how that is called."""
    return f"{busybox} timeout {PATIENCE} {busybox} wget -q -O - http://{address}:{port}/index.html"


class Client:
    """Another machine on the host's network."""

    def __init__(self, name):
        self.name = name

    @property
    def address(self):
        return address_of(self)

    def sh(self, script, **options):
        return docker("exec", self.name, "sh", "-c", script, **options)

    def reaches(self, address, port=8080):
        return self.sh(fetch("busybox", address, port), check=False) == "hello"


def address_of(machine, street=_STREET):
    """The address at which neighbours find a host or a client.

    :param street: on which; needed where there are several.
    """
    networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", machine.name))
    (address,) = [network["IPAddress"] for name, network in networks.items() if name.startswith(street)]
    return address


def interface_of(host):
    """The host's interface on its street."""
    return host.sh(f"ip -o -4 address | grep -F ' {address_of(host)}/' | cut -d ' ' -f 2")


@contextlib.contextmanager
def street(host):
    """The name of a network on which a host has neighbours; on the engine's default one they may not reach it."""
    name = f"{_STREET}{secrets.token_hex(4)}"
    docker("network", "create", name)
    try:
        docker("network", "connect", name, host.name)
        yield name
        docker("network", "disconnect", name, host.name)
    finally:
        docker("network", "rm", name, check=False)


@contextlib.contextmanager
def client(street):
    """A machine on a street that stays for a while, and serves a page itself."""
    name = f"codeopen-test-{secrets.token_hex(4)}"
    try:
        docker(
            *("run", "--detach", "--init", "--name", name, "--network", street, "--cap-add", "NET_ADMIN"),
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
