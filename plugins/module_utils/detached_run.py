# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that goes on in the background once it has something to show.

The run is a child of the module. Where it ends without having let go, its result is the module's. Where it lets go, the
module ends at once and its result says where the run is to be followed, so nothing is begun a second time. The
controller's half is plugins/plugin_utils/detached_run.py.

After it let go, a run must import nothing more from the collection: the archive it came in is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Iterable
from typing import Any, Callable, NoReturn, Optional

from ansible.module_utils.common.parameters import remove_values
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.heartbeat import (
    Heartbeat,
    stop_when_abandoned,
)

RUNNING = "running"
HEARTBEAT = "heartbeat"
RESULT = "result"
# A named pipe that the run has open for writing until its last moment, so that who reads it sees the end at once.
OPEN = "open"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DetachedRun:
    """A run, as its work sees it. It is its own process, unless ``answer`` is None.

    :param answer: the end of a pipe that the module waits at.
    :param hidden: values that must be in no result.
    :ivar stop: set when it should end: by a signal, where its work says so, and when nobody follows it any more.
    """

    def __init__(self, answer: Optional[int] = None, hidden: Iterable[str] = ()) -> None:
        self._answer = answer
        self._hidden = set(hidden)
        self._folder = ""
        self._heartbeat: Optional[Heartbeat] = None
        self._letting_go = threading.Lock()
        self.stop = threading.Event()

    def let_go(self) -> None:
        """Let the module end; whoever called it follows the run from now on."""
        with self._letting_go:
            if self._answer is None or self._folder:
                return
            self._folder = tempfile.mkdtemp(prefix="codeopen-run-")
            pipe = os.path.join(self._folder, OPEN)
            os.mkfifo(pipe, 0o600)
            # For reading, too, or it would wait here for a reader.
            os.open(pipe, os.O_RDWR | os.O_CLOEXEC)
            heartbeat = os.path.join(self._folder, HEARTBEAT)
            with open(heartbeat, "x", encoding="utf-8"):
                self._heartbeat = Heartbeat(heartbeat)
            stop_when_abandoned(self.is_abandoned, self.stop)
            self._send({"changed": False, RUNNING: {"folder": self._folder, **own_process()}})

    def is_abandoned(self) -> bool:
        """Whether it let go, and nobody follows it any more."""
        return self._heartbeat is not None and self._heartbeat.is_abandoned()

    def end(self, result: dict[str, Any]) -> None:
        """Hand the result to whoever waits for it."""
        if not self._folder:
            self._send(result)
        elif self.is_abandoned():
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            # The folder is this user's alone.
            path = os.path.join(self._folder, RESULT)
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                json.dump(remove_values(result, self._hidden), file)
            os.rename(f"{path}.new", path)

    def _send(self, answer: dict[str, Any]) -> None:
        if self._answer is None:
            return
        try:
            with open(self._answer, "w", encoding="utf-8") as pipe:
                json.dump(answer, pipe)
        except BrokenPipeError:
            # The module was killed. Nobody touches the heartbeat then, so the run ends soon.
            pass


Work = Callable[[DetachedRun], dict[str, Any]]


def run_detachable(work: Work, detach: bool, hidden: Iterable[str] = ()) -> dict[str, Any]:
    """Give the result of ``work``, or where to follow it, should it let go.

    :param work: does everything that the module does.
    :param detach: whether it may let go; otherwise it is called and that is all.
    :param hidden: values that must be in no result.
    """
    if not detach:
        return work(DetachedRun())
    reading, writing = os.pipe()
    # One that comes just now waits until it is known who is to get it.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        os.close(reading)
        _be_the_run(work, DetachedRun(writing, hidden))
    os.close(writing)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, frame: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    with open(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    if not text:
        _process, status = os.waitpid(child, 0)
        message = f"The run ended without a result: {_how_it_ended(status)}. The next run goes on from there."
        return {"failed": True, "msg": message}
    answer: dict[str, Any] = json.loads(text)
    if RUNNING not in answer:
        os.waitpid(child, 0)
    return answer


def until_stopped(work: Work) -> Work:
    """Work that sees by ``run.stop`` that the process is asked to end, and whose expected failure is a result."""

    def guarded(run: DetachedRun) -> dict[str, Any]:
        for number in STOP_SIGNALS:
            # Not in this thread, which may hold the event's own lock just now.
            signal.signal(number, lambda number, frame: threading.Thread(target=run.stop.set).start())
        try:
            return work(run)
        except WorkspacesError as error:
            return {"failed": True, "msg": str(error)}

    return guarded


def own_process() -> dict[str, int]:
    """This process: its number, and when it was started, in ticks since the kernel's start, see proc_pid_stat(5)."""
    with open("/proc/self/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return {"pid": os.getpid(), "started": int(fields[19])}


def _be_the_run(work: Work, run: DetachedRun) -> NoReturn:
    """Do the work in a session without a terminal, and end."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    try:
        result = work(run)
    except BaseException as error:
        result = {"failed": True, "msg": f"{type(error).__name__}: {error}", "module_stderr": traceback.format_exc()}
    try:
        run.end(result)
    finally:
        # What the module opened is the module's to clean up.
        os._exit(0)


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"it was killed by signal {os.WTERMSIG(status)}"
    return f"its exit code is {os.WEXITSTATUS(status)}"
