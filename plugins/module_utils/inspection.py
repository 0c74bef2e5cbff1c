# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host can tell about one of its workspaces: from the engine, from its record, and from what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import limits, states
from ansible_collections.codeopen.workspaces.plugins.module_utils.drift import drift, found_configuration
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import engine_words
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import log_lines
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_report import services
from ansible_collections.codeopen.workspaces.plugins.module_utils.idle_records import IdleRecords
from ansible_collections.codeopen.workspaces.plugins.module_utils.look_again import look_up, read_present
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import (
    LABEL_IMAGE,
    LABEL_RECIPE,
    LABEL_TIER,
    Container,
    Observed,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.pool_book import PoolBook
from ansible_collections.codeopen.workspaces.plugins.module_utils.ports import urls
from ansible_collections.codeopen.workspaces.plugins.module_utils.records import Records
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore

if TYPE_CHECKING:
    from docker import DockerClient


class Inspector:
    """Looks at workspaces of a host.

    :param history: how many transitions of each it tells.
    """

    def __init__(self, client: DockerClient, state_dir: str, history: int) -> None:
        self._client = client
        self._api: Any = client.api
        self._state_dir = state_dir
        self._history = history
        self._records = Records(state_dir)
        self.recorded = self._records.last_states()
        self._asleep = IdleRecords(state_dir).asleep()
        with engine_words("Asking the engine about its host"):
            self._unlimited = limits.impossible(self._api.info())

    def lost(self, workspace: str) -> dict[str, Any]:
        """What is known about a workspace that the engine has no container of."""
        return {
            "name": workspace,
            "state": states.observe("", "none", recorded=self.recorded.get(workspace, "")),
            "history": self._records.history(workspace, self._history),
        }

    def facts(self, workspace: str, observed: Observed) -> dict[str, Any]:
        """What is known about a workspace, as it is now where another run replaces or removes its container meanwhile.

        :param observed: its containers as they were found among all.
        """
        if not observed.exists:
            # The record is read after the containers were listed, and may know of one that came between.
            observed = self._look_again(workspace)
        return read_present(observed, lambda there: self._facts(workspace, there), lambda: self._look_again(workspace))

    def _look_again(self, workspace: str) -> Observed:
        observed = look_up(self._client, workspace)
        # After the look: whoever removes a container says so when it is gone.
        self.recorded = self._records.last_states()
        return observed

    def _facts(self, workspace: str, observed: Observed) -> dict[str, Any]:
        container = observed.current or observed.previous
        if container is None:
            return self.lost(workspace)
        store = SecretsStore(self._state_dir, workspace)
        with engine_words(f"Looking at {container.name}"):
            details = self._api.inspect_container(container.id)
        asked = store.asked() or container.configuration
        told: dict[str, Any] = {
            "name": workspace,
            "state": self._state(workspace, container, details["State"]),
            "asleep": details["State"]["Status"] == "exited"
            and self._asleep.get(workspace) == (container.id, str(details["State"]["StartedAt"])),
            "health": container.health,
            "services": _services(details["State"]),
            "updating": observed.previous is not None,
            "image": container.labels.get(LABEL_IMAGE, ""),
            "recipe": container.labels.get(LABEL_RECIPE, ""),
            "tier": str(asked.get("tier", container.labels.get(LABEL_TIER, ""))),
            "owner": str(asked.get("owner", "")),
            "ports": {key: port["host"] for key, port in container.ports.items()},
            "urls": urls(container.ports),
            "password_file": store.password_file,
            "container": container.name,
            "drift": drift(asked, found_configuration(workspace, details, container.ports, self._unlimited)),
            "resources": self._resources(container),
            "history": self._records.history(workspace, self._history),
        }
        member = PoolBook(self._state_dir).member(workspace)
        if member is not None:
            told.update(pool=member.pool, claimant=member.claimant)
        if told["state"] == states.FAILED or container.state == "restarting":
            ended = details["State"]
            lines: list[str] = []
            # The engine gives no log of a container that it failed to remove.
            if not ended.get("Dead"):
                with engine_words(f"Reading the log of {container.name}"):
                    lines = log_lines(self._client, container.id)
            told["failure"] = {
                "exit_code": int(ended.get("ExitCode") or 0),
                "oom": bool(ended.get("OOMKilled")),
                "last_lines": lines,
            }
        return told

    def _state(self, workspace: str, container: Container, state: Mapping[str, Any]) -> str:
        recorded = self.recorded.get(workspace, "")
        return states.observe(container.state, container.health, int(state.get("ExitCode") or 0), recorded)

    def _resources(self, container: Container) -> dict[str, Any]:
        if container.state not in ("running", "paused"):
            return {}
        # One sample, since a second one would take a second.
        with engine_words(f"Measuring {container.name}"):
            stats = self._api.stats(container.id, stream=False, one_shot=True)
        memory, cpu = stats.get("memory_stats") or {}, stats.get("cpu_stats") or {}
        cache = (memory.get("stats") or {}).get(
            "inactive_file", (memory.get("stats") or {}).get("total_inactive_file", 0)
        )
        networks = (stats.get("networks") or {}).values()
        return {
            "cpu_seconds": round((cpu.get("cpu_usage") or {}).get("total_usage", 0) / 1e9, 3),
            "memory": max(0, int(memory.get("usage") or 0) - int(cache or 0)),
            "memory_limit": int(memory.get("limit") or 0),
            "pids": int((stats.get("pids_stats") or {}).get("current") or 0),
            "received": sum(int(network.get("rx_bytes") or 0) for network in networks),
            "sent": sum(int(network.get("tx_bytes") or 0) for network in networks),
        }


def _services(state: Mapping[str, Any]) -> dict[str, Any]:
    checks = (state.get("Health") or {}).get("Log") or []
    return services(str(checks[-1]["Output"])) if checks and state["Status"] == "running" else {}
