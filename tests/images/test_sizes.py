# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each component's layer keeps to the size that its component.yml allows it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Component
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue
from running_workspace import docker, image_of

pytestmark = pytest.mark.catalogue

CATALOGUE = find_catalogue()
COMPONENTS = {
    component.name: component
    for component in [CATALOGUE.base, *CATALOGUE.flavors.values(), *CATALOGUE.addons.values()]
    if not component.components
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_has_a_budget(name: str) -> None:
    assert COMPONENTS[name].size_budget > 0


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_layer_is_within_its_budget(name: str) -> None:
    component: Component = COMPONENTS[name]
    about = json.loads(docker("image", "inspect", image_of(name)).stdout)[0]
    below = about["Config"]["Labels"].get("org.opencontainers.image.base.name")
    size = about["Size"] - (json.loads(docker("image", "inspect", below).stdout)[0]["Size"] if below else 0)
    assert size <= component.size_budget, f"{name}: {size / 1e6:.0f} MB of {component.size_budget / 1e6:.0f} MB"
