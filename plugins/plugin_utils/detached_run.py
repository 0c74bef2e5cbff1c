# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a run that let go of its module: shows its log in the terminal while it grows, and fetches its result."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import END_MARK, OUTPUT_PREFIX
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import HEARTBEAT, RESULT, RUNNING

display = Display()

# A look waits on the host for the run's end, in steps of so many seconds, before it says what there is by then. The
# first looks wait less: many runs are short. Each look is a command that Ansible has to bring to the host.
STEP = 0.2
STEPS = 5
QUICK_LOOKS = 5
# What the host says of a run.
ENDED, GONE = "ended", "gone"


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
    looks = gone = 0
    while True:
        state, lines = tail.look(1 if looks < QUICK_LOOKS else STEPS)
        for line in lines:
            if line != END_MARK and not line.startswith(OUTPUT_PREFIX) and not action._task.no_log:
                display.display(f"[{host}] {line}")
        if state == ENDED:
            return {**answer, **tail.result()}
        # One that ends just now is there no more, and its result is, a moment later.
        gone = gone + 1 if state == GONE else 0
        if gone > 1:
            tail.forget()
            return {
                **answer,
                "failed": True,
                "msg": f"The run was killed. The next run goes on from there; its log is {log_path} on the host.",
            }
        looks += 1


class _Tail:
    """Reads what a log on the host gained, and shows the run that somebody still reads."""

    def __init__(self, action: ActionBase, log_path: str, run: dict[str, Any]) -> None:
        self._action = action
        self._log = shlex.quote(log_path)
        self._folder = shlex.quote(run["folder"])
        self._offset = 0
        pid, started = int(run["pid"]), int(run["started"])
        # Its number alone may be another's by now, so its start counts, the 22nd field; a zombie has ended.
        alive = f"grep -Eqs '^{pid} .*\\) [^ZX] (-?[0-9]+ ){{18}}{started} ' /proc/{pid}/stat"
        self._ask = (
            f"while test $n -gt 0 && ! test -e {self._folder}/{RESULT}; do sleep {STEP}; n=$((n - 1)); done; "
            # -c: the run removes the file when it ends, and it must stay removed.
            f"touch -c {self._folder}/{HEARTBEAT}; "
            f"if test -e {self._folder}/{RESULT}; then echo {ENDED}; elif {alive}; then echo runs; else echo {GONE}; fi"
        )

    def look(self, steps: int) -> tuple[str, list[str]]:
        """Give what the host says of the run, and the log's whole lines since the last look.

        :param steps: how long it waits for the end.
        """
        # The log is read last, so that nothing of it is missing where the run has ended.
        text = self._run(f"n={steps}; {self._ask}; tail -c +{self._offset + 1} {self._log} 2>/dev/null || true")
        state, _newline, text = text.partition("\n")
        whole, newline, _rest = text.rpartition("\n")
        self._offset += len(to_bytes(whole + newline, errors="surrogate_or_strict"))
        return state.strip(), whole.splitlines()

    def result(self) -> dict[str, Any]:
        """Fetch the result, of which nothing stays on the host."""
        result: dict[str, Any] = json.loads(self._run(f"cat {self._folder}/{RESULT}; rm -rf {self._folder}"))
        return result

    def forget(self) -> None:
        """Leave nothing of the run on the host but its log."""
        self._run(f"rm -rf {self._folder}")

    def _run(self, command: str) -> str:
        return str(self._action._low_level_execute_command(command, sudoable=True).get("stdout", ""))
