# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a Compose file to definitions of workspaces, and a list of what could not be carried over. Pure.

A service becomes a workspace when its image is one of the catalogue's. Values that only resemble what a workspace can
have are carried over as the nearest that it can, and listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import aliases
from ansible_collections.codeopen.workspaces.plugins.module_utils import compose_values as values
from ansible_collections.codeopen.workspaces.plugins.module_utils.catalogue import Catalogue
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_export import (
    AWAY,
    CHECKS,
    IDLE_MINUTES,
    LEAVE_OUT,
    PASSWORDS_SERVICE,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_fields import Fields, Losses
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_parts import (
    environment_of,
    gpus_of,
    mounts_of,
    ports_of,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_project import ComposeProject
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_resources import (
    asked_of,
    choose_tier,
    limits_of,
    lose_difference,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import SECRETS_PATH
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import ProblemsError
from ansible_collections.codeopen.workspaces.plugins.module_utils.limits import RESTART_POLICY
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_TIER, container_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import WITHOUT, Resolution
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import nearest
from ansible_collections.codeopen.workspaces.plugins.module_utils.workspace_request import parse_request

_LONGEST_NAME = 40


def from_project(catalogue: Catalogue, document: Any) -> dict[str, Any]:
    """``workspaces`` for the plan, and ``not_carried_over`` with ``service``, ``key`` and ``why``.

    :raises PlanError: it is no Compose file.
    """
    losses = Losses()
    project = ComposeProject(document, losses)
    workspaces: list[dict[str, Any]] = []
    services: dict[str, str] = {}
    for service, content in project.services.items():
        if service == PASSWORDS_SERVICE:
            continue
        entry = _workspace(catalogue, project, service, content, losses)
        names = {one["name"] for one in workspaces}
        if entry and entry["name"] in names:
            losses.add(service, "container_name", f"another service is the workspace '{entry['name']}' already")
        elif entry:
            workspaces.append(entry)
            services[entry["name"]] = service
    _lose_clashes(workspaces, services, losses)
    return {"workspaces": workspaces, "not_carried_over": losses.items}


def _lose_clashes(workspaces: list[dict[str, Any]], services: Mapping[str, str], losses: Losses) -> None:
    """Take away the aliases that would lead to one of two; Compose lets several services have one."""
    by_name = {entry["name"]: entry for entry in workspaces}
    for name, alias, why in list(aliases.clashes(workspaces)):
        losses.add(services[name], "networks", f"alias '{alias}' {why}")
        entry = by_name[name]
        entry["aliases"] = [one for one in entry["aliases"] if one != alias]
        if not entry["aliases"]:
            del entry["aliases"]


def image_parts(catalogue: Catalogue, image: str) -> tuple[str, tuple[str, ...]]:
    """Flavor and add-ons of an image of the catalogue, whatever its tag.

    :raises ValueError: it is none.
    """
    name = image.partition("@")[0]
    name = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    name = name.partition(WITHOUT)[0]
    prefix = f"{catalogue.namespace}-"
    found = [
        (flavor, addons)
        for flavor in sorted(catalogue.flavors)
        if name.startswith(f"{prefix}{flavor}")
        for addons in _addons(catalogue, name[len(prefix) + len(flavor) :])
        if addons == tuple(sorted(set(addons)))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        meanings = " or ".join(" with ".join((flavor, *addons)) for flavor, addons in found)
        raise ValueError(f"{image} may be {meanings}: write that workspace by hand")
    guess = nearest(name.rpartition("/")[2], [f"{prefix}{flavor}" for flavor in catalogue.flavors])
    hint = f"; did you mean '{guess}'?" if guess else ""
    raise ValueError(f"{image} is no image of the catalogue, which are called {prefix}<flavor>[-<add-on>…]{hint}")


def _addons(catalogue: Catalogue, rest: str) -> Iterator[tuple[str, ...]]:
    if not rest:
        yield ()
    for addon in sorted(catalogue.addons):
        if rest == f"-{addon}" or rest.startswith(f"-{addon}-"):
            for further in _addons(catalogue, rest[len(addon) + 1 :]):
                yield (addon, *further)


def _workspace(
    catalogue: Catalogue, project: ComposeProject, service: str, content: Any, losses: Losses
) -> dict[str, Any] | None:
    """The definition that a service becomes, or None where it becomes none."""
    if not isinstance(content, Mapping):
        losses.add(service, "", "is no mapping: nothing of it is carried over")
        return None
    fields = Fields(service, content, losses)
    image = fields.take("image", str)
    if not image:
        if not content.get("image"):
            fields.lose("image", "is not given: workspaces run images of the catalogue. Nothing of it is carried over")
        return None
    try:
        flavor, addons = image_parts(catalogue, image)
    except ValueError as error:
        fields.lose("image", f"{error}. Nothing of it is carried over")
        return None
    asked = asked_of(fields)
    name = _name(fields)
    tier = str(fields.take(f"labels.{LABEL_TIER}") or "")
    leave_out = [str(tool) for tool in fields.take(LEAVE_OUT, values.as_list) or []]
    try:
        resolution = choose_tier(catalogue, (flavor, addons, leave_out), asked, tier)
    except ProblemsError as error:
        fields.lose("image", f"{'; '.join(error.problems)}. Nothing of it is carried over")
        return None
    if image != resolution.image:
        fields.lose("image", f"is {image}, and this catalogue builds {resolution.image}")
    lose_difference(fields, asked, resolution)
    owner, further = _owner(fields, project, name)
    optional = {
        "addons": list(addons),
        "limits": limits_of(catalogue, resolution.tier, asked),
        "ports": ports_of(fields, resolution),
        "environment": environment_of(fields),
        "gpus": gpus_of(fields),
        "owner": owner,
        "aliases": further,
        "checks": fields.take(CHECKS, values.as_list),
        "idle_minutes": fields.take(IDLE_MINUTES, values.as_whole),
        "leave_out": leave_out,
        "mounts": mounts_of(fields, project, name, resolution),
        "state": _state(fields),
    }
    entry = {"name": name, "flavor": flavor, "tier": resolution.tier}
    entry.update({key: value for key, value in optional.items() if value})
    _secrets(fields, project, name)
    _lose_grants(fields, resolution)
    _take_what_is_always_so(fields, name)
    fields.lose_rest()
    # Whatever a hand-written file brought, a definition that is given out is one that the plan takes.
    problems: list[str] = []
    parse_request(catalogue, entry, 0, problems)
    if problems:
        fields.lose("", f"{'; '.join(problems)}. Nothing of it is carried over")
        return None
    return entry


def _name(fields: Fields) -> str:
    container, prefix = str(fields.take("container_name") or ""), container_name("")
    wished = container[len(prefix) :] if container.startswith(prefix) else fields.service
    name = re.sub(r"[^a-z0-9]+", "-", wished.lower())[:_LONGEST_NAME].strip("-") or "workspace"
    if name != wished:
        fields.lose("container_name", f"'{wished}' is not a workspace's name, so it is called '{name}'")
    elif container and container != container_name(name):
        fields.lose("container_name", f"it is called {container_name(name)}")
    return name


def _owner(fields: Fields, project: ComposeProject, name: str) -> tuple[str, list[str]]:
    """Whose it is, and its aliases."""
    networks = fields.take("networks", values.as_named) or {}
    found: list[str] = []
    for network, options in networks.items():
        for option, value in options.items():
            place = f"networks.{network}.{option}"
            if option == "aliases":
                found += _aliases(fields, place, value)
            else:
                fields.lose(place, "other workspaces of its owner find it by its name and its aliases")
    further = aliases.further(name, found)
    owners = [project.owner(network) for network in networks]
    if len(owners) == 1 and owners[0] is not None:
        return owners[0], further
    if owners:
        fields.lose("networks", "workspaces of one owner share a network: give 'owner' to those that shall meet")
    return "", further


def _aliases(fields: Fields, place: str, value: Any) -> list[str]:
    try:
        given = [] if values.is_empty(value) else values.as_list(value)
    except ValueError as error:
        fields.lose(place, str(error))
        return []
    for alias in given:
        if not aliases.is_label(alias):
            fields.lose(place, f"{alias!r} is no alias: expected {aliases.EXPECTED}")
    return [alias for alias in given if aliases.is_label(alias)]


def _state(fields: Fields) -> str:
    state = ""
    profiles = fields.take("profiles", values.as_list) or []
    if len(profiles) == 1 and profiles[0] in AWAY:
        state = str(profiles[0])
    elif profiles:
        fields.lose("profiles", "it starts with the others; 'state: stopped' keeps it away")
    for key in ("scale", "deploy.replicas"):
        count = fields.take(key, values.as_whole)
        if count == 0:
            state = state or "stopped"
        elif count not in (None, 1):
            fields.lose(key, f"is {count}, and a workspace is one container: write one for each")
    return state


def _secrets(fields: Fields, project: ComposeProject, name: str) -> None:
    """Their values are not in the file."""
    for place, secret in fields.take_list("secrets"):
        source = str(secret.get("source") or "") if isinstance(secret, Mapping) else str(secret)
        target = str(secret.get("target") or "") if isinstance(secret, Mapping) else ""
        path = project.secret_file(source)
        file = (target or source).rpartition("/")[2]
        lookup = f", such as {{{{ lookup('file', '{path}') }}}}" if path else ""
        fields.lose(place, f"give its value as codeopen_secrets.{name}.{file}{lookup}; it gets to {SECRETS_PATH}")


def _lose_grants(fields: Fields, resolution: Resolution) -> None:
    runtime = resolution.runtime
    more = "is not among what its components declare as 'runtime'"
    for place, device in fields.take_list("devices"):
        source = str(device.get("source")) if isinstance(device, Mapping) else str(device).partition(":")[0]
        if source not in runtime.devices:
            fields.lose(place, f"{source} {more}")
    for place, option in fields.take_list("security_opt", str):
        if option.replace(":", "=", 1) not in runtime.security_opt:
            fields.lose(place, f"{option} {more}")
    if fields.take("privileged", values.as_flag) and not runtime.privileged:
        fields.lose("privileged", more)


def _take_what_is_always_so(fields: Fields, name: str) -> None:
    """Keys whose value is what every workspace has; other values are lost."""
    fixed = {"hostname": name, "restart": RESTART_POLICY["Name"], "pull_policy": "never", "init": False}
    for key, value in fixed.items():
        found = fields.take(key)
        if found is not None and found != value:
            said = str(value).lower() if isinstance(value, bool) else value
            fields.lose(key, f"is {found}, and that of every workspace is {said}")
    for label, value in fields.take_entries("labels"):
        if not label.startswith("codeopen."):
            fields.lose(f"labels.{label}", "containers of workspaces have the collection's labels only")
    for service, value in fields.take_entries("depends_on"):
        if service != PASSWORDS_SERVICE:
            fields.lose(f"depends_on.{service}", "workspaces start independently of each other")
