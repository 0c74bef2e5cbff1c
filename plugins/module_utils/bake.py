# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definition that ``docker buildx bake`` gets: linked targets, made from layers of the plan. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError

LABEL_RECIPE = "codeopen.recipe"
LABEL_INPUTS = "codeopen.inputs"
LABEL_COMPONENT = "codeopen.component"
LABEL_BASE_SOURCE = "codeopen.base-source"

# The named context that BASE_IMAGE stands for in every Dockerfile.
PARENT = "parent"
# The one that BUILD_IMAGE stands for, where a Dockerfile has it: the base, whatever the layer stands on, so that
# what a stage compiles is compiled once and not again for every flavor. No stage may have a context's name, or
# BuildKit copies from the context in its place.
BUILD = "codeopen-build-base"
ROOT = "base"
_BUILD_IMAGE = re.compile(r"^ARG\s+BUILD_IMAGE\b", re.MULTILINE)
NETWORK_SECRET = "network"
# containerd's store keeps layers compressed, as they are pushed and pulled later, and zstd is faster than gzip at both
# ends; overlay2 keeps them as files, and has no use for this.
COMPRESSION = "compression=zstd,oci-mediatypes=true"


def environment_lines(environment: Mapping[str, Any]) -> list[str]:
    """Give the ``ENV`` instructions of a layer, sorted by name. A list (PATH) is prepended to what is there.

    :raises BuildError: a value has a line break, which an image's environment cannot carry through a Dockerfile.
    """
    lines = []
    for name in sorted(environment):
        value = environment[name]
        if isinstance(value, (list, tuple)):
            text = ":".join([_quoted(name, str(entry)) for entry in value] + [f"${{{name}}}"])
        else:
            text = _quoted(name, str(value))
        lines.append(f'ENV {name}="{text}"')
    return lines


def _quoted(name: str, value: str) -> str:
    if "\n" in value or "\r" in value:
        raise BuildError(f"environment {name}: a value with a line break cannot be set in an image")
    for character in ("\\", '"', "$"):
        value = value.replace(character, "\\" + character)
    return value


def dockerfile(text: str, environment: Mapping[str, Any]) -> str:
    """Append a layer's environment to the text of its Dockerfile."""
    lines = environment_lines(environment)
    return text.rstrip("\n") + "\n" + "".join(line + "\n" for line in lines)


def labels(layer: Mapping[str, Any], base_source: Optional[str]) -> dict[str, str]:
    """Give all labels of a layer's image: the plan's and those that the next run compares.

    :param base_source: for the base layer, what its base was taken from; its children inherit the label.
    """
    result = {str(name): str(value) for name, value in layer["labels"].items()}
    result[LABEL_RECIPE] = layer["recipe"]
    result[LABEL_INPUTS] = json.dumps(layer["inputs"], sort_keys=True, separators=(",", ":"))
    result[LABEL_COMPONENT] = layer["component"]
    if base_source is not None:
        result[LABEL_BASE_SOURCE] = base_source
    return result


def definition(
    layers: Sequence[Mapping[str, Any]],
    images: Mapping[str, str],
    dockerfiles: Mapping[str, str],
    contexts: Mapping[str, str],
    base: Optional[Mapping[str, str]],
    secret: Optional[str],
    fresh: Iterable[str] = (),
) -> dict[str, Any]:
    """Link layers into one definition.

    :param layers: the layers to build, parents before children.
    :param images: image names by target, of layers that are on the host already.
    :param dockerfiles: texts of the Dockerfiles by target.
    :param contexts: directories of the build contexts by target.
    :param base: ``image`` (name on the host) and ``source`` (the label's text) of the base, when the base is built.
    :param secret: file of the network secret, or None.
    :param fresh: targets whose cached steps are not used.
    """
    building = {layer["target"] for layer in layers}
    without_cache = set(fresh)
    targets: dict[str, Any] = {}
    for layer in layers:
        target = layer["target"]
        parent = layer["parent"]
        if parent is None:
            if base is None:
                raise BuildError(f"layer {target}: no base image was given to build it on")
            linked = f"docker-image://{base['image']}"
        else:
            linked = _link(parent, building, images)
        entry: dict[str, Any] = {
            "context": contexts[target],
            "dockerfile-inline": escaped(dockerfile(dockerfiles[target], layer["environment"])),
            "args": {name: escaped(str(value)) for name, value in sorted(layer["args"].items())},
            "contexts": {PARENT: linked},
            "labels": {
                name: escaped(value)
                for name, value in sorted(labels(layer, base["source"] if base and parent is None else None).items())
            },
            "tags": [layer["image"]],
            "output": [f"type=docker,{COMPRESSION}"],
        }
        entry["args"]["BASE_IMAGE"] = PARENT
        # On the base itself the Dockerfile's default does: a second link to one target stays unresolved (buildx 0.13).
        if parent not in (None, ROOT) and _BUILD_IMAGE.search(dockerfiles[target]) and ROOT in (*building, *images):
            entry["contexts"][BUILD] = _link(ROOT, building, images)
            entry["args"]["BUILD_IMAGE"] = BUILD
        if secret is not None:
            entry["secret"] = [f"id={NETWORK_SECRET},src={secret}"]
        if target in without_cache:
            entry["no-cache"] = True
        targets[target] = entry
    return {"group": {"default": {"targets": [layer["target"] for layer in layers]}}, "target": targets}


def _link(target: str, building: Iterable[str], images: Mapping[str, str]) -> str:
    return f"target:{target}" if target in building else f"docker-image://{images[target]}"


def escaped(text: str) -> str:
    """Write a text so that bake, which looks for templates in every string, takes it as it is."""
    return text.replace("${", "$${").replace("%{", "%%{")
