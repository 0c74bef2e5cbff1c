# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of a layer: the SHA-256 of all that decides it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# How recipes are reckoned. Raised when the builder starts to make other layers out of the same inputs.
FORMAT = "1"


def digest(value: Any) -> str:
    """SHA-256 (64 hexadecimal digits) of a value of plain types, the order of keys aside."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def layer_inputs(
    files: Mapping[str, Mapping[str, str]],
    args: Mapping[str, str],
    environment: Mapping[str, Any],
    labels: Mapping[str, str],
    parent_name: str,
    parent_recipe: str,
) -> dict[str, str]:
    """Everything that decides a layer, by a name that a person understands, as full digests.

    :param files: path in the component's folder to its ``mode`` and ``sha256``.
    :param parent_name: what the layer stands on, such as ``base``.
    :param parent_recipe: the recipe, or for the base image the digest, of what it stands on.
    """
    inputs = {f"file {path}": digest([entry["mode"], entry["sha256"]]) for path, entry in files.items()}
    inputs.update({f"argument {name}": digest(value) for name, value in args.items()})
    inputs["environment"] = digest(environment)
    inputs["labels"] = digest(labels)
    inputs[f"parent {parent_name}"] = parent_recipe
    return inputs


def recipe(inputs: Mapping[str, str]) -> str:
    """The SHA-256 over all inputs of a layer."""
    return digest({"format": FORMAT, "inputs": dict(inputs)})


def short_inputs(inputs: Mapping[str, str]) -> dict[str, str]:
    """The inputs with 12 digits each: enough to see which of them changed, small enough for a label."""
    return {name: value[:12] for name, value in inputs.items()}


def base_image_digest(base_image: Mapping[str, Any]) -> str:
    """What of the base image's description decides its content: the registry's digest, and what is made in its place.

    Where it is fetched from (references, mirror) and how patiently does not count.
    """
    archive = base_image["archive"]
    content = {name: archive[name] for name in ("suite", "variant", "packages") if name in archive}
    return digest({"digest": base_image["digest"], "archive": content})
