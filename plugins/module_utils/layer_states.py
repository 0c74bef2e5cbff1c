# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers of a plan are missing on a host, and why. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.bake import LABEL_INPUTS, LABEL_RECIPE
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown as unknown_word

UP_TO_DATE = "up_to_date"
TAG = "tag"
BUILD = "build"


@dataclasses.dataclass(frozen=True)
class HostImage:
    """An image that is on the host: its id, its tags and its labels."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class LayerState:
    """What is to be done for one layer.

    :ivar state: ``up_to_date``, ``tag`` (an image of the same recipe lies there under another name) or ``build``.
    :ivar reasons: why it is built or tagged; empty for one that is up to date.
    :ivar source: id of the image to tag, or an empty string.
    :ivar present: recipe that the image of this name carries now, or an empty string.
    """

    layer: Mapping[str, Any]
    state: str
    reasons: tuple[str, ...] = ()
    source: str = ""
    present: str = ""


def wanted_targets(plan: Mapping[str, Any], images: Optional[Sequence[str]]) -> list[str]:
    """Give the targets that are to be brought up to date, in the plan's order.

    :param images: names of images; None stands for the images of all the plan's workspaces.
    :raises BuildError: an image is not in the plan.
    """
    if images is None:
        images = [entry["image"] for entry in plan.get("workspaces", []) if entry.get("state") != "absent"]
    known = [layer["image"] for layer in plan["layers"]]
    unknown = sorted(set(images) - set(known))
    if unknown:
        raise BuildError("\n".join(unknown_word("image", name, known) for name in unknown))
    return [layer["target"] for layer in plan["layers"] if layer["image"] in set(images)]


def decide(
    layers: Sequence[Mapping[str, Any]], wanted: Iterable[str], present: Iterable[HostImage], rebuild: bool = False
) -> list[LayerState]:
    """Say for each wanted layer, and for each missing one below it, what is to be done.

    :param layers: the plan's layers, parents before children.
    :param wanted: targets to bring up to date.
    :param present: the images on the host that carry a recipe.
    :param rebuild: build all wanted layers and all below them, whatever is there.
    """
    by_tag: dict[str, HostImage] = {}
    by_recipe: dict[str, HostImage] = {}
    for image in present:
        for tag in image.tags:
            by_tag[tag] = image
        by_recipe.setdefault(image.labels.get(LABEL_RECIPE, ""), image)
    by_target = {layer["target"]: layer for layer in layers}
    states: dict[str, LayerState] = {}

    def visit(target: str) -> None:
        if target in states:
            return
        layer = by_target[target]
        state = states[target] = _layer_state(layer, by_tag.get(layer["image"]), by_recipe, rebuild)
        if state.state == BUILD and layer["parent"] is not None:
            visit(layer["parent"])

    for target in wanted:
        visit(target)
    return [states[layer["target"]] for layer in layers if layer["target"] in states]


def _layer_state(
    layer: Mapping[str, Any], there: Optional[HostImage], by_recipe: Mapping[str, HostImage], rebuild: bool
) -> LayerState:
    recipe = layer["recipe"]
    now = there.labels.get(LABEL_RECIPE, "") if there else ""
    if rebuild:
        return LayerState(layer, BUILD, ("rebuild was asked for",), present=now)
    if now == recipe:
        return LayerState(layer, UP_TO_DATE, present=now)
    reasons = changes(layer["inputs"], there)
    if recipe in by_recipe:
        return LayerState(layer, TAG, reasons, by_recipe[recipe].id, now)
    return LayerState(layer, BUILD, reasons, present=now)


def changes(inputs: Mapping[str, str], there: Optional[HostImage]) -> tuple[str, ...]:
    """Name what of a layer's inputs differs from what the image was made of."""
    if there is None:
        return ("image is missing",)
    try:
        before = json.loads(there.labels.get(LABEL_INPUTS, ""))
    except ValueError:
        before = None
    if not isinstance(before, dict):
        return ("image does not say what it was made of",)
    reasons = []
    for name in sorted({*inputs, *before}):
        shown = "the base image" if name == "parent image" else name
        if name not in before:
            reasons.append(f"{shown} was added")
        elif name not in inputs:
            reasons.append(f"{shown} was removed")
        elif before[name] != inputs[name]:
            reasons.append(f"{shown} changed")
    return tuple(reasons) or ("the way recipes are reckoned changed",)


def difference(states: Sequence[LayerState]) -> dict[str, str]:
    """Give Ansible's ``diff``: one line for each layer, before and after, with the reasons."""
    before, after = [], []
    for state in states:
        image = state.layer["image"]
        before.append(f"{image}: {state.present[:12] or 'absent'}")
        line = f"{image}: {state.layer['recipe'][:12]}"
        if state.reasons:
            verb = "tagged" if state.state == TAG else "built"
            line += f" ({verb}: {'; '.join(state.reasons)})"
        after.append(line)
    return {
        "before_header": "images on the host",
        "after_header": "images of the plan",
        "before": "".join(line + "\n" for line in before),
        "after": "".join(line + "\n" for line in after),
    }
