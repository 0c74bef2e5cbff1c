# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing the kernel's filter by iptables, and what of the host matters to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import config_file_of, find
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_service import DEFAULT_PATH
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_allow import stands_for

PROGRAMS = {4: "iptables", 6: "ip6tables"}
# Others that change the filter hold its lock for moments.
_WAIT_SECONDS = 60
_COMMAND_SECONDS = 90
_ALL_ADDRESSES = "00000000"
_ALL_ADDRESSES_6 = "0" * 32


class NoFilter(WorkspacesError):
    """The engine does not filter on this host by iptables."""


class Filter:
    """The table ``filter`` of one version of the internet protocol.

    :param version: 4 or 6.
    :raises WorkspacesError: from all methods, naming the program and what it said.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.program = PROGRAMS[version]

    def installed(self) -> bool:
        """Whether the host has the program."""
        return self._path(self.program) is not None

    def listing(self) -> str:
        """All chains and rules, as ``iptables -S`` prints them."""
        return self._run([self.program, "-w", str(_WAIT_SECONDS), "-S"])

    def check(self, script: str) -> None:
        """Let the program read a change without making it."""
        self._run([f"{self.program}-restore", "--noflush", "--wait", str(_WAIT_SECONDS), "--test"], script)

    def change(self, script: str) -> None:
        """Make a change: all of it, or nothing."""
        self._run([f"{self.program}-restore", "--noflush", "--wait", str(_WAIT_SECONDS)], script)

    def _path(self, program: str) -> Optional[str]:
        # Ansible's own search path may lack the folders of root's programs.
        return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{DEFAULT_PATH}")

    def _run(self, command: Sequence[str], text: str = "") -> str:
        program = self._path(command[0])
        if program is None:
            raise NoFilter(
                f"The program {command[0]} is missing. The engine filters by it; install the package iptables."
            )
        try:
            done = subprocess.run(
                [program, *command[1:]],
                input=text,
                capture_output=True,
                text=True,
                timeout=_COMMAND_SECONDS,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise WorkspacesError(f"{command[0]} did not end within {_COMMAND_SECONDS} seconds.") from error
        except OSError as error:
            raise WorkspacesError(f"{program} cannot be run: {error.strerror}.") from error
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
            hint = " Run with become." if "ermission denied" in said else ""
            raise WorkspacesError(f"{' '.join(command)} failed: {said}{hint}")
        return done.stdout


def host_has_ipv6(bridges: Sequence[str], proc: str = "/proc") -> bool:
    """Whether other machines could reach the host by IPv6.

    :param bridges: patterns of the engine's interfaces, whose addresses only containers see.
    """
    names = {line.split()[-1] for line in _lines(f"{proc}/net/if_inet6") if line.strip()}
    inner = ("lo", "veth+", *bridges)
    return any(not any(stands_for(pattern, name) for pattern in inner) for name in names)


def outward_interfaces(root: str = "/") -> set[str]:
    """The interfaces that lead to other machines: with a default route, or bridges with a network card in them."""
    found = set()
    for line in _lines(os.path.join(root, "proc/net/route"))[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == words[7] == _ALL_ADDRESSES:
            found.add(words[0])
    for line in _lines(os.path.join(root, "proc/net/ipv6_route")):
        words = line.split()
        if len(words) > 9 and words[:2] == [_ALL_ADDRESSES_6, "00"] and words[-1] != "lo":
            found.add(words[-1])
    interfaces = os.path.join(root, "sys/class/net")
    with suppress(OSError):
        for name in os.listdir(interfaces):
            if os.path.exists(os.path.join(interfaces, name, "device")):
                found.add(name)
            # A card's entry for the bridge that it is a port of.
            master = os.path.join(interfaces, name, "master")
            if name in found and os.path.exists(master):
                found.add(os.path.basename(os.path.realpath(master)))
    return found


def userland_proxy_runs() -> bool:
    """Whether the running engine has processes of its own listen at published ports, past the filter."""
    process = find(config_file_of([]))
    if process is None:
        return False
    flags = [word for word in process.argv if word.startswith("--userland-proxy")]
    if flags:
        return flags[-1] != "--userland-proxy=false"
    with suppress(OSError, ValueError), open(config_file_of(process.argv), encoding="utf-8") as file:
        config = json.load(file)
        return not isinstance(config, dict) or config.get("userland-proxy", True) is not False
    return True


def _lines(path: str) -> list[str]:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
    return []
