# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the Debian base comes from: a registry, by digest, or else Debian's package archive."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import buildx, network_file, recipe, retry
from ansible_collections.codeopen.workspaces.plugins.module_utils.bake import LABEL_BASE_SOURCE
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import (
    ENGINE_ERRORS,
    NOT_FOUND,
    connect,
    explain,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError, EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.image_store import tag_image

if TYPE_CHECKING:
    from docker import DockerClient

# Where the SDK is missing, and this with it, engine.connect says so before anything here is called.
with contextlib.suppress(ImportError):
    import requests.exceptions

REGISTRY = "registry"
ARCHIVE = "archive"
# Apt's own example of its sources, in every Debian image that has apt.
APT_EXAMPLE = "usr/share/doc/apt/examples/debian.sources"


@dataclasses.dataclass(frozen=True)
class BaseSource:
    """A Debian base on the host.

    :ivar kind: ``registry`` or ``archive``.
    :ivar reference: the registry's reference, or the archive's suite.
    :ivar digest: the registry's digest, or the id of the image that was made.
    :ivar image: its name on the host.
    """

    kind: str
    reference: str
    digest: str
    image: str

    @property
    def label(self) -> str:
        """The text of the label that says it on every image."""
        return f"{self.kind} {self.reference}"


class TryFailed(Exception):
    """One try of one registry failed; the text is the engine's."""


def local_name(base_image: Mapping[str, Any]) -> str:
    """Give the name on the host; another digest or other packages give another name."""
    return f"codeopen-debian:{base_image['archive']['suite']}-{recipe.base_image_digest(base_image)[:12]}"


def present(client: DockerClient, base_image: Mapping[str, Any]) -> Optional[BaseSource]:
    """Give the base that is on the host already, or None."""
    name = local_name(base_image)
    try:
        found: dict[str, Any] = dict(client.images.get(name).attrs)
    except NOT_FOUND:
        return None
    except ENGINE_ERRORS as error:
        raise EngineError(f"image {name} cannot be looked at: {explain(error)}") from error
    label = ((found.get("Config") or {}).get("Labels") or {}).get(LABEL_BASE_SOURCE, "")
    kind, reference = label.split(" ", 1) if " " in label else ("", "")
    if kind == ARCHIVE:
        return BaseSource(ARCHIVE, reference, found["Id"], name)
    known = [entry for entry in found.get("RepoDigests") or () if entry.endswith(f"@{base_image['digest']}")]
    # The engine shortens what comes from Docker Hub.
    for reference in base_image["references"]:
        if any(f"{reference}@" == f"{_full(entry.partition('@')[0])}@" for entry in known):
            return BaseSource(REGISTRY, reference, base_image["digest"], name)
    return BaseSource(REGISTRY, known[0].partition("@")[0] if known else "unknown", base_image["digest"], name)


def _full(repository: str) -> str:
    first = repository.partition("/")[0]
    if "." in first or ":" in first or first == "localhost":
        return repository
    return f"docker.io/{repository}" if "/" in repository else f"docker.io/library/{repository}"


def obtain(
    client: DockerClient,
    base_image: Mapping[str, Any],
    docker_host: Optional[str],
    network: str,
    directory: str,
    progress: Callable[[str], None],
    tick: Callable[[], None],
) -> BaseSource:
    """Give the base, fetched or made where the host has none.

    :param network: text of the network secret, or an empty string.
    :param directory: a directory of this run for files on the way.
    :param progress: gets a line about each thing that is done.
    :param tick: called about once a second; an exception it raises ends the work.
    :raises BuildError: neither a registry nor the archive gave it.
    """
    there = present(client, base_image)
    if there is not None:
        return there
    failures = []
    for reference in base_image["references"]:
        wanted = f"{reference}@{base_image['digest']}"

        def attempt(wanted: str = wanted) -> None:
            progress(f"base image: pulling {wanted}")
            _pull(docker_host, wanted, float(base_image["timeout"]), tick)

        def again(error: Exception, pause: float) -> None:
            progress(f"base image: {error}; once more in {pause:g} s")

        try:
            retry.retrying(
                attempt,
                retry.backoff(int(base_image["retries"])),
                time.sleep,
                lambda error: isinstance(error, TryFailed) and retry.is_temporary(str(error)),
                again,
            )
        except TryFailed as error:
            failures.append(f"{reference}: {error}")
            progress(f"base image: {failures[-1]}")
            continue
        name = local_name(base_image)
        tag_image(client, wanted, name)
        return BaseSource(REGISTRY, reference, base_image["digest"], name)
    progress("base image: no registry gave it; making it from Debian's archive")
    return _make(base_image, docker_host, network, directory, progress, tick, failures)


def _pull(docker_host: Optional[str], reference: str, limit: float, tick: Callable[[], None]) -> None:
    """Pull with a limit in seconds for the whole of it.

    :raises TryFailed: it failed, or took too long.
    """
    outcome: list[str] = []
    # A client of its own: closing it is what ends a pull that takes too long.
    client = connect(docker_host, timeout=max(1, int(limit)))

    def pull() -> None:
        repository, digest = reference.split("@", 1)
        try:
            for message in client.api.pull(repository, tag=digest, stream=True, decode=True):
                if "error" in message:
                    outcome.append(str(message["error"]))
                    return
        except requests.exceptions.RequestException as error:
            outcome.append(f"timed out after {limit:g} s" if "timed out" in str(error).lower() else str(error))
        except Exception as error:
            outcome.append(explain(error))

    worker = threading.Thread(target=pull, daemon=True)
    worker.start()
    deadline = time.monotonic() + limit
    try:
        while worker.is_alive():
            worker.join(min(1.0, max(0.05, deadline - time.monotonic())))
            tick()
            if worker.is_alive() and time.monotonic() >= deadline:
                raise TryFailed(f"timed out after {limit:g} s")
    finally:
        client.close()
    if outcome:
        raise TryFailed(" ".join(outcome[0].split()))


def _make(
    base_image: Mapping[str, Any],
    docker_host: Optional[str],
    network: str,
    directory: str,
    progress: Callable[[str], None],
    tick: Callable[[], None],
    failures: list[str],
) -> BaseSource:
    archive = base_image["archive"]
    tried = "".join(f"\n- {failure}" for failure in failures)
    if shutil.which("mmdebstrap") is None:
        raise BuildError(
            "The Debian base came from no registry, and it cannot be made from Debian's archive, since mmdebstrap is "
            "missing on this host (Debian package mmdebstrap; the role codeopen.workspaces.engine installs it)."
            f"{' The registries said:' if tried else ''}{tried}"
        )
    values, certificates = _parsed(network)
    command = ["mmdebstrap", f"--variant={archive['variant']}", "--format=tar"]
    if archive["packages"]:
        command.append(f"--include={','.join(archive['packages'])}")
    if certificates:
        bundle = os.path.join(directory, "certificates.pem")
        with open(bundle, "w", encoding="utf-8") as file:
            file.write(certificates)
        # apt downloads as another user, and the bundle is no secret.
        os.chmod(bundle, 0o644)
        os.chmod(directory, 0o711)
        command.append(f'--aptopt=Acquire::https::CaInfo "{bundle}"')
    # What is the host's own must not travel in an image.
    command.append('--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"')
    mirror = values.get("apt_mirror") or archive["mirror"]
    rootfs = os.path.join(directory, "rootfs.tar")
    command += [archive["suite"], rootfs]
    if mirror:
        # The mirror is in a file, since it may carry a password, and it does not stay in the image.
        sources = os.path.join(directory, "mirror.list")
        descriptor = os.open(sources, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"deb {mirror} {archive['suite']} main\n")
            if values.get("apt_security_mirror"):
                file.write(f"deb {values['apt_security_mirror']} {archive['suite']}-security main\n")
        restore = (
            'rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*; '
            f'cp "$1/{APT_EXAMPLE}" "$1/etc/apt/sources.list.d/debian.sources"'
        )
        command.insert(-2, f"--customize-hook={restore}")
        command.append(sources)
    environment = buildx.environment_for(docker_host, directory)
    environment.update({key: values[key] for key in ("http_proxy", "https_proxy", "no_proxy") if key in values})
    said: list[str] = []
    with buildx.child(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        for piece in buildx.pieces(buildx.standard_error(process), tick):
            for line in piece.splitlines():
                said.append(line)
                # The hooks are ours; how they are written says nothing to a reader.
                if line.startswith("I: ") and "-hook" not in line:
                    progress(f"base image: {line[3:]}")
        status = process.wait()
    if status:
        last = "".join(f"\n    {line}" for line in said[-20:])
        raise BuildError(
            f"The Debian base cannot be made from Debian's archive: mmdebstrap ended with exit code {status}:{last}"
            f"{chr(10) + 'Before that, the registries said:' if tried else ''}{tried}"
        )
    return _import(base_image, rootfs, environment, progress)


def _parsed(network: str) -> tuple[dict[str, str], str]:
    """Split the network secret into its values and its certificates."""
    start = network.find(network_file.PEM_BEGIN)
    head, certificates = (network, "") if start < 0 else (network[:start], network[start:])
    return dict(line.split("=", 1) for line in head.splitlines() if "=" in line), certificates


def _import(
    base_image: Mapping[str, Any], rootfs: str, environment: Mapping[str, str], progress: Callable[[str], None]
) -> BaseSource:
    suite = base_image["archive"]["suite"]
    name = local_name(base_image)
    progress(f"base image: importing it as {name}")
    command = ["docker", "import", "--change", f'LABEL {LABEL_BASE_SOURCE}="{ARCHIVE} {suite}"']
    command += ["--change", 'CMD ["bash"]', rootfs, name]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"The Debian base cannot be imported as {name}: {' '.join(done.stderr.split())}")
    os.unlink(rootfs)
    return BaseSource(ARCHIVE, suite, done.stdout.strip(), name)
