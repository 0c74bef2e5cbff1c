# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads catalogues from folders: YAML documents, and the files that decide a component's layer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import (
    HEALTH_CHECKS,
    Catalogue,
    CatalogueDocument,
    Component,
    ComponentDocument,
    parse_catalogue,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import CatalogueError, PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import Files, make_plan
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import Resolution, resolve

# They describe or test a component; none of them gets into its image.
IGNORED_FILES = frozenset({"README.md", "component.yml", ".DS_Store"})
IGNORED_FOLDERS = frozenset(
    {"tests", "__pycache__", ".git", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"}
)


class _Loader(yaml.SafeLoader):
    """Safe YAML, in which a key that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for entry in node.value:
            key = self.construct_object(entry[0], deep=True)
            if key in seen:
                twice = f"the key '{key}' stands twice"
                raise yaml.constructor.ConstructorError(None, None, twice, entry[0].start_mark)
            seen.add(key)
        result: dict[Any, Any] = super().construct_mapping(node, deep)
        return result


def _read(path: str, problems: list[str]) -> Any:
    try:
        with open(path, encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_Loader)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.append(f"{path}: is not valid YAML: {' '.join(str(error).split())}")
    return None


def _health_checks(component: str) -> dict[str, str]:
    """The text of each health check that a component brings, by name."""
    folder = os.path.join(component, *HEALTH_CHECKS.split("/"))
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as stream:
            found[name] = stream.read()
    return found


def _components(folder: str, problems: list[str]) -> Iterator[ComponentDocument]:
    """Every component of a catalogue's folder."""
    places = [("base", folder, ["base"] if os.path.isdir(os.path.join(folder, "base")) else [])]
    for kind in ("flavor", "addon"):
        place = os.path.join(folder, f"{kind}s")
        found = sorted(os.listdir(place)) if os.path.isdir(place) else []
        places.append((kind, place, [name for name in found if os.path.isdir(os.path.join(place, name))]))
    for kind, place, names in places:
        for name in names:
            path = os.path.join(place, name)
            file = os.path.join(path, "component.yml")
            broken: list[str] = []
            content = _read(file, broken)
            problems.extend(broken)
            if not broken:
                dockerfile = os.path.isfile(os.path.join(path, "Dockerfile"))
                readme = os.path.isfile(os.path.join(path, "README.md"))
                yield ComponentDocument(file, path, name, kind, content, dockerfile, readme, _health_checks(path))


def load_catalogue(paths: Sequence[str]) -> Catalogue:
    """The catalogue in these folders; the first is the whole one, others add to it.

    :raises CatalogueError: with every mistake in every file.
    """
    problems: list[str] = []
    documents = []
    for number, given in enumerate(paths):
        folder = os.path.abspath(os.path.expanduser(given))
        if not os.path.isdir(folder):
            problems.append(f"{given}: there is no such folder; expected a catalogue with flavors/ or addons/ in it")
            continue
        file = os.path.join(folder, "catalogue.yml")
        content = _read(file, problems) if number == 0 or os.path.exists(file) else {}
        documents.append(CatalogueDocument(file, content, list(_components(folder, problems))))
    if not problems:
        return parse_catalogue(documents)
    try:
        # What could be read is checked all the same, so that everything is said at once.
        readable = [document for document in documents if document.content is not None]
        if len(readable) == len(paths):
            parse_catalogue(readable)
    except CatalogueError as error:
        problems.extend(error.problems)
    raise CatalogueError(problems)


def component_files(component: Component) -> Files:
    """Every file that decides the component's layer: its path, mode (0755 or 0644) and SHA-256.

    :raises CatalogueError: for symbolic links and special files, which contexts do not carry.
    """
    problems: list[str] = []
    files: dict[str, dict[str, str]] = {}
    for folder, subfolders, names in os.walk(component.path):
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        subfolders[:] = sorted(set(subfolders) - IGNORED_FOLDERS - set(links))
        for name in sorted([*names, *links]):
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, component.path)
            if inside in IGNORED_FILES or name.endswith((".pyc", ".egg-info")):
                continue
            if os.path.islink(path) or not os.path.isfile(path):
                problems.append(f"{path}: is not a plain file; a component's folder may hold plain files only")
                continue
            with open(path, "rb") as stream:
                content = hashlib.sha256(stream.read()).hexdigest()
            executable = bool(os.stat(path).st_mode & 0o100)
            files[inside] = {"mode": "0755" if executable else "0644", "sha256": content}
    if problems:
        raise CatalogueError(problems)
    return files


def builtin_catalogue() -> str:
    """The folder ``images/`` of the installed collection."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "images")


def find_catalogue(catalogue_paths: Sequence[str] = ()) -> Catalogue:
    """The collection's own catalogue with the folders beside it.

    :raises CatalogueError: with every mistake in the catalogues.
    """
    return load_catalogue([builtin_catalogue(), *catalogue_paths])


def plan_from_files(
    workspaces: Any, catalogue_paths: Sequence[str] = (), leave_out: Sequence[str] = (), pools: Any = ()
) -> dict[str, Any]:
    """The plan for a list of workspaces and one of pools; tools named in ``leave_out`` are not in their images.

    :raises CatalogueError: with every mistake in the catalogues.
    :raises PlanError: with every mistake in the lists.
    """
    read: dict[str, Files] = {}

    def files_of(component: Component) -> Files:
        if component.path not in read:
            read[component.path] = component_files(component)
        return read[component.path]

    return make_plan(find_catalogue(catalogue_paths), workspaces, files_of, leave_out, pools)


def resolve_wish(wish: Any, catalogue_paths: Sequence[str] = ()) -> Resolution:
    """What a mapping with flavor, addons, tier and leave_out, or a flavor's name, comes to.

    :raises CatalogueError: with every mistake in the catalogues.
    :raises PlanError: with every unknown name.
    """
    fields = {"flavor": wish} if isinstance(wish, str) else wish
    if not isinstance(fields, dict) or not all(
        isinstance(fields.get(key, []), (list, tuple)) for key in ("addons", "leave_out")
    ):
        expected = "a mapping with flavor, addons (a list), tier and leave_out (a list)"
        raise PlanError([f"expected a flavor's name, or {expected}; got {wish!r}"])
    catalogue = find_catalogue(catalogue_paths)
    addons, leave_out = fields.get("addons", []), fields.get("leave_out", [])
    return resolve(catalogue, fields.get("flavor", ""), addons, fields.get("tier", ""), leave_out)
