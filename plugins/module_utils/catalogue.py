# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: what components, tiers and presets there are. Pure: it is given documents, not files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import schema
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import CatalogueError
from ansible_collections.codeopen.workspaces.plugins.module_utils.quantities import parse_cpus, parse_limit, parse_size
from ansible_collections.codeopen.workspaces.plugins.module_utils.runtime import RUNTIME_FIELDS, Runtime
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown

_NAME = schema.text(schema.NAME, "lower-case letters, digits and single hyphens between them")
_VARIABLE = schema.text(r"[A-Za-z_][A-Za-z0-9_]*", "a variable's name: letters, digits and underscores")
_FOLDER = schema.text(r"/[A-Za-z0-9._/-]+", "an absolute path in the container")
_VERSION = schema.text(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", "an image tag such as 0.1.0")
_TEXT = schema.text()
# Where a component's health checks lie in its folder.
HEALTH_CHECKS = "rootfs/etc/codeopen/health.d"
# Debian's package names (Debian policy, section 5.6.7), which tools from elsewhere keep to.
_TOOL = schema.text(r"[a-z0-9][a-z0-9+.-]+", "lower-case letters, digits, '+', '-' and '.'")

_RESOURCES = {
    "cpus": schema.quantity(parse_cpus),
    "memory": schema.quantity(parse_size),
    "disk": schema.quantity(parse_size),
}
# limits.py says what they mean, and what holds for those that are not there.
LIMITS = schema.record(
    {
        "swap": schema.quantity(parse_size),
        "pids": schema.whole(32, 4194304),
        "shm": schema.quantity(parse_size),
        "open_files": schema.whole(0, 1048576),
        "log_size": schema.quantity(parse_size),
        "locked_memory": schema.quantity(parse_limit),
        "core_size": schema.quantity(parse_limit),
    }
)


def _environment(value: Any, where: str, problems: list[str]) -> Any:
    variables = schema.mapping(_VARIABLE, lambda entry, at, found: entry)(value, where, problems)
    result: dict[str, Any] = {}
    for name, entry in variables.items():
        if name == "PATH":
            result[name] = schema.list_of(_FOLDER)(entry, f"{where}.PATH", problems)
        else:
            result[name] = schema.scalar_text(entry, f"{where}.{name}", problems)
    return result


_COMPONENT = schema.record(
    {
        "name": _NAME,
        "kind": schema.one_of("base", "flavor", "addon"),
        "summary": schema.text(r"\S.*", "one line"),
        "args": schema.mapping(_VARIABLE, schema.scalar_text),
        "resources": schema.record(_RESOURCES),
        "ports": schema.mapping(_NAME, schema.whole(1, 65535)),
        "volumes": schema.mapping(_NAME, _FOLDER),
        "environment": _environment,
        "runtime": RUNTIME_FIELDS,
        "requires": schema.record(
            {"tier": _NAME, "flavors": schema.list_of(_NAME), "gpus": schema.of_type(bool, False)}
        ),
        "conflicts": schema.list_of(_NAME),
        "components": schema.list_of(_NAME),
        # What `leave_out` may name, and where the bytes come from.
        "tools": schema.mapping(_TOOL, schema.one_of("apt", "pypi", "npm", "go", "cargo", "release")),
        # What the layer may be at most; `make test-images` fails above it.
        "size_budget": schema.quantity(parse_size),
        "devcontainer": schema.of_type(dict, {}),
    },
    required=("name", "kind", "summary"),
)

_BASE_IMAGE = schema.record(
    {
        "digest": schema.text(r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits"),
        "references": schema.list_of(
            schema.text(r"[A-Za-z0-9][A-Za-z0-9._:/-]*", "a repository without tag or digest")
        ),
        "timeout": schema.whole(1, 3600),
        "retries": schema.whole(0, 20),
        "archive": schema.record(
            {
                "suite": _NAME,
                "variant": schema.one_of("minbase", "apt", "important", "standard"),
                "packages": schema.list_of(_TEXT),
                "mirror": _TEXT,
            },
            required=("suite",),
        ),
    },
    required=("digest", "references", "archive"),
)

_CATALOGUE_FIELDS = {
    "version": _VERSION,
    "namespace": _NAME,
    "base_image": _BASE_IMAGE,
    "tiers": schema.mapping(
        _NAME, schema.record({**_RESOURCES, "limits": LIMITS}, required=("cpus", "memory", "disk"))
    ),
    "default_tier": _NAME,
    "old_tiers": schema.mapping(
        _NAME, schema.record({"tier": _NAME, "addons": schema.list_of(_NAME)}, required=("tier",))
    ),
    "presets": schema.mapping(
        _NAME,
        schema.record(
            {
                "summary": _TEXT,
                "flavor": _NAME,
                "addons": schema.list_of(_NAME),
                "tier": _NAME,
                "leave_out": schema.list_of(_TOOL),
            },
            required=("flavor",),
        ),
    ),
}
# The first catalogue is the whole one; those beside it may add presets, tiers and components.
_FIRST = schema.record(_CATALOGUE_FIELDS, required=("version", "namespace", "base_image", "tiers", "default_tier"))
_FURTHER = schema.record({name: _CATALOGUE_FIELDS[name] for name in ("tiers", "presets")})


@dataclass(frozen=True)
class Resources:
    """CPUs, and bytes of memory and disk."""

    cpus: float = 0.0
    memory: int = 0
    disk: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(round(self.cpus + other.cpus, 3), self.memory + other.memory, self.disk + other.disk)


@dataclass(frozen=True)
class Component:
    """One folder of ``images/``. ``path`` is where it lies; other fields as in its ``component.yml``."""

    name: str
    kind: str
    summary: str
    path: str
    args: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    ports: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    runtime: Runtime = field(default_factory=Runtime)
    requires_tier: str = ""
    requires_flavors: tuple[str, ...] = ()
    requires_gpus: bool = False
    conflicts: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    size_budget: int = 0
    devcontainer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A named flavor with add-ons and a tier, without the tools in ``leave_out``."""

    name: str
    flavor: str
    addons: tuple[str, ...] = ()
    tier: str = ""
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be asked for. ``tiers`` is in order, smallest first."""

    version: str
    namespace: str
    base_image: Mapping[str, Any]
    tiers: Mapping[str, Resources]
    default_tier: str
    old_tiers: Mapping[str, Preset]
    presets: Mapping[str, Preset]
    base: Component
    flavors: Mapping[str, Component]
    addons: Mapping[str, Component]
    tier_limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def tools(self) -> list[str]:
        """The names of all components' tools."""
        components = [self.base, *self.flavors.values(), *self.addons.values()]
        return sorted({tool for component in components for tool in component.tools})

    def tier_rank(self, tier: str) -> int:
        """How many tiers are smaller than ``tier``."""
        return list(self.tiers).index(tier)


@dataclass(frozen=True)
class ComponentDocument:
    """A ``component.yml`` as read. ``file`` is its name in messages, ``folder`` the folder's own name,
    ``kind`` what its place in the tree says that it is, ``health_checks`` the text of each file in its
    ``health.d`` by name."""

    file: str
    path: str
    folder: str
    kind: str
    content: Any
    has_dockerfile: bool
    has_readme: bool = True
    health_checks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CatalogueDocument:
    """A ``catalogue.yml`` as read, with its components."""

    file: str
    content: Any
    components: Sequence[ComponentDocument]


def _component(document: ComponentDocument, problems: list[str]) -> Component:
    fields = _COMPONENT(document.content, f"{document.file}: ", problems)
    name = fields.get("name", document.folder)
    if name != document.folder:
        problems.append(f"{document.file}: name: '{name}' differs from its folder's name '{document.folder}'")
    kind = fields.get("kind", document.kind)
    if kind != document.kind:
        problems.append(f"{document.file}: kind: '{kind}' lies in the place of a component of kind '{document.kind}'")
    composite = bool(fields.get("components"))
    if composite and kind != "flavor":
        problems.append(f"{document.file}: components: only a flavor can be composed of others")
    if composite and document.has_dockerfile:
        problems.append(f"{document.file}: components: a composite flavor has no Dockerfile of its own")
    if not composite and not document.has_dockerfile:
        problems.append(f"{document.file}: Dockerfile is missing in the component's folder")
    if not document.has_readme:
        problems.append(f"{document.file}: README.md is missing in the component's folder")
    for port, number in fields.get("ports", {}).items():
        checked = re.compile(rf"(?<!\d){number}(?!\d)")
        if port not in document.health_checks and not any(map(checked.search, document.health_checks.values())):
            problems.append(
                f"{document.file}: ports.{port}: has no health check; expected a file in {HEALTH_CHECKS} that is named "
                f"'{port}' or looks at port {number}"
            )
    requires = fields.get("requires", {})
    return Component(
        name=document.folder,
        kind=document.kind,
        summary=fields.get("summary", ""),
        path=document.path,
        args=fields.get("args", {}),
        resources=Resources(**fields.get("resources", {})),
        ports=fields.get("ports", {}),
        volumes=fields.get("volumes", {}),
        environment=fields.get("environment", {}),
        runtime=Runtime.of(fields.get("runtime", {})),
        requires_tier=requires.get("tier", ""),
        requires_flavors=tuple(requires.get("flavors", ())),
        requires_gpus=bool(requires.get("gpus", False)),
        conflicts=tuple(fields.get("conflicts", ())),
        components=tuple(fields.get("components", ())),
        tools=fields.get("tools", {}),
        size_budget=fields.get("size_budget", 0),
        devcontainer=fields.get("devcontainer", {}),
    )


def parse_catalogue(documents: Sequence[CatalogueDocument]) -> Catalogue:
    """The catalogue that these documents describe together; the first is the whole one, others add to it.

    :raises CatalogueError: with every mistake in any of them.
    """
    problems: list[str] = []
    tiers: dict[str, Resources] = {}
    tier_limits: dict[str, Mapping[str, int]] = {}
    presets: dict[str, Preset] = {}
    found: dict[str, dict[str, Component]] = {"base": {}, "flavor": {}, "addon": {}}
    files: dict[tuple[str, str], str] = {}
    where_of: dict[str, str] = {}
    head: dict[str, Any] = {}
    for number, document in enumerate(documents):
        fields = (_FURTHER if number else _FIRST)(document.content, f"{document.file}: ", problems)
        head = head or fields
        for name, entry in fields.get("tiers", {}).items():
            if name in tiers:
                problems.append(f"{document.file}: tiers.{name}: is there already")
            tier_limits[name] = entry.get("limits", {})
            tiers[name] = Resources(**{key: entry[key] for key in _RESOURCES if key in entry})
        for name, entry in fields.get("presets", {}).items():
            if name in presets:
                problems.append(f"{document.file}: presets.{name}: is there already, in {where_of[name]}")
            where_of[name] = document.file
            presets[name] = Preset(
                name,
                entry.get("flavor", ""),
                tuple(entry.get("addons", ())),
                entry.get("tier", ""),
                tuple(entry.get("leave_out", ())),
            )
        for one in document.components:
            component = _component(one, problems)
            key = (one.kind, one.folder)
            if key in files:
                problems.append(f"{one.file}: the {one.kind} '{one.folder}' is there already, in {files[key]}")
            else:
                files[key] = one.file
                found[one.kind][one.folder] = component
    first = documents[0].file
    if not found["base"]:
        problems.append(f"{first}: there is no base beside it (base/component.yml)")
        raise CatalogueError(problems)
    catalogue = Catalogue(
        version=head.get("version", ""),
        namespace=head.get("namespace", ""),
        base_image={"timeout": 60, "retries": 2, **head.get("base_image", {})},
        tiers=tiers,
        tier_limits=tier_limits,
        default_tier=head.get("default_tier", ""),
        old_tiers={
            name: Preset(name, "", tuple(entry.get("addons", ())), entry.get("tier", ""))
            for name, entry in head.get("old_tiers", {}).items()
        },
        presets=presets,
        base=list(found["base"].values())[0],  # noqa: RUF015 - next() is not allowed by ansible-test
        flavors=found["flavor"],
        addons=found["addon"],
    )
    _check_names(catalogue, first, files, where_of, problems)
    if problems:
        raise CatalogueError(problems)
    return catalogue


def _check_names(
    catalogue: Catalogue,
    first: str,
    files: Mapping[tuple[str, str], str],
    where_of: Mapping[str, str],
    problems: list[str],
) -> None:
    """Every name that a document mentions is there."""

    def known(kind: str, where: str, word: str, names: Mapping[str, object]) -> None:
        if word and word not in names:
            problems.append(f"{where}: {unknown(kind, word, names)}")

    tools = dict.fromkeys(catalogue.tools())
    known("tier", f"{first}: default_tier", catalogue.default_tier, catalogue.tiers)
    for old in catalogue.old_tiers.values():
        known("tier", f"{first}: old_tiers.{old.name}.tier", old.tier, catalogue.tiers)
    for preset in catalogue.presets.values():
        where = f"{where_of[preset.name]}: presets.{preset.name}"
        known("flavor", f"{where}.flavor", preset.flavor, catalogue.flavors)
        known("tier", f"{where}.tier", preset.tier, catalogue.tiers)
        for addon in preset.addons:
            known("add-on", f"{where}.addons", addon, catalogue.addons)
        for tool in preset.leave_out:
            known("tool", f"{where}.leave_out", tool, tools)
    for component in [catalogue.base, *catalogue.flavors.values(), *catalogue.addons.values()]:
        where = files[(component.kind, component.name)]
        known("tier", f"{where}: requires.tier", component.requires_tier, catalogue.tiers)
        for flavor in component.requires_flavors:
            known("flavor", f"{where}: requires.flavors", flavor, catalogue.flavors)
        for addon in component.conflicts:
            known("add-on", f"{where}: conflicts", addon, catalogue.addons)
        for name in component.components:
            known("flavor", f"{where}: components", name, catalogue.flavors)
            if name in catalogue.flavors and catalogue.flavors[name].components:
                problems.append(f"{where}: components: '{name}' is itself composed of others; list those instead")
