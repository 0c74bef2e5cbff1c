# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to a Swarm, through an engine that manages it: what there is, in a few listings, and single changes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import LABEL_VOLUME
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import NOT_FOUND, engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_OWNER,
    LABEL_PORTS,
    LABEL_RECIPE,
    LABEL_WORKSPACE,
    container_name,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_placement import Node, parse_node
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import (
    LABEL_NODE,
    LABEL_SECRET,
    SHARED_NETWORK,
    SecretFile,
    swarm_network,
)

if TYPE_CHECKING:
    from docker import DockerClient

T = TypeVar("T")

# On a record: whether a container of the workspace has been on its node.
_LABEL_SETTLED = "codeopen.settled"
_LOG_LINES = 20
_NOT_KNOWN = "unknown"
# A node that has not answered a new leader for so long is down. It takes 18 seconds. Nor takes an election longer.
_ANSWER_SECONDS = 30.0
# What a manager says while there is no leader, or while it asks one that it no longer reaches.
_ELECTION = ("does not have a leader", "context deadline exceeded", "code = Unavailable", "connection error")
_POLL = 0.5


@dataclass(frozen=True)
class Record:
    """What the Swarm keeps about a workspace, also while it has no service: a config object, whose labels can change.

    :ivar key: makes the names of its secrets; whoever can read it here can read the secrets, too.
    :ivar node: id of the node with its volumes; empty where there is none.
    :ivar settled: whether they are there for sure, since a container of it has been there.
    :ivar ports: numbers that it publishes, by name.
    """

    key: str
    node: str = ""
    settled: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    id: str = ""
    version: int = 0


