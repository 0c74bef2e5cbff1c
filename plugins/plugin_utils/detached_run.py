# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a run that let go of its module: shows its log in the terminal while it grows, and fetches its result."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import END_MARK, OUTPUT_PREFIX
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import (
    HEARTBEAT,
    OPEN,
    RESULT,
    RUNNING,
)

display = Display()

# Seconds that a look waits on the host for the run's end before it says what there is by then. Each look is a command
# that Ansible has to bring to the host.
LOOK = 1
# What the host says of a run, and how often it may say none of that, one look after the other.
ENDED, GONE, RUNS = "ended", "gone", "runs"
PATIENCE = 5


def follow(action: ActionBase, answer: dict[str, Any], log_path: str, task_vars: Any) -> dict[str, Any]:
    """The module's result, which comes at once or, where the run let go, when it ends.

    :param answer: what the module said.
    :param log_path: the log that the run writes on the host.
    """
    if RUNNING not in answer:
        return answer
    run = answer.pop(RUNNING)
    tail = _Tail(action, log_path, run)
    host = str((task_vars or {}).get("inventory_hostname", ""))
    gone = mute = 0
    while True:
        state, result, lines = tail.look()
        for line in lines:
            if line != END_MARK and not line.startswith(OUTPUT_PREFIX) and not action._task.no_log:
                display.display(f"[{host}] {line}")
        if state == ENDED:
            return {**answer, **json.loads(result)}
        # One that ends just now is there no more, and its result is, a moment later.
        gone = gone + 1 if state == GONE else 0
        if gone > 1:
            tail.forget()
            return _failed(answer, f"The run was killed. The next run goes on from there; its log is {log_path}")
        mute = mute + 1 if state not in (GONE, RUNS) else 0
        if mute > PATIENCE:
            why = f"The host does not say how the run goes: {tail.complaint or 'no answer'}"
            return _failed(answer, f"{why}\nA run that nobody asks for ends by itself; its log is {log_path}")
        if mute:
            time.sleep(LOOK)


def _failed(answer: dict[str, Any], message: str) -> dict[str, Any]:
    return {**answer, "failed": True, "msg": f"{message} on the host."}


class _Tail:
    """Reads what a log on the host gained, and shows the run that somebody still reads.

    :ivar complaint: what the last look wrote to its standard error.
    """

    def __init__(self, action: ActionBase, log_path: str, run: dict[str, Any]) -> None:
        self._action = action
        self._log = shlex.quote(log_path)
        self._folder = shlex.quote(run["folder"])
        self._seen = 0
        self.complaint = ""
        pid, started = int(run["pid"]), int(run["started"])
        # Its number alone may be another's by now, so its start counts, the 22nd field; a zombie has ended.
        alive = f"grep -Eqs '^{pid} .*\\) [^ZX] (-?[0-9]+ ){{18}}{started} ' /proc/{pid}/stat"
        self._ask = (
            # -c: the run removes the file when it ends, and it must stay removed.
            f"touch -c {self._folder}/{HEARTBEAT}; "
            f"if test -e {self._folder}/{RESULT}; then "
            f"echo {ENDED}; cat {self._folder}/{RESULT}; rm -rf {self._folder}; "
            f"elif {alive}; then echo {RUNS}; else echo {GONE}; fi; echo"
        )

    def look(self) -> tuple[str, str, list[str]]:
        """Give what the host says of the run, its result, and the log's whole lines since the last look.

        Nothing of a run that has ended stays on the host but its log.
        """
        # What reads the pipe ends when the run does, however that ends. The log is read last, so that nothing of it is
        # missing where the run has ended. Its lines are counted, not its bytes: a terminal, which SSH may have made,
        # turns each line's end into two.
        text = self._run(
            f"timeout {LOOK} cat {self._folder}/{OPEN} >/dev/null 2>&1; {self._ask}; "
            f"tail -n +{self._seen + 1} {self._log} 2>/dev/null || true"
        )
        state, _newline, text = text.partition("\n")
        result, _newline, text = text.partition("\n")
        # The last one is empty, or not whole yet.
        lines = text.split("\n")[:-1]
        self._seen += len(lines)
        return state.strip(), result, [line.rstrip("\r") for line in lines]

    def forget(self) -> None:
        """Leave nothing of the run on the host but its log."""
        self._run(f"rm -rf {self._folder}")

    def _run(self, command: str) -> str:
        done = self._action._low_level_execute_command(command, sudoable=True)
        self.complaint = str(done.get("stderr", "")).strip()
        return str(done.get("stdout", ""))
