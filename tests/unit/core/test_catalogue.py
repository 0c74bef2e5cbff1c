# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every mistake of a catalogue is found, all at once, with file and key."""

from __future__ import annotations

import os
import pathlib
from typing import Any, Callable

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import CatalogueError
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import (
    builtin_catalogue,
    component_files,
    find_catalogue,
    load_catalogue,
)

Spoil = Callable[[Any], object]


def test_a_good_catalogue_is_read(catalogue: Any) -> None:
    assert catalogue.namespace == "acme"
    assert sorted(catalogue.flavors) == ["fullstack", "js", "python"]
    assert catalogue.addons["editor"].resources.memory == 2 * 1024**3
    assert catalogue.tiers["large"].cpus == 4
    assert catalogue.base.ports == {"opencode": 4096, "acp": 4097}
    assert catalogue.base_image["timeout"] == 60


def test_our_own_catalogue_is_good() -> None:
    assert {"python", "js"} <= set(find_catalogue().flavors)
    assert "code-server" in find_catalogue().addons
    assert builtin_catalogue().endswith("/images")


MISTAKES: list[tuple[Spoil, str]] = [
    (lambda t: t.components["addons/editor"].update(portz={}), r"addons/editor/component.yml: portz: unknown key; did you mean 'ports'\?"),
    (lambda t: t.components["addons/editor"].update(ports={"editor": 70000}), r"editor/component.yml: ports.editor: expected a whole number from 1 to 65535"),
    (lambda t: t.components["addons/editor"].update(name="edit"), r"editor/component.yml: name: 'edit' differs from its folder's name 'editor'"),
    (lambda t: t.components["addons/editor"].update(kind="flavor"), r"editor/component.yml: kind: 'flavor' lies in the place of a component of kind 'addon'"),
    (lambda t: t.components["addons/editor"].update(kind="addin"), r"kind: expected one of base, flavor, addon, got 'addin'; did you mean 'addon'\?"),
    (lambda t: t.components["addons/editor"].update(resources={"memory": "much"}), r"resources.memory: 'much' is not a size"),
    (lambda t: t.components["addons/editor"].update(resources={"cpus": "two"}), r"resources.cpus: 'two' is not a number of CPUs"),
    (lambda t: t.components["addons/editor"].update(volumes={"x": "relative"}), r"volumes.x: 'relative' is not valid; expected an absolute path"),
    (lambda t: t.components["addons/editor"].update(environment={"A B": "1"}), r"environment, the key: 'A B' is not valid"),
    (lambda t: t.components["addons/editor"].update(environment={"PATH": "/x"}), r"environment.PATH: expected a list, got '/x'"),
    (lambda t: t.components["addons/editor"].update(environment={"A": True}), r"environment.A: expected a text \(in quotes\), got True"),
    (lambda t: t.components["addons/editor"].update(environment={"A": "1\n2"}), r"environment.A: expected one line"),
    (lambda t: t.components["addons/editor"].update(args={"V": None}), r"args.V: expected a text \(in quotes\), got nothing"),
    (lambda t: t.components["addons/editor"].update(requires={"tier": "larg"}), r"requires.tier: unknown tier 'larg'; did you mean 'large'\?"),
    (lambda t: t.components["addons/editor"].update(requires={"flavors": ["pithon"]}), r"requires.flavors: unknown flavor 'pithon'; did you mean 'python'\?"),
    (lambda t: t.components["addons/editor"].update(conflicts=["guy"]), r"conflicts: unknown add-on 'guy'; did you mean 'gui'\?"),
    (lambda t: t.components["addons/editor"].update(components=["js"]), r"components: only a flavor can be composed of others"),
    (lambda t: t.components["flavors/fullstack"].update(components=["go"]), r"fullstack/component.yml: components: unknown flavor 'go'"),
    (lambda t: t.components["flavors/js"].update(components=["fullstack"]), r"components: 'fullstack' is itself composed of others"),
    (lambda t: t.components["addons/editor"].pop("kind"), r"editor/component.yml: kind: is missing"),
    (lambda t: t.components["addons/editor"].update(devcontainer=[]), r"devcontainer: expected a mapping, got \[\]"),
    (lambda t: t.head.pop("version"), r"catalogue.yml: version: is missing"),
    (lambda t: t.head.update(version="a b"), r"catalogue.yml: version: 'a b' is not valid; expected an image tag"),
    (lambda t: t.head.update(default_tier="meduim"), r"default_tier: unknown tier 'meduim'; did you mean 'medium'\?"),
    (lambda t: t.head["base_image"].update(digest="sha256:12"), r"base_image.digest: 'sha256:12' is not valid; expected sha256: and 64"),
    (lambda t: t.head["tiers"]["small"].pop("disk"), r"tiers.small.disk: is missing"),
    (lambda t: t.head["presets"]["ide"].update(flavor="pyton"), r"presets.ide.flavor: unknown flavor 'pyton'; did you mean 'python'\?"),
    (lambda t: t.head["old_tiers"]["lite"].update(tier="smal"), r"old_tiers.lite.tier: unknown tier 'smal'"),
    (lambda t: t.components["addons/editor"].update(tools={"vim": "deb"}), r"tools.vim: expected one of apt, .* got 'deb'"),
    (lambda t: t.components["addons/editor"].update(tools={"Vim": "apt"}), r"tools, the key: 'Vim' is not valid"),
]  # fmt: skip


