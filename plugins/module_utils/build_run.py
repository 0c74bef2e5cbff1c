# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run on a host: decide which layers are missing, then tag or build them under the host's lock."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import bake, base_source, buildx, context_archive
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import BuildLog, Redactor
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_report import BuildReport
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import DetachedRun
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError
from ansible_collections.codeopen.workspaces.plugins.module_utils.host_lock import host_lock
from ansible_collections.codeopen.workspaces.plugins.module_utils.image_store import images_with_recipes, tag_image
from ansible_collections.codeopen.workspaces.plugins.module_utils.layer_states import (
    BUILD,
    TAG,
    LayerState,
    decide,
    wanted_targets,
)

if TYPE_CHECKING:
    from docker import DockerClient

BUILT = "built"
TAGGED = "tagged"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a run is asked to do.

    :ivar images: images to bring up to date, or None for those of all workspaces.
    :ivar contexts: the archive of build contexts, or None where nothing may be built yet.
    :ivar network: text of the network secret.
    :ivar lock_timeout: seconds to wait for another run.
    """

    plan: Mapping[str, Any]
    images: Optional[Sequence[str]]
    rebuild: bool
    state_dir: str
    docker_host: Optional[str]
    lock_timeout: float
    log_path: str
    contexts: Optional[str] = None
    network: str = ""


@dataclasses.dataclass
class Outcome:
    """What a run found or did.

    :ivar done: state of each target after the run, where it changed.
    """

    states: list[LayerState]
    source: Optional[base_source.BaseSource] = None
    done: dict[str, str] = dataclasses.field(default_factory=dict)


def survey(client: DockerClient, request: Request) -> list[LayerState]:
    """Say what is to be done; one listing of images, and no build command."""
    wanted = wanted_targets(request.plan, request.images)
    return decide(request.plan["layers"], wanted, images_with_recipes(client), request.rebuild)


def converge(client: DockerClient, request: Request, run: DetachedRun) -> Outcome:
    """Tag and build what is missing.

    :param run: lets go when the log begins.
    :raises BuildError: a layer failed; the layers that were finished stay.
    :raises WorkspacesError: another run held the host for too long.
    """
    redact = Redactor([request.network.partition("-----BEGIN")[0]])
    lock = os.path.join(request.state_dir, "locks", "build.lock")
    with (
        BuildLog(request.log_path, redact, run.let_go) as log,
        host_lock(lock, "building images", request.lock_timeout, log.progress),
    ):
        # Another run may have built them while this one waited.
        outcome = Outcome(survey(client, request))
        try:
            for state in outcome.states:
                if state.state == TAG:
                    tag_image(client, state.source, state.layer["image"])
                    outcome.done[state.layer["target"]] = TAGGED
                    log.progress(f"{state.layer['target']}: tagged {state.layer['image']}, built before")
            if any(state.state == BUILD for state in outcome.states):
                _build(client, request, outcome, log, lambda: _stop_when_abandoned(run))
        except BuildError as error:
            log.progress(str(error))
            raise BuildError(redact(f"{error}\nThe whole log is {log.path} on the host."), log.path) from error
        except KeyboardInterrupt:
            log.progress("stopped; the next run goes on from here")
            raise
    return outcome


def _stop_when_abandoned(run: DetachedRun) -> None:
    if run.is_abandoned():
        raise BuildError("the run that started this build is gone, so the build was stopped; run again to go on")


def _build(client: DockerClient, request: Request, outcome: Outcome, log: BuildLog, watch: Callable[[], None]) -> None:
    layers = [state.layer for state in outcome.states if state.state == BUILD]
    targets = [layer["target"] for layer in layers]
    if request.contexts is None:
        raise BuildError(f"the build contexts of {', '.join(targets)} were not sent")
    with tempfile.TemporaryDirectory(prefix="codeopen-build-") as directory:
        environment = buildx.environment_for(request.docker_host, directory)
        buildx.require_buildx(environment)
        context_archive.unpack_archive(request.contexts, directory)
        for state in outcome.states:
            if state.state == BUILD:
                log.progress(f"{state.layer['target']}: will be built: {'; '.join(state.reasons)}")
        contexts = {layer["target"]: context_archive.folder_name(layer) for layer in layers}
        dockerfiles = {target: _dockerfile(directory, contexts[target]) for target in targets}
        base = None
        if layers[0]["parent"] is None:
            outcome.source = base_source.obtain(
                client,
                request.plan["base_image"],
                request.docker_host,
                request.network,
                directory,
                log.progress,
                watch,
            )
            base = {"image": outcome.source.image, "source": outcome.source.label}
            log.progress(f"base image: {outcome.source.label} ({outcome.source.digest})")
        definition = bake.definition(
            layers,
            _images_there(client, request.plan),
            dockerfiles,
            contexts,
            base,
            _secret(directory, request.network),
            targets if request.rebuild else (),
        )
        log.progress(f"building {len(layers)} {'layer' if len(layers) == 1 else 'layers'}: {', '.join(targets)}")
        report = BuildReport(log, dockerfiles)

        def tick() -> None:
            watch()
            report.tick()

        status, metadata = buildx.bake(definition, directory, environment, report.feed, tick)
        report.finish()
        for target, entry in sorted(metadata.items()):
            log.output(target, f"digest {entry.get('containerimage.digest', '')}")
    if status:
        root = str(client.info().get("DockerRootDir") or "/var/lib/docker")
        raise BuildError(report.failure_message(status, root))
    _verify(client, layers)
    outcome.done.update(dict.fromkeys(targets, BUILT))
    log.progress(f"done: {len(layers)} built")


def _images_there(client: DockerClient, plan: Mapping[str, Any]) -> dict[str, str]:
    """Names of the plan's images, by target, that are up to date on the host."""
    recipes = {tag: image.labels.get(bake.LABEL_RECIPE) for image in images_with_recipes(client) for tag in image.tags}
    return {
        layer["target"]: layer["image"] for layer in plan["layers"] if recipes.get(layer["image"]) == layer["recipe"]
    }


def _dockerfile(directory: str, folder: str) -> str:
    try:
        with open(os.path.join(directory, folder, "Dockerfile"), encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise BuildError(f"the archive of build contexts has no {folder}/Dockerfile: {error.strerror}") from error


def _secret(directory: str, network: str) -> Optional[str]:
    """Write the network secret beside the contexts, for this user's eyes only."""
    if not network:
        return None
    name = "network.secret"
    descriptor = os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(network)
    return name


def _verify(client: DockerClient, layers: Sequence[Mapping[str, Any]]) -> None:
    there = {tag: image.labels.get(bake.LABEL_RECIPE) for image in images_with_recipes(client) for tag in image.tags}
    wrong = [layer["image"] for layer in layers if there.get(layer["image"]) != layer["recipe"]]
    if wrong:
        raise BuildError(
            f"docker buildx bake ended well, but the engine does not have what it built: {', '.join(wrong)}. "
            "Another process may have taken the names in the meantime; run again."
        )


def remove_quietly(path: Optional[str]) -> None:
    """Remove a file that was sent for this run; it may be gone already."""
    if path is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)
