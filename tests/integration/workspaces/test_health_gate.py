# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever waits for health is told by the engine, and asks it no more than that takes."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_news import ContainerNews
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import wait_healthy
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import LABEL_WORKSPACE

if TYPE_CHECKING:
    from .conftest import Host

TIMEOUT = 60.0


class Engine:
    """The real engine, with a count of what it is asked about containers."""

    def __init__(self) -> None:
        self.client = connect()
        self.asked: Counter[str] = Counter()
        inspect = self.client.api.inspect_container

        def counted(container_id: str) -> dict[str, Any]:
            self.asked[container_id] += 1
            return dict(inspect(container_id))

        self.client.api.inspect_container = counted  # type: ignore[method-assign]

    @contextlib.contextmanager
    def started(self, host: Host, mode: str) -> Iterator[str]:
        """A workspace's container that was just started."""
        made = self.client.api.create_container(
            host.image, environment={"MODE": mode}, labels={LABEL_WORKSPACE: host.name(mode)}
        )
        container_id = str(made["Id"])
        try:
            self.client.api.start(container_id)
            yield container_id
        finally:
            self.client.api.remove_container(container_id, force=True, v=True)

    def wait(self, container_id: str) -> None:
        """Wait until it is healthy."""
        with contextlib.closing(ContainerNews(self.client)) as news:
            wait_healthy(self.client, container_id, TIMEOUT, threading.Event(), news)


@pytest.fixture
def counting() -> Iterator[Engine]:
    counting = Engine()
    yield counting
    counting.client.close()


def test_a_container_that_gets_healthy_later_is_looked_at_before_and_after(host: Host, counting: Engine) -> None:
    with counting.started(host, "slow") as container_id:
        counting.wait(container_id)
        assert counting.client.api.inspect_container(container_id)["State"]["Health"]["Status"] == "healthy"
    # One is this test's own. By the clock it would be looked at some eight times in those two seconds.
    assert counting.asked[container_id] <= 4


def test_the_end_of_a_container_is_news(host: Host, counting: Engine) -> None:
    died = pytest.raises(RolloutError, match="it died with exit code 3")
    with died, counting.started(host, "late") as container_id:
        counting.wait(container_id)
    assert counting.asked[container_id] <= 4


def test_without_events_it_gets_healthy_all_the_same(
    host: Host, counting: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*arguments: Any, **options: Any) -> Any:
        raise docker.errors.APIError("no events")

    monkeypatch.setattr(counting.client.api, "events", none)
    with counting.started(host, "slow") as container_id:
        counting.wait(container_id)
    assert counting.asked[container_id] > 2
