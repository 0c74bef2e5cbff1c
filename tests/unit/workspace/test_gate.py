# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate of a rollout: checks end in time whatever they wait for, and a death is told whatever the clocks say."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Optional

import docker.errors
import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import gate_checks
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import LockLost, RolloutError
from ansible_collections.codeopen.workspaces.plugins.module_utils.gate_checks import run_checks
from ansible_collections.codeopen.workspaces.plugins.module_utils.health_gate import Interrupted, Life, wait_healthy

# Longer than any test.
FOREVER = 600.0


class Engine:
    """Stands in for an engine with one container, whose commands do what a test says.

    :ivar clock: what it takes for now, in seconds since 1970.
    :ivar events: the actions of what it remembers, with when they were and with which exit code.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"Status": "running", "ExitCode": 0, "OOMKilled": False}
        self.restarts = 0
        self.clock = 1_000_000.25
        self.events: list[tuple[str, float, int]] = []
        self.created = 0
        self.output: Callable[[], Iterator[bytes]] = lambda: iter([b"fine"])
        self.ends: list[dict[str, Any]] = [{"Running": False, "ExitCode": 0}]
        self.api = SimpleNamespace(
            inspect_container=self._inspect, logs=lambda *which, **how: b"its last words\n",
            info=lambda: {"SystemTime": self._now()}, events=self._events,
            exec_create=self._create, exec_start=lambda number, stream: self.output(),
            exec_inspect=lambda number: self.ends.pop(0) if len(self.ends) > 1 else self.ends[0],
        )  # fmt: skip

    def _now(self) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.clock + 7200))
        return f"{moment}{self.clock % 1:.9f}+02:00".replace("0.", ".", 1)

    def _inspect(self, container_id: str) -> dict[str, Any]:
        return {"State": self.state, "RestartCount": self.restarts}

    def _create(self, container_id: str, command: Sequence[str]) -> dict[str, str]:
        self.created += 1
        return {"Id": "e1"}

    def _events(self, since: Any, until: Any, filters: Any, decode: bool) -> Iterator[dict[str, Any]]:
        begin, end = float(since), float(until)
        if begin > end:
            raise docker.errors.APIError("`since` time cannot be after `until` time")
        assert end <= self.clock, "it would wait"
        for action, moment, code in self.events:
            if begin <= moment <= end:
                yield {"Action": action, "Actor": {"Attributes": {"exitCode": str(code)}}}

    def check(self, stop: Optional[threading.Event] = None, port: int = 0, **check: Any) -> None:
        """Run one check."""
        entry = {"ports": [{"name": "web"}], "checks": [{"timeout": 0, **check}]}
        run_checks(self, "c1", entry, {"web": port}, stop or threading.Event())  # type: ignore[arg-type]


@pytest.fixture
def engine() -> Engine:
    return Engine()


@contextlib.contextmanager
def server(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port that is answered by a function, one connection at a time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _peer = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def answering(status: str) -> Callable[[socket.socket], object]:
    """An HTTP server's answer."""
    return lambda connection: (
        connection.recv(1000), connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()),
    )  # fmt: skip


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def hanging() -> Iterator[bytes]:
    """The output of a command that says something and does not end."""
    yield b"working\n"
    threading.Event().wait(FOREVER)


def drip(connection: socket.socket) -> None:
    """Answer a byte at a time, so that no single wait is long."""
    for attempt in range(1000):
        connection.sendall(b"H")
        time.sleep(0.05)


def test_a_command_that_hangs_fails_at_the_deadline(engine: Engine) -> None:
    engine.output = hanging
    begun = time.monotonic()
    with pytest.raises(
        RolloutError, match=r"healthy, but 'work hard' did not end within 1\.5 seconds and says: working\."
    ):
        engine.check(command=["work", "hard"], timeout=1.5)
    assert time.monotonic() - begun < 4


def test_a_command_that_hangs_in_the_end_tells_what_was_wrong_before(engine: Engine) -> None:
    outputs = [iter([b"not yet"]), hanging()]
    engine.output = lambda: outputs.pop(0)
    engine.ends = [{"Running": False, "ExitCode": 7}]
    with pytest.raises(
        RolloutError, match=r"did not end within 1 .*; before that, 'work' ends with exit code 7 and says"
    ):
        engine.check(command=["work"], timeout=1)


@pytest.mark.parametrize("kind", ["command", "http"])
def test_a_wish_to_stop_is_seen_while_a_check_hangs(engine: Engine, kind: str) -> None:
    engine.output = hanging
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    with server(drip) as port, pytest.raises(Interrupted):
        engine.check(stop, port, **{kind: ["work"] if kind == "command" else "web"}, timeout=FOREVER)
    assert time.monotonic() - begun < 1.5


def test_a_death_is_seen_while_a_check_hangs(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_checks, "_LOOK_SECONDS", 0.1)
    engine.output = hanging
    threading.Timer(0.3, engine.state.update, [{"Status": "exited", "ExitCode": 3}]).start()
    with pytest.raises(RolloutError, match=r"(?s)^it died with exit code 3\..*its last words") as failed:
        engine.check(command=["work"], timeout=FOREVER)
    assert failed.value.state == "failed"
    assert failed.value.details == {"exit_code": 3, "oom": False, "last_lines": ["its last words"]}


def test_a_command_that_closes_its_output_is_waited_for(engine: Engine) -> None:
    engine.ends = [{"Running": True, "ExitCode": None}, {"Running": False, "ExitCode": 0}]
    engine.check(command=["work"])


