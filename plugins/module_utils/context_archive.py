# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build contexts on their way to a host: one tar of the folders that are needed, the same bytes for the same plan."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError


def require_dockerfiles(layers: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a plan with a component that has no Dockerfile.

    :raises BuildError: names every missing file.
    """
    missing = {
        os.path.join(layer["context"], "Dockerfile"): layer["component"]
        for layer in layers
        if "Dockerfile" not in layer["files"] or not os.path.isfile(os.path.join(layer["context"], "Dockerfile"))
    }
    if missing:
        raise BuildError(
            "\n".join(
                f"component {component}: {path} is missing; a component is built from a Dockerfile in its folder"
                for path, component in sorted(missing.items())
            )
        )


def folder_name(layer: Mapping[str, Any]) -> str:
    """Give the folder of a layer's context in the archive; layers of one component share it."""
    identity = hashlib.sha256(repr((layer["context"], sorted(layer["files"].items()))).encode()).hexdigest()
    return f"{layer['component']}-{identity[:12]}"


def write_archive(layers: Sequence[Mapping[str, Any]], stream: BinaryIO) -> None:
    """Write the contexts of layers as a tar, each component's once, sorted, with no times and no owners.

    :raises BuildError: a file is not there any more, or is another than the plan says; names every one.
    """
    problems: list[str] = []
    folders = {folder_name(layer): layer for layer in layers}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder, layer in sorted(folders.items()):
            directories = {folder}
            for path in layer["files"]:
                parts = path.split("/")[:-1]
                directories.update("/".join([folder, *parts[: depth + 1]]) for depth in range(len(parts)))
            for directory in sorted(directories):
                entry = tarfile.TarInfo(directory)
                entry.type = tarfile.DIRTYPE
                entry.mode = 0o755
                archive.addfile(entry)
            for path, expected in sorted(layer["files"].items()):
                source = os.path.join(layer["context"], path)
                try:
                    with open(source, "rb") as file:
                        content = file.read()
                except OSError as error:
                    problems.append(f"component {layer['component']}: {source}: {error.strerror}")
                    continue
                if hashlib.sha256(content).hexdigest() != expected["sha256"]:
                    problems.append(
                        f"component {layer['component']}: {source} has changed since the plan was made; run again"
                    )
                    continue
                entry = tarfile.TarInfo(f"{folder}/{path}")
                entry.size = len(content)
                entry.mode = int(expected["mode"], 8)
                archive.addfile(entry, io.BytesIO(content))
    if problems:
        raise BuildError("\n".join(problems))


def unpack_archive(path: str, directory: str) -> None:
    """Unpack an archive of :func:`write_archive`.

    :raises BuildError: it cannot be read, or has an entry that such an archive never has.
    """
    root = os.path.realpath(directory)
    try:
        with tarfile.open(path, mode="r:") as archive:
            for entry in archive:
                target = os.path.realpath(os.path.join(root, entry.name))
                if not (entry.isfile() or entry.isdir()) or os.path.commonpath([root, target]) != root:
                    raise BuildError(f"the archive of build contexts has an entry that does not belong: {entry.name}")
                if entry.isdir():
                    os.makedirs(target, mode=0o755, exist_ok=True)
                    continue
                data = archive.extractfile(entry)
                if data is None:
                    raise BuildError(f"the archive of build contexts has an entry without content: {entry.name}")
                with data, open(target, "wb") as file:
                    file.write(data.read())
                os.chmod(target, entry.mode)
    except (OSError, tarfile.TarError) as error:
        raise BuildError(f"the build contexts cannot be unpacked to {directory}: {error}") from error
