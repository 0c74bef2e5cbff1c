# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own catalogue, and the Compose Specification's schema."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_export import ExportSettings, to_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_import import from_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import make_plan
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue

SCHEMA = pathlib.Path(__file__).parents[3] / ".build/compose/compose-spec.json"
HOME = {"name": "home", "path": "/home/developer"}


class Compose:
    """Plans, exports and imports with one catalogue. Every file is checked against the specification's schema."""

    def __init__(self, catalogue: Any, validate: Callable[[Any], None]) -> None:
        self.catalogue = catalogue
        self.validate = validate

    def plan(self, *definitions: dict[str, Any]) -> list[dict[str, Any]]:
        """The plan's workspaces; their images' recipes say nothing here."""
        workspaces: list[dict[str, Any]] = make_plan(self.catalogue, list(definitions), lambda component: {})[
            "workspaces"
        ]
        return workspaces

    def project(self, *definitions: dict[str, Any], **settings: Any) -> dict[str, Any]:
        """The export of these definitions."""
        project = to_project(self.plan(*definitions), ExportSettings(**settings))
        self.validate(project)
        return project

    def read(self, document: Any, valid: bool = True) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        """Workspaces and losses of a file; the plan takes the workspaces, and Compose what they are exported to.

        :param valid: whether it is one that Compose takes.
        """
        if valid:
            self.validate(document)
        else:
            with pytest.raises(jsonschema.ValidationError):
                self.validate(document)
        result = from_project(self.catalogue, document)
        self.project(*result["workspaces"])
        return result["workspaces"], result["not_carried_over"]

    def one(self, valid: bool = True, **service: Any) -> tuple[dict[str, Any], dict[str, str]]:
        """The workspace that a service becomes, and why which of its keys is lost."""
        document = {"name": "p", "services": {"demo": {"image": "codeopen-js:0.1.0", **service}}}
        workspaces, losses = self.read(document, valid)
        return workspaces[0], {loss["key"]: loss["why"] for loss in losses}


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    assert SCHEMA.exists(), f"{SCHEMA} is missing: run scripts/compose.sh"
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    return found


@pytest.fixture(scope="session")
def compose(schema: dict[str, Any]) -> Compose:
    validator = jsonschema.Draft7Validator(schema)
    return Compose(find_catalogue(), validator.validate)


@pytest.fixture(scope="session")
def service_keys(schema: dict[str, Any]) -> tuple[str, ...]:
    """Every key that the specification has for a service."""
    return tuple(schema["definitions"]["service"]["properties"])