def test_what_a_command_says_does_not_fill_the_memory(engine: Engine) -> None:
    engine.output = lambda: iter([b"x" * 100_000] * 10 + [b"the end"])
    engine.ends = [{"Running": False, "ExitCode": 1}]
    with pytest.raises(RolloutError, match=r"says: x+the end\.$") as failed:
        engine.check(command=["work"])
    assert len(str(failed.value)) < 1000


def test_a_command_that_the_engine_refuses_is_tried_again(engine: Engine) -> None:
    def refused() -> Iterator[bytes]:
        if engine.created == 1:
            raise docker.errors.APIError("not now")
        return iter([b"fine"])

    engine.output = refused
    engine.check(command=["work"], timeout=FOREVER)
    assert engine.created == 2
    engine.created = 0
    with pytest.raises(RolloutError, match=r"'work' could not be run: not now\."):
        engine.check(command=["work"])


def test_a_lost_lock_ends_it(engine: Engine) -> None:
    def lost() -> Iterator[bytes]:
        raise LockLost("lost")

    engine.output = lost
    with pytest.raises(LockLost):
        engine.check(command=["work"], timeout=FOREVER)


def test_the_status_that_is_wished_for_is_the_one_that_counts(engine: Engine) -> None:
    with server(answering("204 Nothing")) as port:
        engine.check(port=port, http="web", status=204)
        with pytest.raises(RolloutError, match="port web answers /x with 204, and not with 200"):
            engine.check(port=port, http="web", path="/x")
        with pytest.raises(RolloutError, match="port web answers / with 204, and not with 302"):
            engine.check(port=port, http="web", status=302)


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_port_that_nobody_listens_on_fails(engine: Engine, kind: str) -> None:
    port = closed_port()
    with pytest.raises(RolloutError, match=rf"port web \(127\.0\.0\.1:{port}\) does not answer: .*refused"):
        engine.check(port=port, **{kind: "web"})


def test_a_connection_that_ends_at_once_is_none(engine: Engine) -> None:
    # So does the engine's proxy on this host's side, for a port that nobody listens on in the container.
    with server(lambda connection: None) as port, pytest.raises(RolloutError, match="and ends it at once"):
        engine.check(port=port, tcp="web")
    with server(lambda connection: connection.recv(1)) as port:
        engine.check(port=port, tcp="web")
    with server(lambda connection: connection.sendall(b"220 hello")) as port:
        engine.check(port=port, tcp="web")


def test_a_server_that_drips_is_no_answer(engine: Engine) -> None:
    with server(drip) as port, pytest.raises(RolloutError, match=r"does not answer within 1\.5 seconds\."):
        engine.check(port=port, http="web", timeout=1.5)


def test_a_workspace_without_checks_is_not_looked_at(engine: Engine) -> None:
    del engine.api.inspect_container
    run_checks(engine, "c1", {}, {}, threading.Event())  # type: ignore[arg-type]


def restarted(engine: Engine, times: int = 1) -> RolloutError:
    """What is said when the container is found restarted."""
    life = Life(engine, "c1")  # type: ignore[arg-type]
    life.look()
    engine.restarts += times
    with pytest.raises(RolloutError) as failed:
        life.look()
    return failed.value


@pytest.mark.parametrize("jump", [0.0, -1e6, 1e6])
def test_a_restarted_container_tells_how_it_died_whatever_this_hosts_clock_says(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    clocks = [2e6, 2e6 + jump]
    monkeypatch.setattr(time, "time", lambda: clocks.pop(0) if len(clocks) > 1 else clocks[0])
    engine.events = [("die", engine.clock - 500, 9), ("oom", engine.clock - 2, 0), ("die", engine.clock - 1, 137)]
    news = SimpleNamespace(count=lambda which: 0, wait=lambda *how: setattr(engine, "restarts", 1))
    engine.state["Health"] = {"Status": "starting", "Log": []}
    with pytest.raises(RolloutError, match=r"^it died with exit code 137, killed for want of memory") as failed:
        wait_healthy(engine, "c1", 60, threading.Event(), news)  # type: ignore[arg-type]
    assert failed.value.details["exit_code"] == 137


def test_of_several_deaths_the_first_is_told_and_none_of_before(engine: Engine) -> None:
    moments = [("oom", 9), ("die", 137), ("die", 5), ("die", 6)]
    engine.events = [(action, engine.clock - 10 + number, code) for number, (action, code) in enumerate(moments)]
    assert str(restarted(engine, times=2)).startswith("it died with exit code 5.")


@pytest.mark.parametrize("said", ["error", "nothing", "no time"])
def test_a_death_that_the_engine_forgot_is_one_all_the_same(engine: Engine, said: str) -> None:
    def refuse(**options: Any) -> Iterator[dict[str, Any]]:
        raise docker.errors.APIError("no events")

    if said == "error":
        engine.api.events = refuse
    if said == "no time":
        engine.api.info = dict
    failed = restarted(engine)
    assert str(failed).startswith("it died.\nLast lines of its log:")
    assert failed.details == {"oom": False, "last_lines": ["its last words"]}


def test_a_start_that_somebody_asked_for_begins_the_count_anew(engine: Engine) -> None:
    engine.restarts = 3
    life = Life(engine, "c1")  # type: ignore[arg-type]
    life.look()
    engine.restarts = 0
    life.look()
    engine.restarts = 1
    with pytest.raises(RolloutError, match="it died"):
        life.look()
