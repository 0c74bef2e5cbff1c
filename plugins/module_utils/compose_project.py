# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside the services of a Compose file: networks, volumes and secrets that they name. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import compose_values as values
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_fields import Losses
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_keys import reason
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_networks import is_our_bridge
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_names import SHARED_NETWORK, network_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_OWNER, LABEL_WORKSPACE
from ansible_collections.codeopen.workspaces.plugins.module_utils.schema import NAME

# They say nothing about containers: the format's old version, and what is looked up from services.
_ELSEWHERE = ("version", "name", "services", "networks", "volumes", "secrets")
_KNOWN = {"networks": ("name", "external", "labels"), "volumes": ("name", "external", "labels")}
# What a network or a volume has without being told.
_USUAL: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "networks": {"driver": ("bridge", "default"), "ipam": ({},)},
    "volumes": {"driver": ("local",)},
}


class ComposeProject:
    """A Compose file as a mapping.

    :raises PlanError: it is none, or has no services.
    """

    def __init__(self, document: Any, losses: Losses) -> None:
        services = document.get("services") if isinstance(document, Mapping) else None
        if not isinstance(document, Mapping) or not isinstance(services, Mapping):
            hint = "; put from_yaml before this filter" if isinstance(document, str) else ""
            raise PlanError([f"expected a Compose file as a mapping with services, got {_said(document)}{hint}"])
        self.name = str(document.get("name") or "")
        self.services = {str(name): content for name, content in services.items()}
        self._tables: dict[str, dict[str, dict[str, Any]]] = {}
        for kind in ("networks", "volumes", "secrets"):
            self._tables[kind] = self._table(kind, document.get(kind), losses)
        for key, value in document.items():
            if key not in _ELSEWHERE and not str(key).startswith("x-") and not values.is_empty(value):
                losses.add("", str(key), reason(str(key)))

    def _table(self, kind: str, content: Any, losses: Losses) -> dict[str, dict[str, Any]]:
        table: dict[str, dict[str, Any]] = {}
        try:
            for name, entry in values.as_mapping(content).items():
                table[name] = values.unescape(values.as_mapping(entry))
        except ValueError as error:
            losses.add("", kind, str(error))
        for name, fields in table.items():
            for key in fields if kind in _KNOWN else ():
                ours = key in _KNOWN[kind] and (key != "labels" or _ours(fields[key]))
                ours = ours or (kind == "networks" and key == "driver_opts" and is_our_bridge(fields[key]))
                usual = values.is_empty(fields[key]) or fields[key] in _USUAL[kind].get(key, ())
                if not ours and not usual and not key.startswith("x-"):
                    losses.add("", f"{kind}.{name}.{key}", f"{kind} are made as this collection makes them")
        return table

    def owner(self, network: str) -> str | None:
        """Whose network it is, empty for that of all who have no owner; None where it is no owner's."""
        fields = self._tables["networks"].get(network, {})
        try:
            labels = values.as_pairs(fields.get("labels") or {})
        except ValueError:
            labels = {}
        name, prefix = str(fields.get("name") or ""), network_name("x")[:-1]
        if LABEL_OWNER in labels:
            owner = labels[LABEL_OWNER] or ""
        elif name == SHARED_NETWORK or network == "default":
            owner = ""
        elif name.startswith(prefix):
            owner = name[len(prefix) :]
        else:
            return None
        return owner if not owner or re.fullmatch(NAME, owner) else None

    def volume(self, key: str) -> str:
        """The engine's name of a volume.

        :raises ValueError: only Compose knows it.
        """
        fields = self._tables["volumes"].get(key, {})
        if fields.get("name"):
            return str(fields["name"])
        external = fields.get("external")
        if isinstance(external, Mapping):
            return str(external.get("name") or key)
        if external:
            return key
        if not self.name:
            raise ValueError(
                f"the volume {key} is called after the folder that the file lies in: give it a 'name', or import what "
                "'docker compose config' prints"
            )
        return f"{self.name}_{key}"

    def is_external(self, volume: str) -> bool:
        """Whether a volume is there without Compose."""
        return bool(self._tables["volumes"].get(volume, {}).get("external"))

    def secret_file(self, key: str) -> str:
        """The file that a secret is; empty where it is none."""
        return str(self._tables["secrets"].get(key, {}).get("file") or "")


def _ours(labels: Any) -> bool:
    try:
        return set(values.as_pairs(labels)) <= {LABEL_OWNER, LABEL_WORKSPACE, "codeopen.volume"}
    except ValueError:
        return False


def _said(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
