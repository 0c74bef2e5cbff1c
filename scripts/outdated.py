# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints which pins of images/ have newer versions, and which could not be asked about and why.

Versions come from the programs that know the sources: pip, npm, go and cargo, with the settings they have here.
Debian's packages have no pins: a rebuild takes Debian's newest.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

IMAGES = Path(__file__).resolve().parent.parent / "images"
REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
FETCHED = re.compile(r"fetch-npm (\S+) \"\$([A-Z0-9_]+)\"")
SECONDS = 120
AT_ONCE = 8

Run = Callable[[list[str]], str]


class NotAsked(Exception):
    """Why a source could not be asked."""


@dataclass(frozen=True, order=True)
class Pin:
    """One pinned version: of the package ``name`` from ``source``, written down in ``file`` of images/."""

    file: str
    source: str
    name: str
    version: str


def pins(images: Path) -> list[Pin]:
    """Every pin in the components' folders."""
    found: set[Pin] = set()
    for manifest in sorted(images.glob("**/component.yml")):
        folder = manifest.parent
        for source, name, version, path in [*_files(folder), *_arguments(manifest)]:
            found.add(Pin(str(path.relative_to(images)), source, name, version))
    return sorted(found)


def _files(folder: Path) -> Iterator[tuple[str, str, str, Path]]:
    """The pins in lock files: source, name, version, file."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "node_modules" not in path.parts):
        if path.suffix == ".txt":
            text = path.read_text(encoding="utf-8")
            if "--hash=" in text:
                for name, version in _requirements(path.stem, text):
                    yield "pypi", name, version, path
        elif path.name == "package.json":
            for name, wanted in json.loads(path.read_text(encoding="utf-8")).get("dependencies", {}).items():
                # An alias is written npm:NAME@VERSION.
                real, _at, version = wanted.removeprefix("npm:").rpartition("@")
                yield "npm", real or name, version, path
        elif path.name == "go.mod":
            for name, version in _go_tools(path.read_text(encoding="utf-8")):
                yield "go", name, version, path
        elif path.suffix == ".crate":
            name, version = path.read_text(encoding="utf-8").split()
            yield "cargo", name, version, path
        elif path.suffix == ".release":
            url = path.read_text(encoding="utf-8").split()[1]
            yield "release", path.stem, url, path


def _requirements(stem: str, text: str) -> list[tuple[str, str]]:
    """What a lock is for: the requirement that the file is named after, else all of them."""
    listed: list[tuple[str, str]] = REQUIREMENT.findall(text)
    named = [(name, version) for name, version in listed if name == stem or name.endswith(f"-{stem}")]
    exact = [(name, version) for name, version in named if name == stem]
    return exact or named or listed


def _go_tools(text: str) -> list[tuple[str, str]]:
    """The modules that have the packages of the ``tool`` directives, with their versions."""
    required = dict(re.findall(r"^\s*(?:require )?([^\s/]+\.[^\s]+) (v\S+)", text, re.MULTILINE))
    packages = re.findall(r"^tool (\S+)", text, re.MULTILINE)
    for block in re.findall(r"^tool \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL):
        packages += block.split()
    modules = set()
    for package in packages:
        fitting = [module for module in required if package == module or package.startswith(f"{module}/")]
        if fitting:
            modules.add(max(fitting, key=len))
    return [(module, required[module]) for module in sorted(modules)]


def _arguments(manifest: Path) -> Iterator[tuple[str, str, str, Path]]:
    """The pins among the build arguments, which the Dockerfile hands to fetch-npm."""
    arguments = yaml.safe_load(manifest.read_text(encoding="utf-8")).get("args") or {}
    dockerfile = manifest.parent / "Dockerfile"
    seen = set()
    for name, variable in FETCHED.findall(dockerfile.read_text(encoding="utf-8")) if dockerfile.exists() else []:
        # The first of several architectures speaks for all.
        if arguments.get(variable) and variable not in seen:
            seen.add(variable)
            yield "npm", name, arguments[variable], manifest


def newest(pin: Pin, run: Run) -> str:
    """The newest version that the pin's source has.

    Raises:
        NotAsked: with the reason
    """
    if pin.source == "pypi":
        said = run([sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", pin.name])
        match = re.match(r"\S+ \((\S+)\)", said)
    elif pin.source == "npm":
        match = re.match(r"(\S+)", run(["npm", "view", pin.name, "version"]))
    elif pin.source == "go":
        match = re.match(r"(\S+)", run(["go", "list", "-m", "-f", "{{.Version}}", f"{pin.name}@latest"]))
    elif pin.source == "cargo":
        # `cargo search` wants an interface that mirrors lack; `cargo info` reads the index.
        said = run(["cargo", "info", "--quiet", pin.name])
        match = re.search(r"^version: \S+ \(latest (\S+?)[ )]", said, re.MULTILINE)
        match = match or re.search(r"^version: (\S+)", said, re.MULTILINE)
    else:
        raise NotAsked("release archives have no index of versions")
    if match is None:
        raise NotAsked("the answer has no version in it")
    return match.group(1)


def run_program(arguments: list[str]) -> str:
    """What a program prints, run in an empty folder.

    Raises:
        NotAsked: with the program's last line
    """
    if shutil.which(arguments[0]) is None:
        raise NotAsked(f"{arguments[0]} is not installed")
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                arguments,
                cwd=empty,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise NotAsked(f"{arguments[0]} did not answer in {SECONDS} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotAsked(lines[0] if lines else f"{arguments[0]} ended with {done.returncode}")
    return done.stdout


def order(version: str) -> list[int]:
    """A version's numbers, to compare by."""
    return [int(number) for number in re.findall(r"\d+", version)]


def report(found: list[Pin], run: Run) -> list[str]:
    """The lines to print about these pins."""

    def ask(pin: Pin) -> tuple[str, str]:
        try:
            return newest(pin, run), ""
        except NotAsked as reason:
            return "", str(reason)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(found, pool.map(ask, found)))
    newer = [pin for pin in found if answers[pin][0] and order(answers[pin][0]) > order(pin.version)]
    silent = [pin for pin in found if answers[pin][1]]
    lines = [f"{pin.file}: {pin.name} {pin.version} -> {answers[pin][0]} ({pin.source})" for pin in newer]
    lines += [f"{pin.file}: {pin.name} {pin.version}: could not be asked: {answers[pin][1]}" for pin in silent]
    lines.append(f"{len(newer)} of {len(found)} pins have newer versions, {len(silent)} could not be asked")
    return lines


def main() -> None:
    """Print the report."""
    print("\n".join(report(pins(IMAGES), run_program)))


if __name__ == "__main__":
    main()
