# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings one workspace of a list to its state: first what is to be done and what it changes, then the doing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils import decision as decisions
from ansible_collections.codeopen.workspaces.plugins.module_utils import limits, states
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_spec import (
    ContainerSpec,
    Settings,
    build,
    secrets_in,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.fleet_item import (
    Item,
    describe,
    describe_live,
    describe_place,
    describe_secrets,
    found_state,
    mark_changed,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.found_recorder import FoundRecorder
from ansible_collections.codeopen.workspaces.plugins.module_utils.gate_checks import run_checks
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import NO_GPUS, GpuHost
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_TIER, Container
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout import Rollout
from ansible_collections.codeopen.workspaces.plugins.module_utils.rollout_steps import (
    RolloutContext,
    RolloutSettings,
)


@dataclass(frozen=True)
class FleetSettings:
    """How a run goes about it.

    :ivar network: what the user set about proxies, mirrors and CA, as the network file's text.
    :ivar port_range: where free host ports are chosen.
    :ivar secrets: values by workspace and file name; None leaves what there is.
    :ivar memory: the folder in memory for them; empty where they are to be on disk.
    :ivar canary: how many of those that change go first, alone.
    :ivar max_failures: after how many no other is begun; 0 for never.
    :ivar wake: names of workspaces that the idle policy may have stopped and that somebody asks for.
    """

    state_dir: str
    network: str
    parallel: int
    purge: bool
    port_range: str
    rollout: RolloutSettings
    check_mode: bool
    secrets: Optional[Mapping[str, Mapping[str, str]]] = None
    memory: str = ""
    canary: int = 0
    max_failures: int = 0
    wake: Sequence[str] = ()


@dataclass(frozen=True)
class Image:
    """An image of the host."""

    id: str
    recipe: str


@dataclass
class Context:
    """What all workspaces of a run share.

    :ivar rollouts: the same for what is done to containers.
    :ivar images: by name, None for those that are not on the host.
    :ivar network_text: the network file as workspaces get it.
    :ivar networks: the engine's networks, ids by name.
    :ivar unlimited: limits that the host's kernel cannot set, in the engine's words.
    """

    rollouts: RolloutContext
    settings: FleetSettings
    images: dict[str, Optional[Image]] = field(default_factory=dict)
    network_text: str = ""
    networks: dict[str, str] = field(default_factory=dict)
    cpus: int = 0
    unlimited: frozenset[str] = frozenset()
    gpus: GpuHost = NO_GPUS


class WorkspaceRun:
    """The run over one workspace."""

    def __init__(self, item: Item, context: Context) -> None:
        self.item = item
        self._context = context
        self._settings = context.settings
        self._api: Any = context.rollouts.client.api
        gate = self._gate if item.entry.get("checks") else None
        self._found = FoundRecorder(context.rollouts.client, context.rollouts.journal, item.name)
        self._rollout = Rollout(context.rollouts, item.name, item.store, gate)
        self._decision = decisions.Decision(decisions.NONE)
        self._spec: Optional[ContainerSpec] = None
        self._limits: dict[str, Any] = {}
        self._detached = self._unproven = False
        self._secrets: Optional[Mapping[str, str]] = None

    @property
    def purges(self) -> bool:
        """Whether its volumes and files go with it when it is removed."""
        return self._settings.purge or bool(self.item.entry.get("purge"))

    def prepare(self) -> None:
        """Find out what is to be done, and say what it changes."""
        item = self.item
        # What the last run that worked on it was in the middle of.
        recorded = self._context.rollouts.journal.state(item.name)
        if not self._settings.check_mode:
            self._found.record(item.observed)
        if item.state == "absent":
            self._prepare_removal()
            return
        if item.state in ("started", "restarted") or not item.observed.exists:
            self._spec = self._make_spec()
            item.notes.extend(self._spec.notes)
        digest, stopping = self._spec.digest if self._spec else "", recorded == states.STOPPING
        self._decision = decisions.decide(item.state, item.observed, digest, stopping)
        base = self._decision.base
        self._unproven = recorded == states.STARTING and base is not None and base.serves
        describe(item, self._decision, self._spec)
        if base is not None:
            details = self._look_at(base)
            if not self._settings.check_mode:
                self._found.record_crash(base, details)
            if self._spec and self._decision.action != decisions.UPDATE:
                self._prepare_live(self._spec, base, details)
            elif self._spec:
                after = self._spec.request["HostConfig"]
                describe_place(item, secrets_in(details["HostConfig"]), secrets_in(after))
        if self._settings.secrets is not None:
            self._secrets = self._settings.secrets.get(item.name, {})
        else:
            # Where they are is for this run to say, though what they are is not.
            kept = item.store.user_secrets()
            self._secrets = kept if item.store.misplaced(kept) else None
        if self._secrets is not None:
            describe_secrets(item, self._secrets)

    def carry_out(self) -> None:
        """Do it."""
        item, decision, spec = self.item, self._decision, self._spec
        if item.state == "absent":
            journal = self._context.rollouts.journal
            # One whose container somebody took away has nothing to remove, and is to be known as lost no longer.
            if item.result["changed"] or journal.state(item.name) not in ("", states.REMOVED):
                self._rollout.remove(item.observed)
            if item.result["changed"] and self.purges:
                self._rollout.purge()
            return
        if self._secrets is not None:
            item.store.write_user_secrets(self._secrets)
        if item.ports and decision.action != decisions.UPDATE and spec is not None:
            item.store.write_ports(item.ports)
        if self._limits and decision.base:
            self._rollout.apply(decision.base.id, self._limits)
        if self._detached and decision.base and spec is not None:
            self._rollout.attach(decision.base.id, spec.network, spec.names)
        self._act()
        if decision.action == decisions.UPDATE:
            item.store.write_ports(item.ports)
        if spec is not None:
            item.store.write_asked(spec.configuration)

    def _look_at(self, container: Container) -> dict[str, Any]:
        with engine_words(f"Looking at {container.name}"):
            return dict(self._api.inspect_container(container.id))

    def _prepare_removal(self) -> None:
        item = self.item
        self._decision = decisions.decide("absent", item.observed)
        purges: list[str] = []
        if self.purges:
            purges = [f"volume {name}" for name in self._rollout.volumes()]
            purges += [item.store.path] if item.store.exists else []
        if self._decision.action == decisions.NONE and not purges:
            return
        before = {"state": found_state(item)}
        if purges:
            before["kept"] = ", ".join(purges)
        mark_changed(item, decisions.REMOVE, before, {"state": "absent"})

    def _prepare_live(self, spec: ContainerSpec, base: Container, details: Mapping[str, Any]) -> None:
        """Compare what can be changed without another start, which somebody else may have changed, too."""
        found = details["HostConfig"]
        self._limits = limits.changes(found, spec.live, self._context.unlimited)
        attached = (details["NetworkSettings"].get("Networks") or {}).get(spec.network)
        # A container that was never started is in its network by name only.
        there = self._context.networks.get(spec.network, "")
        elsewhere = attached is None or (attached.get("NetworkID") or there) != there
        # Whoever connected it by hand may not have said what it is called there.
        self._detached = elsewhere or not set(spec.names) <= set((attached or {}).get("Aliases") or [])
        asked = self.item.store.asked() or base.configuration
        # Nothing of the container depends on these.
        notes = {"tier": asked.get("tier", base.labels.get(LABEL_TIER, "")), "idle_minutes": asked.get("idle_minutes")}
        wished = {key: spec.configuration.get(key) for key in notes}
        before = dict(limits.words(found, self._context.unlimited), **notes)
        # What the kernel cannot limit is no difference.
        after = dict(limits.words(spec.live) if self._limits else before, **wished)
        if self._detached:
            before["attached"], after["attached"] = "", spec.network
        describe_live(self.item, before, after)

    def _make_spec(self) -> ContainerSpec:
        item = self.item
        image = self._image()
        if not self._settings.check_mode:
            item.store.ensure_password()
        # In check mode there may be no password yet; fingerprints made with a random key give nothing away.
        key = item.store.password() or secrets.token_hex()
        context = self._context
        network = self._settings.network
        store = item.store
        settings = Settings(context.cpus, image.id, store.secrets_dir, key, network, context.gpus, store.memory_dir)
        return build(item.entry, item.ports, settings)

    def _image(self) -> Image:
        """The image to run, which has to be there and built from the planned recipe."""
        item = self.item
        name = str(item.entry["image"])
        recipe = str(item.entry.get("recipe") or "")
        image = self._context.images[name]
        if image is not None and (not recipe or image.recipe == recipe):
            return image
        problem = "is not on this host" if image is None else "was built from another recipe than the planned one"
        if not self._settings.check_mode:
            raise RolloutError(f"Image {name} {problem}: the role codeopen.workspaces.images builds it.")
        item.notes.append(f"Image {name} {problem}; this is check mode, so it may only not have been built.")
        return Image(f"(to be built from recipe {recipe[:12]})", recipe)

    def _gate(self, container_id: str) -> None:
        rollouts = self._context.rollouts
        run_checks(rollouts.client, container_id, self.item.entry, self.item.ports, rollouts.stop)

    def _act(self) -> None:
        item, decision, spec, rollout = self.item, self._decision, self._spec, self._rollout
        observed, base, network = item.observed, decision.base, self._context.network_text
        if decision.settle == decisions.PUT_BACK and observed.previous:
            rollout.restore_previous(observed.previous, observed.current)
        if decision.action == decisions.CREATE and spec:
            container_id = rollout.create(spec.request, network, start=item.state != "stopped")
            if item.state == "paused":
                rollout.pause(container_id)
        elif decision.settle == decisions.RESUME and spec and observed.current and observed.previous:
            rollout.resume(observed.current, observed.previous, spec.request, network)
        elif base is None:
            return
        elif decision.action == decisions.UPDATE and spec:
            rollout.update(base, spec.request, network, decision.was_serving)
        elif decision.action == decisions.STOP:
            rollout.halt(base.id)
        elif decision.action == decisions.PAUSE:
            if base.state not in ("running", "restarting"):
                item.store.write_network(network)
                rollout.start(base.id)
            rollout.pause(base.id)
        elif decision.action == decisions.START and base.state == "paused":
            rollout.unpause(base.id)
        elif decision.action in (decisions.START, decisions.RESTART):
            item.store.write_network(network)
            rollout.start(base.id, restart=decision.action == decisions.RESTART)
        elif item.state in ("started", "restarted") and self._unproven:
            # Whoever started it did not come to its checks.
            rollout.start(base.id)
        elif item.state in ("started", "restarted") and base.health == "starting":
            rollout.wait(base.id)
