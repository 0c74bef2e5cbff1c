# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small catalogue on disk, which each test may spoil in its own way."""

from __future__ import annotations

import copy
import pathlib
from typing import Any

import pytest
import yaml
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import load_catalogue

HEAD: dict[str, Any] = {
    "version": "1.2.3",
    "namespace": "acme",
    "base_image": {
        "digest": "sha256:" + "0" * 64,
        "references": ["registry.example/debian"],
        "archive": {"suite": "trixie", "variant": "minbase", "packages": ["ca-certificates"]},
    },
    "tiers": {
        "small": {"cpus": 1, "memory": "2GiB", "disk": "20GB"},
        "medium": {"cpus": 2, "memory": "4GiB", "disk": "30GB"},
        "large": {"cpus": 4, "memory": "8GiB", "disk": "50GB"},
    },
    "default_tier": "medium",
    "old_tiers": {"lite": {"tier": "small"}, "desktop": {"tier": "large", "addons": ["gui"]}},
    "presets": {"ide": {"flavor": "python", "addons": ["editor"], "tier": "large"}},
}
COMPONENTS: dict[str, dict[str, Any]] = {
    "base": {
        "kind": "base",
        "ports": {"opencode": 4096, "acp": 4097},
        "volumes": {"home": "/home/developer", "workspace": "/workspace"},
        "environment": {"LANG": "C.UTF-8"},
    },
    "flavors/js": {"kind": "flavor", "args": {"NODE_VERSION": "24"}, "environment": {"PATH": ["/opt/js/bin"]}},
    "flavors/python": {"kind": "flavor", "environment": {"PATH": ["/opt/python/bin"]}},
    "flavors/fullstack": {"kind": "flavor", "components": ["js", "python"]},
    "addons/editor": {"kind": "addon", "resources": {"cpus": 1, "memory": "2GiB"}, "ports": {"editor": 8080}},
    "addons/gui": {"kind": "addon", "resources": {"cpus": 2, "memory": "4GiB"}, "ports": {"gui": 6080}},
    "addons/gpu": {
        "kind": "addon",
        "requires": {"tier": "large", "flavors": ["python"], "gpus": True},
        "conflicts": ["gui"],
    },
}


class Tree:
    """The catalogue's folder: change ``head`` and ``components``, then ``write``."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.head = copy.deepcopy(HEAD)
        self.components = copy.deepcopy(COMPONENTS)

    def write(self) -> Tree:
        self.root.mkdir(parents=True, exist_ok=True)
        if self.head:
            (self.root / "catalogue.yml").write_text(yaml.safe_dump(self.head, sort_keys=False))
        for path, fields in self.components.items():
            folder = self.root / path
            folder.mkdir(parents=True, exist_ok=True)
            entry = {"name": folder.name, "summary": f"The {folder.name}", **fields}
            (folder / "component.yml").write_text(yaml.safe_dump(entry, sort_keys=False))
            (folder / "README.md").write_text(f"# {folder.name}\n")
            for port in fields.get("ports") or {}:
                checks = folder / "rootfs" / "etc" / "codeopen" / "health.d"
                checks.mkdir(parents=True, exist_ok=True)
                (checks / str(port)).write_text("#!/bin/sh\n")
            if not fields.get("components"):
                (folder / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n")
        return self

    def load(self, *further: str) -> Any:
        return load_catalogue([str(self.write().root), *further])


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    return Tree(tmp_path / "images")


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Tree(tmp_path_factory.mktemp("catalogue") / "images").load()
