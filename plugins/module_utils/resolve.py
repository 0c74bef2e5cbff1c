# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From flavor, add-ons and tier to everything that follows from them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Catalogue, Component, Resources
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.runtime import Runtime
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown

# A character of it is in no component's name.
WITHOUT = "_without-"


@dataclass(frozen=True)
class Resolution:
    """What a flavor with add-ons and a tier comes to.

    ``chain`` is base, the flavor's components, then the add-ons in alphabetical order; ``leave_out`` are the tools
    that were to be left out, sorted; ``problems`` says why it cannot be had (empty when it can).
    """

    image: str
    flavor: str
    addons: tuple[str, ...]
    tier: str
    chain: tuple[Component, ...]
    resources: Resources
    ports: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    runtime: Runtime = field(default_factory=Runtime)
    requires_gpus: bool = False
    problems: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values; memory and disk in bytes."""
        return {
            "image": self.image,
            "flavor": self.flavor,
            "addons": list(self.addons),
            "tier": self.tier,
            "components": [component.name for component in self.chain],
            "cpus": self.resources.cpus,
            "memory": self.resources.memory,
            "disk": self.resources.disk,
            "ports": dict(self.ports),
            "volumes": dict(self.volumes),
            "environment": dict(self.environment),
            "runtime": self.runtime.as_dict(),
            "requires_gpus": self.requires_gpus,
            "leave_out": list(self.leave_out),
            "compatible": not self.problems,
            "problems": list(self.problems),
        }


def image_name(flavor: str, addons: Iterable[str], version: str, namespace: str = "codeopen", suffix: str = "") -> str:
    """``<namespace>-<flavor>[-<add-on>…][<suffix>]:<version>``, add-ons sorted and each once.

    :param suffix: what :func:`without` gives.
    """
    return f"{namespace}-{'-'.join([flavor, *sorted(set(addons))])}{suffix}:{version}"


def without(components: Iterable[Component], leave_out: Iterable[str]) -> str:
    """What the name of an image of ``components`` has in addition where tools of theirs are left out, or nothing.

    It is the same for the same tools.
    """
    tools = sorted({tool for component in components for tool in component.tools} & set(leave_out))
    return f"{WITHOUT}{hashlib.sha256(' '.join(tools).encode()).hexdigest()[:8]}" if tools else ""


def flavor_chain(catalogue: Catalogue, flavor: str) -> tuple[Component, ...]:
    """The components of a known flavor: itself, or those it is composed of."""
    component = catalogue.flavors[flavor]
    return tuple(catalogue.flavors[name] for name in component.components) or (component,)


def total_resources(catalogue: Catalogue, tier: str, addons: Iterable[str]) -> Resources:
    """What the known ``tier`` gives and each of the known ``addons`` adds."""
    total = catalogue.tiers[tier]
    for addon in sorted(set(addons)):
        total = total + catalogue.addons[addon].resources
    return total


def _merge(kind: str, attribute: str, chain: Sequence[Component], problems: list[str]) -> dict[str, Any]:
    """One mapping out of the components'; a name or a value that two of them claim is a clash."""
    merged: dict[str, Any] = {}
    owner_of_name: dict[str, str] = {}
    owner_of_value: dict[Any, str] = {}
    for component in chain:
        for name, value in getattr(component, attribute).items():
            if name in owner_of_name:
                problems.append(f"{kind} '{name}' is claimed by both {owner_of_name[name]} and {component.name}")
            elif value in owner_of_value:
                problems.append(f"{kind} {value} is claimed by both {owner_of_value[value]} and {component.name}")
            else:
                merged[name] = value
                owner_of_name[name] = owner_of_value[value] = component.name
    return merged


def _environment(chain: Sequence[Component], problems: list[str]) -> dict[str, Any]:
    """``PATH`` prepends, layer by layer; any other variable has one owner."""
    path: list[str] = []
    merged: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for component in chain:
        for name, value in component.environment.items():
            if name == "PATH":
                path = [*value, *path]
            elif name in owners:
                problems.append(f"variable {name} is set by both {owners[name]} and {component.name}")
            else:
                merged[name] = value
                owners[name] = component.name
    if path:
        merged["PATH"] = path
    return merged


