# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""News of a container wake those who wait for it; without news they look again all the same."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Optional

import docker.errors
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import container_news
from ansible_collections.codeopen.workspaces.plugins.module_utils.container_news import ContainerNews

# Longer than any test: whoever waits so long was not woken.
FOREVER = 600.0


class Engine:
    """Stands in for an engine: tells what is put into it; None ends the stream."""

    def __init__(self, refuses: bool = False) -> None:
        self.events: queue.Queue[Optional[str]] = queue.Queue()
        self.streams = 0
        self.api = SimpleNamespace(events=self._refuse if refuses else self._open)

    def _open(self, **options: Any) -> Engine:
        self.streams += 1
        return self

    def _refuse(self, **options: Any) -> None:
        raise docker.errors.APIError("no events here")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (container := self.events.get()) is not None:
            yield {"Action": "health_status: healthy", "Actor": {"ID": container}}

    def close(self) -> None:
        self.events.put(None)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


def waiting(news: ContainerNews, known: int, stop: Optional[threading.Event] = None) -> threading.Thread:
    arguments = ("c1", known, 0, FOREVER, stop or threading.Event())
    thread = threading.Thread(target=news.wait, args=arguments, daemon=True)
    thread.start()
    return thread


def woken(thread: threading.Thread) -> bool:
    thread.join(30)
    return not thread.is_alive()


@pytest.fixture(autouse=True)
def _no_looks_without_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_news, "_PAUSE_WITH_NEWS", FOREVER)


def test_news_wake_whoever_waits_for_that_container_alone(engine: Engine) -> None:
    news = ContainerNews(engine)  # type: ignore[arg-type]
    thread = waiting(news, news.count("c1"))
    engine.events.put("c2")
    while news.count("c2") == 0:
        time.sleep(0.01)
    assert thread.is_alive()
    engine.events.put("c1")
    assert woken(thread)


def test_news_that_came_while_one_looked_are_not_lost(engine: Engine) -> None:
    news = ContainerNews(engine)  # type: ignore[arg-type]
    known = news.count("c1")
    engine.events.put("c1")
    while news.count("c1") == known:
        time.sleep(0.01)
    assert woken(waiting(news, known))


def test_all_share_one_stream(engine: Engine) -> None:
    news = ContainerNews(engine)  # type: ignore[arg-type]
    for container in ("c1", "c2", "c1"):
        news.count(container)
    assert engine.streams == 1


def test_a_stream_that_ends_lets_them_look_by_the_clock(engine: Engine) -> None:
    news = ContainerNews(engine)  # type: ignore[arg-type]
    thread = waiting(news, news.count("c1"))
    news.close()
    assert woken(thread)
    # From then on nobody tells, so it looks again after a moment.
    assert woken(waiting(news, news.count("c1")))


def test_an_engine_without_events_lets_them_look_by_the_clock() -> None:
    news = ContainerNews(Engine(refuses=True))  # type: ignore[arg-type]
    assert woken(waiting(news, news.count("c1")))


def test_whoever_waits_sees_that_the_run_is_to_stop(engine: Engine) -> None:
    news, stop = ContainerNews(engine), threading.Event()  # type: ignore[arg-type]
    thread = waiting(news, news.count("c1"), stop)
    stop.set()
    assert woken(thread)


def test_closing_before_anybody_listened_is_nothing(engine: Engine) -> None:
    ContainerNews(engine).close()  # type: ignore[arg-type]
    assert engine.streams == 0
