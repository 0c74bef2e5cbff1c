# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: which images, made of which layers, and which workspaces run on them. Pure.

Its structure is described in docs/architecture.md; it is made of plain values, so that it can be a fact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import aliases, recipe
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Catalogue, Component
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError, ProblemsError
from ansible_collections.codeopen.workspaces.plugins.module_utils.mounts import problems_of_mounts
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_names import member_number
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_request import parse_pool
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import (
    Resolution,
    flavor_chain,
    resolve,
    without,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.runtime import Runtime
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import unknown
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_request import Request, parse_request

Files = Mapping[str, Mapping[str, str]]
FilesOf = Callable[[Component], Files]


def _stack(catalogue: Catalogue, resolution: Resolution) -> list[tuple[str, Component]]:
    """The layers of a resolution, as (target, component), parents first.

    A layer's target is what its image is called after the namespace. Only the lower layers of a composite flavor
    have no name of their own: they are called after their components, with a character between them that no
    component's name has and that image and bake target names may have. A layer that lacks tools, or stands on one
    that does, is called so too, beside the whole one.
    """
    flavors = flavor_chain(catalogue, resolution.flavor)
    names = ["base", *("_".join(one.name for one in flavors[:depth]) for depth in range(1, len(flavors)))]
    names += ["-".join([resolution.flavor, *resolution.addons[:depth]]) for depth in range(len(resolution.addons) + 1)]
    chain = resolution.chain
    return [
        (name + without(chain[: depth + 1], resolution.leave_out), component)
        for depth, (name, component) in enumerate(zip(names, chain))
    ]


def _left_out(component: Component, leave_out: Sequence[str]) -> str:
    """The tools of a component that are left out of it, as its Dockerfile takes them."""
    return " ".join(sorted(set(component.tools) & set(leave_out)))


def _labels(
    catalogue: Catalogue, image: str, parent_image: str, components: Sequence[Component], leave_out: Sequence[str]
) -> dict[str, str]:
    """The OCI annotations (opencontainers/image-spec, annotations.md), the devcontainer metadata (containers.dev,
    image metadata), and what was left out, of a layer with ``components`` in it, base first."""
    top = components[-1]
    metadata = [dict(component.devcontainer) for component in components if component.devcontainer]
    labels = {
        "org.opencontainers.image.title": image.split(":", 1)[0],
        "org.opencontainers.image.description": top.summary,
        "org.opencontainers.image.version": catalogue.version,
        "devcontainer.metadata": json.dumps(metadata, sort_keys=True, separators=(",", ":")),
    }
    if parent_image:
        labels["org.opencontainers.image.base.name"] = parent_image
    left_out = {tool for component in components for tool in _left_out(component, leave_out).split()}
    if left_out:
        labels["codeopen.left-out"] = " ".join(sorted(left_out))
    return labels


class _Layers:
    """Collects the layers of all images, each once."""

    def __init__(self, catalogue: Catalogue, files_of: FilesOf, leave_out: Sequence[str]) -> None:
        """Take what is left out of all images, beside what a resolution leaves out of its own."""
        self.catalogue = catalogue
        self.files_of = files_of
        self.leave_out = leave_out
        self.by_target: dict[str, dict[str, Any]] = {}

    def add(self, resolution: Resolution) -> dict[str, Any]:
        """The top layer of a resolution, added with all below it."""
        parent: dict[str, Any] = {}
        components: list[Component] = []
        leave_out = [*self.leave_out, *resolution.leave_out]
        for target, component in _stack(self.catalogue, resolution):
            components.append(component)
            if target not in self.by_target:
                self.by_target[target] = self._layer(target, components, parent, leave_out)
            parent = self.by_target[target]
        return parent

    def _layer(
        self, target: str, components: Sequence[Component], parent: dict[str, Any], leave_out: Sequence[str]
    ) -> dict[str, Any]:
        catalogue, component = self.catalogue, components[-1]
        image = f"{catalogue.namespace}-{target}:{catalogue.version}"
        files = {path: dict(entry) for path, entry in self.files_of(component).items()}
        labels = _labels(catalogue, image, parent["image"] if parent else "", components, leave_out)
        args = dict(component.args)
        if _left_out(component, leave_out):
            args["LEAVE_OUT"] = _left_out(component, leave_out)
        inputs = recipe.layer_inputs(
            files,
            args,
            component.environment,
            labels,
            parent["target"] if parent else "image",
            parent["recipe"] if parent else recipe.base_image_digest(catalogue.base_image),
        )
        return {
            "target": target,
            "image": image,
            "component": component.name,
            "kind": component.kind,
            "parent": parent["target"] if parent else None,
            "context": component.path,
            "files": files,
            "args": args,
            "environment": dict(component.environment),
            "labels": labels,
            "recipe": recipe.recipe(inputs),
            "inputs": recipe.short_inputs(inputs),
        }


def _ports(request: Request, resolution: Resolution, problems: list[str], kind: str) -> list[dict[str, Any]]:
    """The components' ports and the request's own, as the host publishes them."""
    ports: list[dict[str, Any]] = []
    owners = {container: name for name, container in resolution.ports.items()}
    where = f"{kind} '{request.name}': ports"
    for name in sorted({*resolution.ports, *request.ports}):
        wish = request.ports.get(name)
        container = resolution.ports.get(name, 0)
        if wish is not None and wish.container and wish.container != container:
            if container:
                problems.append(f"{where}.{name}: is container port {container} and cannot be another")
            elif wish.container in owners:
                problems.append(f"{where}.{name}: container port {wish.container} belongs to {owners[wish.container]}")
            container = wish.container
            owners.setdefault(container, name)
        if not container:
            known = ", ".join(f"{known} ({port})" for known, port in sorted(resolution.ports.items()))
            problems.append(
                f"{where}.{name}: no component has a port of this name; known: {known}, and any other with container:"
            )
            continue
        ports.append(
            {
                "name": name,
                "container": container,
                "host": wish.host if wish else None,
                "address": (wish.address if wish else "") or request.address,
            }
        )
    return ports


def _host_port_clashes(workspaces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Host ports that two workspaces, or one twice, ask for; 0.0.0.0 and :: overlap with every address."""
    problems = []
    asked: dict[int, list[tuple[str, str]]] = {}
    for workspace in workspaces:
        for port in workspace["ports"] if workspace["state"] != "absent" else ():
            if port["host"] is None:
                continue
            mine = (port["address"], f"{workspace['name']} ({port['name']})")
            for address, other in asked.setdefault(port["host"], []):
                if address == mine[0] or {address, mine[0]} & {"0.0.0.0", "::"}:
                    problems.append(f"host port {port['host']} is asked for by both {other} and {mine[1]}")
            asked[port["host"]].append(mine)
    return problems


def _workspace(
    request: Request,
    resolution: Resolution | None,
    layer_recipe: str,
    tier_limits: Mapping[str, int],
    problems: list[str],
    kind: str = "workspace",
) -> dict[str, Any]:
    if resolution is None:
        # What is to be removed needs nothing but its name.
        return {
            "name": request.name, "flavor": request.flavor, "addons": sorted(set(request.addons)),
            "tier": request.tier, "image": "", "recipe": "", "cpus": 0.0, "memory": 0, "disk": 0,
            "ports": [], "volumes": [], "environment": {}, "runtime": Runtime().as_dict(), "gpus": 0,
            "owner": "", "aliases": [], "limits": {}, "checks": [], "mounts": [], "idle_minutes": None, "leave_out": [],
            "state": "absent",
        }  # fmt: skip
    return {
        "name": request.name,
        "flavor": resolution.flavor,
        "addons": list(resolution.addons),
        "tier": resolution.tier,
        "image": resolution.image,
        "recipe": layer_recipe,
        "cpus": resolution.resources.cpus,
        "memory": resolution.resources.memory,
        "disk": resolution.resources.disk,
        "ports": _ports(request, resolution, problems, kind),
        "volumes": [{"name": name, "path": path} for name, path in sorted(resolution.volumes.items())],
        "environment": dict(sorted(request.environment.items())),
        "runtime": resolution.runtime.as_dict(),
        "gpus": request.gpus or (-1 if resolution.requires_gpus else 0),
        "owner": request.owner,
        # A pool's name is that of none of its members.
        "aliases": aliases.further(request.name if kind == "workspace" else "", request.aliases),
        "limits": {**tier_limits, **request.limits},
        "checks": request.checks,
        "mounts": request.mounts,
        "idle_minutes": request.idle_minutes,
        "leave_out": list(resolution.leave_out),
        "state": request.state,
    }


def _check_leave_out(catalogue: Catalogue, leave_out: Any) -> list[str]:
    if not isinstance(leave_out, (list, tuple)):
        return [f"leave_out: expected a list of tools, got {leave_out!r}"]
    tools = catalogue.tools()
    return [f"leave_out: {unknown('tool', str(name), tools)}" for name in leave_out if name not in tools]


class _Workspaces:
    """Resolves requests, adds their layers, and collects mistakes."""

    def __init__(self, catalogue: Catalogue, layers: _Layers, problems: list[str]) -> None:
        self._catalogue = catalogue
        self._layers = layers
        self._problems = problems
        self._resolved: dict[tuple[str, tuple[str, ...], str, tuple[str, ...]], Resolution] = {}
        self._tops: dict[str, dict[str, Any]] = {}

    def add(self, request: Request, kind: str = "workspace") -> dict[str, Any] | None:
        """A workspace of the plan, or None where it cannot be had."""
        catalogue, where = self._catalogue, f"{kind} '{request.name}'"
        if request.state == "absent":
            return _workspace(request, None, "", {}, self._problems)
        key = (request.flavor, tuple(sorted(set(request.addons))), request.tier, tuple(request.leave_out))
        try:
            if key not in self._resolved:
                self._resolved[key] = resolve(catalogue, *key)
        except ProblemsError as error:
            self._problems.extend(f"{where}: {text}" for text in error.problems)
            return None
        resolution = self._resolved[key]
        self._problems.extend(f"{where}: {text}" for text in resolution.problems)
        if resolution.problems:
            return None
        if resolution.image not in self._tops:
            self._tops[resolution.image] = self._layers.add(resolution)
        tier_limits = catalogue.tier_limits.get(resolution.tier, {})
        top = self._tops[resolution.image]
        entry = _workspace(request, resolution, top["recipe"], tier_limits, self._problems, kind)
        self._problems.extend(f"{where}: {text.rstrip('.')}" for text in problems_of_mounts(entry))
        return entry


def _pools(
    catalogue: Catalogue, pools: Any, collected: _Workspaces, workspaces: Sequence[Request], problems: list[str]
) -> list[dict[str, Any]]:
    if not isinstance(pools, (list, tuple)):
        problems.append(f"pools: expected a list of pools, got {pools!r}")
        return []
    result: list[dict[str, Any]] = []
    for number, value in enumerate(pools):
        parsed = parse_pool(catalogue, value, number, problems)
        if parsed is None:
            continue
        request, size = parsed
        if request.name in [pool["name"] for pool in result]:
            problems.append(f"pool '{request.name}': is listed twice; each name may be there once")
        problems.extend(
            f"workspace '{workspace.name}': members of pool '{request.name}' are called so; choose another name"
            for workspace in workspaces
            if workspace.state != "absent" and member_number(request.name, workspace.name)
        )
        entry = collected.add(request, "pool")
        if entry is not None:
            result.append({"name": request.name, "size": size, "workspace": entry})
    return result


def make_plan(
    catalogue: Catalogue, workspaces: Any, files_of: FilesOf, leave_out: Sequence[str] = (), pools: Any = ()
) -> dict[str, Any]:
    """The plan for a list of workspaces, and one of pools of them, as a person wrote them.

    :param leave_out: names of tools that images are made without.
    :param files_of: the files of a component: path to ``mode`` and ``sha256``.
    :raises PlanError: with every mistake in the lists.
    """
    if not isinstance(workspaces, (list, tuple)):
        raise PlanError([f"expected a list of workspaces, got {workspaces!r}"])
    problems = _check_leave_out(catalogue, leave_out)
    if problems:
        raise PlanError(problems)
    layers = _Layers(catalogue, files_of, leave_out)
    collected = _Workspaces(catalogue, layers, problems)
    requests: dict[str, Request] = {}
    result: list[dict[str, Any]] = []
    for number, value in enumerate(workspaces):
        request = parse_request(catalogue, value, number, problems)
        if request is None:
            continue
        if request.name in requests:
            problems.append(f"workspace '{request.name}': is listed twice; each name may be there once")
        requests[request.name] = request
        entry = collected.add(request)
        if entry is not None:
            result.append(entry)
    planned_pools = _pools(catalogue, pools, collected, list(requests.values()), problems)
    problems.extend(_host_port_clashes(result))
    problems.extend(f"workspace '{name}': aliases: '{alias}' {why}" for name, alias, why in aliases.clashes(result))
    if problems:
        raise PlanError(problems)
    return {
        "version": catalogue.version,
        "base_image": dict(catalogue.base_image),
        "layers": list(layers.by_target.values()),
        "workspaces": result,
        "pools": planned_pools,
    }