def _requirements(catalogue: Catalogue, flavor: str, addons: Sequence[str], tier: str) -> list[str]:
    """What the add-ons and the flavor need and do not get."""
    problems = []
    flavors = {flavor, *(component.name for component in flavor_chain(catalogue, flavor))}
    for component in [*flavor_chain(catalogue, flavor), *(catalogue.addons[addon] for addon in addons)]:
        if component.requires_tier and catalogue.tier_rank(tier) < catalogue.tier_rank(component.requires_tier):
            problems.append(f"{component.name} needs tier {component.requires_tier} or higher, not {tier}")
        if component.requires_flavors and not flavors & set(component.requires_flavors):
            wanted = " or ".join(component.requires_flavors)
            problems.append(f"{component.name} needs flavor {wanted}, not {flavor}")
        problems.extend(
            f"{component.name} cannot be together with {other}" for other in component.conflicts if other in addons
        )
    return problems


def resolve(
    catalogue: Catalogue, flavor: str, addons: Sequence[str] = (), tier: str = "", leave_out: Sequence[str] = ()
) -> Resolution:
    """Everything that follows from ``flavor``, ``addons`` and ``tier`` (default: the catalogue's).

    What does not go together is in the resolution's ``problems``.

    :param leave_out: tools that the image is made without; those of other components do not matter.
    :raises PlanError: with every unknown name, since nothing can be said about those.
    """
    tier = tier or catalogue.default_tier
    unknowns = []
    if flavor not in catalogue.flavors:
        unknowns.append(unknown("flavor", flavor, catalogue.flavors))
    unknowns += [
        unknown("add-on", addon, catalogue.addons)
        for addon in sorted(set(addons), key=str)
        if addon not in catalogue.addons
    ]
    if tier not in catalogue.tiers:
        hint = ""
        if tier in catalogue.old_tiers:
            old = catalogue.old_tiers[tier]
            hint = f"; it is now called {' with add-on '.join([old.tier, *old.addons])}"
        unknowns.append(unknown("tier", tier, catalogue.tiers) + hint)
    tools = catalogue.tools() if leave_out else []
    unknowns += [
        f"leave_out: {unknown('tool', tool, tools)}" for tool in sorted(set(leave_out), key=str) if tool not in tools
    ]
    if unknowns:
        raise PlanError(unknowns)
    names = tuple(sorted(set(addons)))
    chain = (catalogue.base, *flavor_chain(catalogue, flavor), *(catalogue.addons[name] for name in names))
    problems = _requirements(catalogue, flavor, names, tier)
    return Resolution(
        image=image_name(flavor, names, catalogue.version, catalogue.namespace, without(chain, leave_out)),
        flavor=flavor,
        addons=names,
        tier=tier,
        chain=chain,
        resources=total_resources(catalogue, tier, names),
        ports=_merge("port", "ports", chain, problems),
        volumes=_merge("volume", "volumes", chain, problems),
        environment=_environment(chain, problems),
        runtime=sum((component.runtime for component in chain), Runtime()),
        requires_gpus=any(component.requires_gpus for component in chain),
        problems=tuple(problems),
        leave_out=tuple(sorted(set(leave_out))),
    )


def migrate_tier(catalogue: Catalogue, tier: object) -> dict[str, Any]:
    """The tier and add-ons that a tier's old (or present) name stands for.

    :raises PlanError: when nothing was ever called so.
    """
    if isinstance(tier, str) and tier in catalogue.tiers:
        return {"tier": tier, "addons": []}
    if isinstance(tier, str) and tier in catalogue.old_tiers:
        old = catalogue.old_tiers[tier]
        return {"tier": old.tier, "addons": list(old.addons)}
    raise PlanError([unknown("tier", tier, [*catalogue.tiers, *catalogue.old_tiers])])


def sum_workspaces(workspaces: Iterable[Mapping[str, Any]]) -> Resources:
    """What a plan's workspaces come to together, absent ones aside."""
    total = Resources()
    for workspace in workspaces:
        if workspace["state"] != "absent":
            total = total + Resources(workspace["cpus"], workspace["memory"], workspace["disk"])
    return total