@dataclass(frozen=True)
class SwarmState:
    """What there is in a Swarm.

    :ivar services: all of them, by name.
    :ivar tasks: by id of their service.
    :ivar secrets: of workspaces, newest last.
    :ivar networks: those that span the Swarm, ids by name.
    :ivar own_node: id of the node whose engine was asked.
    """

    nodes: Sequence[Node]
    services: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[str, Sequence[Mapping[str, Any]]]
    secrets: Mapping[str, Sequence[SecretFile]]
    records: Mapping[str, Record]
    networks: Mapping[str, str]
    own_node: str

    def service(self, workspace: str) -> Optional[Mapping[str, Any]]:
        """The service of a workspace.

        :raises EngineError: somebody else's has its name.
        """
        found = self.services.get(container_name(workspace))
        if found is not None and (found["Spec"].get("Labels") or {}).get(LABEL_WORKSPACE) != workspace:
            raise EngineError(f"the service {container_name(workspace)} is somebody else's: it has not got our labels.")
        return found

    def tasks_of(self, service: Optional[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The tasks of a service, of none where there is none."""
        return self.tasks.get(str(service["ID"]), ()) if service else ()


class ServiceChanged(EngineError):
    """A service was changed between a look at it and a request."""


class Swarm:
    """A Swarm."""

    def __init__(self, client: DockerClient) -> None:
        self._api: Any = client.api

    def look(self) -> SwarmState:
        """What there is.

        :raises EngineError: the engine is no manager of a Swarm, or that one has no quorum.
        """
        info = self._ask("Asking the engine about the Swarm", self._manager_info)
        # First of all, since it may take a while.
        nodes = self.nodes()
        doing = "Listing what is in the Swarm"
        services = self._ask(doing, self._api.services)
        tasks = self._ask(doing, self._api.tasks)
        secrets = self._ask(doing, lambda: self._api.secrets(filters={"label": [LABEL_SECRET]}))
        configs = self._ask(doing, lambda: self._api.configs(filters={"label": [LABEL_WORKSPACE]}))
        networks = self._ask(doing, self._api.networks)
        by_service: dict[str, list[Mapping[str, Any]]] = {}
        for task in tasks:
            by_service.setdefault(str(task.get("ServiceID")), []).append(task)
        return SwarmState(
            nodes=nodes,
            services={str(service["Spec"]["Name"]): service for service in services},
            tasks=by_service,
            secrets=_secrets(secrets),
            records={str(config["Spec"]["Labels"][LABEL_WORKSPACE]): _record(config) for config in configs},
            networks={str(network["Name"]): str(network["Id"]) for network in networks if network["Scope"] == "swarm"},
            own_node=str(info["Swarm"]["NodeID"]),
        )

    def nodes(self) -> list[Node]:
        """The nodes, as soon as it is known of each whether it is there: a new leader waits for it to answer."""
        end = time.monotonic() + _ANSWER_SECONDS
        while True:
            found = [parse_node(node) for node in self._ask("Listing nodes", self._api.nodes)]
            if time.monotonic() >= end or not any(node.state == _NOT_KNOWN for node in found):
                return found
            time.sleep(_POLL)

    def recipe(self, image: str) -> Optional[str]:
        """What an image of this engine was built from; None where the engine has not got it."""
        try:
            with engine_words(f"Looking at image {image}"):
                found = self._api.inspect_image(image)
        except EngineError as error:
            if isinstance(error.__cause__, NOT_FOUND):
                return None
            raise
        return str(((found.get("Config") or {}).get("Labels") or {}).get(LABEL_RECIPE, ""))

    def create(self, request: Mapping[str, Any]) -> str:
        """A new service; its id."""
        return str(self._post(f"Creating service {request['Name']}", "/services/create", request)["ID"])

    def update(self, service: Mapping[str, Any], request: Mapping[str, Any], back: bool = False) -> None:
        """Change a service; with ``back`` to what it was before its last change.

        :raises ServiceChanged: it is not what it was when it was looked at.
        """
        path = f"/services/{service['ID']}/update?version={service['Version']['Index']}"
        doing = f"Rolling back service {request['Name']}" if back else f"Updating service {request['Name']}"
        try:
            self._post(doing, path + ("&rollback=previous" if back else ""), request)
        except EngineError as error:
            if "out of sequence" in str(error):
                raise ServiceChanged(f"{doing}: somebody else changes it at the same time; run again.") from error
            raise

    def inspect(self, service_id: str) -> Mapping[str, Any]:
        """A service as it is now."""
        return dict(self._ask("Looking at a service", lambda: self._api.inspect_service(service_id)))

    def tasks(self, service_id: str) -> list[Mapping[str, Any]]:
        """The tasks of a service, also of one that has just been removed."""

        def listed() -> list[Mapping[str, Any]]:
            try:
                return list(self._api.tasks(filters={"service": service_id}))
            except NOT_FOUND:
                return [task for task in self._api.tasks() if task.get("ServiceID") == service_id]

        return self._ask("Listing tasks", listed)

    def remove(self, service: Mapping[str, Any]) -> None:
        """Remove a service; its containers stop."""
        with engine_words(f"Removing service {service['Spec']['Name']}"), suppress(*NOT_FOUND):
            self._api.remove_service(service["ID"])

    def log_lines(self, task_id: str) -> list[str]:
        """The last lines that a task's container wrote, wherever it was; none where nobody can tell any more."""
        try:
            with engine_words("Reading the log of a task"):
                url = self._api._url("/tasks/{0}/logs", task_id)
                answer = self._api._get(url, params={"stdout": 1, "stderr": 1, "tail": _LOG_LINES}, timeout=10)
                raw = self._api._get_result_tty(False, answer, False)
        except EngineError:
            # It is an addition to what is told about the failure, which counts.
            return []
        return list(raw.decode("utf-8", "replace").strip().splitlines())

    def create_secret(self, workspace: str, file: str, name: str, value: str) -> SecretFile:
        """A new secret of a workspace."""
        with engine_words(f"Creating secret {name}"):
            made = self._api.create_secret(name, value, labels={LABEL_WORKSPACE: workspace, LABEL_SECRET: file})
        return SecretFile(file, name, str(made["ID"]))

    def remove_secret(self, secret: SecretFile) -> None:
        """Remove a secret that nothing uses."""
        with engine_words(f"Removing secret {secret.name}"), suppress(*NOT_FOUND):
            self._api.remove_secret(secret.id)

    def write_record(self, workspace: str, record: Record) -> Record:
        """Keep what is to be known about a workspace."""
        name = container_name(workspace)
        labels = {
            LABEL_WORKSPACE: workspace,
            LABEL_NODE: record.node,
            _LABEL_SETTLED: "1" if record.settled else "",
            LABEL_PORTS: json.dumps(dict(record.ports), sort_keys=True, separators=(",", ":")),
        }
        data = base64.b64encode(record.key.encode()).decode()
        if record.id:
            body = {"Name": name, "Data": data, "Labels": labels}
            self._post(f"Changing the record {name}", f"/configs/{record.id}/update?version={record.version}", body)
            record_id = record.id
        else:
            with engine_words(f"Creating the record {name}"):
                record_id = str(self._api.create_config(name, record.key, labels=labels)["ID"])
        with engine_words(f"Reading the record {name}"):
            return _record(self._api.inspect_config(record_id))

    def remove_record(self, record: Record) -> None:
        """Forget a workspace."""
        with engine_words("Removing a record"), suppress(*NOT_FOUND):
            self._api.remove_config(record.id)

    def ensure_networks(self, owners: Iterable[str], there: Mapping[str, str]) -> dict[str, str]:
        """Make the networks of these owners that are missing; all ids by name."""
        found = dict(there)
        for owner in sorted(set(owners)):
            name = swarm_network(owner)
            if name not in found:
                with engine_words(f"Creating network {name}"):
                    made = self._api.create_network(name, driver="overlay", labels={LABEL_OWNER: owner}, scope="swarm")
                found[name] = str(made["Id"])
        return found

    def remove_unused_networks(self) -> None:
        """Remove the networks of owners whose last service is gone; the shared one stays."""
        with engine_words("Listing networks"):
            rows = self._api.networks(filters={"label": [LABEL_OWNER]})
            services = self._api.services()
        used = {
            str(network["Target"])
            for service in services
            for network in service["Spec"]["TaskTemplate"].get("Networks") or []
        }
        for row in rows:
            if row["Scope"] != "swarm" or row["Name"] == SHARED_NETWORK or row["Id"] in used:
                continue
            try:
                with engine_words(f"Removing network {row['Name']}"), suppress(*NOT_FOUND):
                    self._api.remove_network(row["Id"])
            except EngineError as error:
                # A container of it has still to stop; the next run that changes something removes it.
                if "in use" not in str(error) and "active endpoints" not in str(error):
                    raise

    def remove_volumes(self, workspace: str) -> list[str]:
        """Remove the volumes that this engine has of a workspace; their names."""
        with engine_words("Listing volumes"):
            filters = {"label": [f"{LABEL_WORKSPACE}={workspace}", LABEL_VOLUME]}
            names = sorted(str(row["Name"]) for row in self._api.volumes(filters=filters).get("Volumes") or [])
        for name in names:
            with engine_words(f"Removing volume {name}"), suppress(*NOT_FOUND):
                self._api.remove_volume(name)
        return names

    def _manager_info(self) -> dict[str, Any]:
        info: dict[str, Any] = self._api.info()
        _check_manager(info)
        return info

    def _ask(self, doing: str, question: Callable[[], T]) -> T:
        """The answer to a question, which waits while the managers elect a leader.

        What changes something is not asked twice, for it may have been done.
        """
        end = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                with engine_words(doing):
                    return question()
            except EngineError as error:
                if time.monotonic() >= end or not any(words in str(error) for words in _ELECTION):
                    raise
            time.sleep(_POLL)

    def _post(self, doing: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The SDK's own methods have no word for some parts of a request."""
        with engine_words(doing):
            answer = self._api._post_json(self._api._url(path), data=dict(body))
            self._api._raise_for_status(answer)
            return dict(answer.json()) if answer.content.strip() else {}


def _check_manager(info: Mapping[str, Any]) -> None:
    swarm = info.get("Swarm") or {}
    state = str(swarm.get("LocalNodeState") or "inactive")
    error = " ".join(str(swarm.get("Error") or "").split())
    if swarm.get("ControlAvailable") and not error:
        return
    if swarm.get("ControlAvailable"):
        raise EngineError(
            f"The Swarm has no quorum of managers ({error}): bring the other managers back, and see the role "
            "codeopen.workspaces.cluster. Services keep running meanwhile."
        )
    if state == "active":
        peers = ", ".join(str(peer.get("Addr")) for peer in swarm.get("RemoteManagers") or [])
        raise EngineError(f"This engine is a worker of its Swarm: run this on one of its managers ({peers}).")
    raise EngineError(
        f"This engine is not part of a Swarm (state: {state}{f', {error}' if error else ''}): "
        "the role codeopen.workspaces.cluster forms one."
    )


def _secrets(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[SecretFile]]:
    found: dict[str, list[SecretFile]] = {}
    for row in sorted(rows, key=lambda row: str(row.get("CreatedAt") or "").rstrip("Z")):
        labels = row["Spec"]["Labels"]
        secret = SecretFile(str(labels[LABEL_SECRET]), str(row["Spec"]["Name"]), str(row["ID"]))
        found.setdefault(str(labels.get(LABEL_WORKSPACE)), []).append(secret)
    return found


def _record(config: Mapping[str, Any]) -> Record:
    labels = config["Spec"]["Labels"]
    return Record(
        key=base64.b64decode(config["Spec"]["Data"]).decode("utf-8", "replace"),
        node=str(labels.get(LABEL_NODE) or ""),
        settled=bool(labels.get(_LABEL_SETTLED)),
        ports={str(name): int(port) for name, port in json.loads(labels.get(LABEL_PORTS) or "{}").items()},
        id=str(config["ID"]),
        version=int(config["Version"]["Index"]),
    )
