# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding an engine's process and the command lines by which it is started."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Callable, Optional

_UNIT_FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_START_TIME_FIELD = 22


@dataclass(frozen=True)
class Daemon:
    """The kind of process that keeps what it read from the file until it reads it again.

    :param program: its name, or an empty string where each command reads the file for itself.
    :param config_file_of: answers the file that a process with this command line reads.
    :param ping: the HTTP path that tells whether it answers, or an empty string where listening is enough.
    """

    program: str
    config_file_of: Callable[[Sequence[str]], str]
    ping: str = ""


def config_file_of(argv: Sequence[str]) -> str:
    """The file that a dockerd with this command line reads."""
    words = list(argv)
    for number, word in enumerate(words):
        if word.startswith("--config-file="):
            return word.partition("=")[2]
        if word == "--config-file" and number + 1 < len(words):
            return words[number + 1]
    return "/etc/docker/daemon.json"


DOCKERD = Daemon("dockerd", config_file_of, "/_ping")


@dataclass(frozen=True)
class EngineProcess:
    """A running engine.

    :param started: the kernel's start time in clock ticks; with the pid it names a process for good.
    """

    pid: int
    started: int
    argv: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def find(path: str, proc: str = "/proc", daemon: Daemon = DOCKERD) -> Optional[EngineProcess]:
    """The engine that reads the configuration file ``path``, or None. Engines inside of containers are not meant."""
    if not daemon.program:
        return None
    own = _namespace(proc, "self")
    for entry in sorted(os.listdir(proc)):
        if not entry.isdecimal() or _text(f"{proc}/{entry}/comm").strip() != daemon.program:
            continue
        if own and _namespace(proc, entry) != own:
            continue
        process = _process(proc, entry)
        if process and os.path.realpath(daemon.config_file_of(process.argv)) == os.path.realpath(path):
            return process
    return None


def _process(proc: str, pid: str) -> Optional[EngineProcess]:
    argv = _text(f"{proc}/{pid}/cmdline").rstrip("\0").split("\0")
    # The second field, the name in brackets, may hold blanks.
    after_name = _text(f"{proc}/{pid}/stat").rpartition(")")[2].split()
    if not argv[0] or len(after_name) < _START_TIME_FIELD - 2:
        return None
    pairs = (entry.partition("=") for entry in _text(f"{proc}/{pid}/environ").split("\0") if "=" in entry)
    return EngineProcess(
        pid=int(pid),
        started=int(after_name[_START_TIME_FIELD - 3]),
        argv=argv,
        environment={name: value for name, equals, value in pairs},
    )


def _namespace(proc: str, pid: str) -> str:
    with suppress(OSError):
        return os.readlink(f"{proc}/{pid}/ns/pid")
    return ""


def _text(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
    return ""


def service_commands(service: str, root: str = "/") -> list[tuple[str, list[str]]]:
    """The command lines that the service's files give: systemd's unit with its drop-ins, or the init script's options.

    :returns: pairs of the file's path and the command line.
    """
    options = _variable(_text(os.path.join(root, f"etc/default/{service}")), "DOCKER_OPTS")
    # A host without systemd may have its files all the same, from the package.
    files = _unit_files(service, root) if os.path.isdir(os.path.join(root, "run/systemd/system")) else []
    command = effective_command([(path, _text(path)) for path in files], {"DOCKER_OPTS": options})
    if command:
        return [command]
    script = os.path.join(root, f"etc/init.d/{service}")
    if not files and options and os.path.exists(script):
        return [(os.path.join(root, f"etc/default/{service}"), ["dockerd", *shlex.split(options)])]
    return []


def _unit_files(service: str, root: str) -> list[str]:
    folders = [os.path.join(root, folder) for folder in _UNIT_FOLDERS]
    units = [unit for unit in (f"{folder}/{service}.service" for folder in folders) if os.path.exists(unit)]
    if not units:
        return []
    # Of drop-ins with one name, the first folder's counts; they apply in the order of their names.
    dropins: dict[str, str] = {}
    for folder in folders:
        for path in glob.glob(f"{glob.escape(folder)}/{service}.service.d/*.conf"):
            dropins.setdefault(os.path.basename(path), path)
    return [units[0], *(dropins[name] for name in sorted(dropins))]


def effective_command(files: Sequence[tuple[str, str]], variables: dict[str, str]) -> Optional[tuple[str, list[str]]]:
    """The last ``ExecStart`` of a systemd unit and its drop-ins, in their order, with the file that gives it.

    :param files: pairs of path and text.
    :param variables: what ``$NAME`` stands for.
    """
    command = None
    for path, text in files:
        for line in re.sub(r"\\\n", " ", text).splitlines():
            name, equals, value = line.strip().partition("=")
            if name.strip() != "ExecStart" or not equals:
                continue
            value = value.strip().lstrip("@-:+!")
            value = re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match.group(1), ""), value)
            try:
                words = shlex.split(value)
            except ValueError:
                continue
            # An empty ExecStart= takes the earlier one back.
            command = (path, words) if words else None
    return command


def _variable(text: str, name: str) -> str:
    found = re.findall(rf"^\s*(?:export\s+)?{name}=(.*)$", text, re.MULTILINE)
    if not found:
        return ""
    try:
        return " ".join(shlex.split(found[-1]))
    except ValueError:
        return ""
