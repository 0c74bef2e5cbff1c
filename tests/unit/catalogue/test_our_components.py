# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own components say what is in them, and have what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Component
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue

CATALOGUE = find_catalogue()
COMPONENTS = [CATALOGUE.base, *CATALOGUE.flavors.values(), *CATALOGUE.addons.values()]
BUILT = [component for component in COMPONENTS if not component.components]


def name(component: Component) -> str:
    return component.name


def readme(component: Component) -> str:
    return (Path(component.path) / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("component", COMPONENTS, ids=name)
def test_the_readme_names_every_tool_and_port(component: Component) -> None:
    text = readme(component).lower()

    def named(word: str) -> bool:
        # "Firefox ESR" names the package firefox-esr, too.
        return any(
            re.search(rf"(?<![a-z0-9-]){re.escape(form)}(?![a-z0-9-])", text) for form in (word, word.replace("-", " "))
        )

    assert [tool for tool in component.tools if not named(tool)] == []
    assert [port for port in component.ports.values() if not named(str(port))] == []


@pytest.mark.parametrize("component", [component for component in COMPONENTS if component.kind != "base"], ids=name)
def test_the_readme_has_an_example(component: Component) -> None:
    assert "codeopen_workspaces:" in readme(component)


@pytest.mark.parametrize("component", BUILT, ids=name)
def test_every_tool_is_installed_from_the_source_it_says(component: Component) -> None:
    folder = Path(component.path)
    dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
    packages = " ".join(re.findall(r"install-apt((?:[ \\\n]+[a-z0-9][a-z0-9+.-]*)+)", dockerfile)).split()
    locks = "".join(
        f"{path.name}\n" + path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.name in ("package.json", "install-python-tool") or path.suffix in (".txt", ".mod", ".crate", ".release")
    )
    for tool, source in component.tools.items():
        if source == "apt":
            assert tool in packages, f"{tool} is not in an install-apt of {component.name}/Dockerfile"
        else:
            assert re.search(rf"\b{re.escape(tool)}\b", dockerfile + locks), f"{tool} is nowhere in {component.name}"


@pytest.mark.parametrize("component", BUILT, ids=name)
def test_every_stage_that_installs_knows_what_to_leave_out(component: Component) -> None:
    if not component.tools:
        pytest.skip("nothing of it can be left out")
    dockerfile = (Path(component.path) / "Dockerfile").read_text(encoding="utf-8")
    installs = re.compile(r"\b(install-python-tool|build-go-tool|build-cargo-tool|fetch-release) ")
    of_apt = [tool for tool, source in component.tools.items() if source == "apt"]
    for stage in re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[1:]:
        packages = set(re.findall(r"[a-z0-9][a-z0-9+.-]*", stage))
        # Compile stages may install what the component's layer lets one leave out.
        if installs.search(stage) or (stage is dockerfile.rsplit("FROM ", 1)[1] and packages & set(of_apt)):
            assert "ARG LEAVE_OUT" in stage, (
                f"{component.name}: a stage FROM {stage.split()[0]} does not take LEAVE_OUT"
            )