RUNTIME_MISTAKES: list[tuple[Any, str]] = [
    ({"device": []}, r"editor/component.yml: runtime.device: unknown key; did you mean 'devices'"),
    ({"devices": ["fuse"]}, r"runtime.devices\[0\]: 'fuse' is not valid; expected a device of the host"),
    ({"devices": ["/dev/../etc/shadow"]}, r"runtime.devices\[0\]: '/dev/../etc/shadow' is not valid"),
    ({"security_opt": ["seccomp=unconfind"]}, r"expected one of .* did you mean 'seccomp=unconfined'"),
    ({"privileged": "yes"}, r"runtime.privileged: expected true or false, got 'yes'"),
]


@pytest.mark.parametrize(("runtime", "message"), RUNTIME_MISTAKES)
def test_a_mistake_in_what_is_granted_is_named(tree: Any, runtime: Any, message: str) -> None:
    tree.components["addons/editor"]["runtime"] = runtime
    with pytest.raises(CatalogueError, match=message):
        tree.load()


def test_a_missing_readme_is_named(tree: Any) -> None:
    (tree.write().root / "addons/editor/README.md").unlink()
    with pytest.raises(CatalogueError, match=r"editor/component.yml: README.md is missing"):
        load_catalogue([str(tree.root)])


def test_a_port_without_a_health_check_is_named(tree: Any) -> None:
    check = tree.write().root / "addons/editor/rootfs/etc/codeopen/health.d/editor"
    other = check.rename(check.with_name("other"))
    with pytest.raises(CatalogueError, match=r"editor/component.yml: ports.editor: has no health check; .* port 8080"):
        load_catalogue([str(tree.root)])
    other.write_text("exec http-check http://127.0.0.1:18080/\n")
    with pytest.raises(CatalogueError, match=r"ports.editor: has no health check"):
        load_catalogue([str(tree.root)])
    other.write_text("exec http-check http://127.0.0.1:8080/\n")
    assert "editor" in load_catalogue([str(tree.root)]).addons


@pytest.mark.parametrize(("spoil", "message"), MISTAKES)
def test_a_mistake_is_named_with_file_and_key(tree: Any, spoil: Spoil, message: str) -> None:
    spoil(tree)
    with pytest.raises(CatalogueError, match=message):
        tree.load()


def test_all_mistakes_are_said_at_once(tree: Any) -> None:
    for spoil in (MISTAKES[0][0], MISTAKES[11][0], MISTAKES[22][0]):
        spoil(tree)
    tree.components["flavors/js"]["kind"] = "addon"
    (tree.write().root / "addons/gui/component.yml").write_text("{broken")
    (tree.root / "addons/gpu/Dockerfile").unlink()
    with pytest.raises(CatalogueError) as caught:
        load_catalogue([str(tree.root)])
    text = str(caught.value)
    for part in ("portz: unknown key", "flavors/js/component.yml: kind", "version: 'a b'", "is not valid YAML"):
        assert part in text
    assert "addons/gpu/component.yml: Dockerfile is missing" in text
    assert text.startswith(f"{len(caught.value.problems)} mistakes in the catalogue:")


def test_a_key_that_stands_twice_is_refused(tree: Any) -> None:
    with (tree.write().root / "catalogue.yml").open("a") as stream:
        stream.write("version: '2'\n")
    with pytest.raises(CatalogueError, match="the key 'version' stands twice"):
        load_catalogue([str(tree.root)])


def test_a_missing_base_and_folder_are_named(tree: Any, tmp_path: pathlib.Path) -> None:
    del tree.components["base"]
    with pytest.raises(CatalogueError, match="there is no base beside it"):
        tree.load()
    with pytest.raises(CatalogueError, match="nowhere: there is no such folder"):
        load_catalogue([str(tmp_path / "nowhere")])


def test_further_catalogues_add_and_do_not_replace(tree: Any, tmp_path: pathlib.Path) -> None:
    mine = type(tree)(tmp_path / "mine")
    mine.head = {"presets": {"own": {"flavor": "js", "addons": ["linter"]}}}
    mine.components = {"addons/linter": {"kind": "addon"}}
    mine.write()
    catalogue = tree.load(str(mine.root))
    assert "linter" in catalogue.addons
    assert catalogue.presets["own"].addons == ("linter",)
    mine.components = {"addons/gui": {"kind": "addon"}}
    mine.head = {"version": "9"}
    mine.write()
    with pytest.raises(CatalogueError) as caught:
        tree.load(str(mine.root))
    assert "the addon 'gui' is there already, in" in str(caught.value)
    assert "mine/catalogue.yml: version: unknown key" in str(caught.value)


def test_a_components_files_are_those_that_decide_its_layer(tree: Any) -> None:
    folder = tree.write().root / "flavors/js"
    (folder / "README.md").write_text("about")
    (folder / "tests").mkdir()
    (folder / "tests/test_x.py").write_text("")
    (folder / "rootfs/bin").mkdir(parents=True)
    (folder / "rootfs/bin/tool").write_text("#!/bin/sh\n")
    (folder / "rootfs/bin/tool").chmod(0o700)
    component = load_catalogue([str(tree.root)]).flavors["js"]
    files = component_files(component)
    assert {path: entry["mode"] for path, entry in files.items()} == {"Dockerfile": "0644", "rootfs/bin/tool": "0755"}
    (folder / "rootfs/bin/tool").chmod(0o755)
    assert component_files(component) == files, "a umask does not count"
    (folder / "rootfs/bin/tool").chmod(0o644)
    assert component_files(component) != files
    os.symlink("tool", folder / "rootfs/bin/link")
    with pytest.raises(CatalogueError, match="link: is not a plain file"):
        component_files(component)
