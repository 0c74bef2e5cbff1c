# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module as a background job of the host and shows its log in the terminal while it grows."""

from __future__ import annotations

import shlex
import time
from typing import Any

from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import END_MARK, OUTPUT_PREFIX

display = Display()

# Seconds a job may take at most; its own limits come long before.
LONGEST = 24 * 3600
POLL = 1.0
# The first polls come sooner, four for one: many jobs are short.
QUICK_POLLS = 12
# The job is asked for itself this often, in polls; its log says when it ends.
JOB_EVERY = 15
# What the machinery of background jobs adds to a result.
JOB_KEYS = ("ansible_job_id", "finished", "started", "results_file", "stdout", "stdout_lines", "stderr", "stderr_lines")


def run_in_background(action: ActionBase, module: str, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
    """The module's result.

    :param arguments: the module's, with ``log_path``, which it writes, and ``heartbeat``, a file that is there and by
        whose age it knows that nobody waits any more.
    """
    task = action._task
    task.async_val = LONGEST
    try:
        job = action._execute_module(module_name=module, module_args=arguments, task_vars=task_vars, wrap_async=True)
    finally:
        task.async_val = 0
    if job.get("failed") or "ansible_job_id" not in job:
        return dict(job)
    host = str((task_vars or {}).get("inventory_hostname", ""))
    tail = _LogTail(action, arguments["log_path"], arguments["heartbeat"])

    def show() -> bool:
        """Show what is new, and give whether it is the end of the log."""
        lines = tail.new_lines()
        for line in lines:
            if line != END_MARK and not line.startswith(OUTPUT_PREFIX) and not task.no_log:
                display.display(f"[{host}] {line}")
        return END_MARK in lines

    polls = 0
    ended = False
    while True:
        ended = ended or show()
        if ended or polls % JOB_EVERY == JOB_EVERY - 1 or (polls > QUICK_POLLS and not tail.offset):
            status = _job_status(action, job["ansible_job_id"], task_vars)
            # A killed job leaves no result; what it says then is a failure, too.
            if status.get("finished") or status.get("failed"):
                if not ended:
                    # It ended after the last look.
                    show()
                # A module's own cleanup takes as long as a short job.
                action._low_level_execute_command(f"rm -f {shlex.quote(str(job['results_file']))}", sudoable=True)
                return {key: value for key, value in status.items() if key not in JOB_KEYS}
        polls += 1
        time.sleep(POLL / 4 if ended or polls <= QUICK_POLLS else POLL)


def _job_status(action: ActionBase, job: str, task_vars: Any) -> dict[str, Any]:
    arguments = {"jid": job, "mode": "status", "_async_dir": action.get_shell_option("async_dir", "~/.ansible_async")}
    return dict(
        action._execute_module(module_name="ansible.legacy.async_status", module_args=arguments, task_vars=task_vars)
    )


class _LogTail:
    """Reads what a log on the host gained, and shows the host that somebody still reads."""

    def __init__(self, action: ActionBase, path: str, heartbeat: str) -> None:
        self.offset = 0
        self._action = action
        self._path = shlex.quote(path)
        self._heartbeat = shlex.quote(heartbeat)

    def new_lines(self) -> list[str]:
        """Give the whole lines since the last call."""
        # -c: the job removes the file when it ends, and it must stay removed.
        command = f"touch -c {self._heartbeat} 2>/dev/null; tail -c +{self.offset + 1} {self._path} 2>/dev/null || true"
        text = str(self._action._low_level_execute_command(command, sudoable=True).get("stdout", ""))
        whole, newline, _rest = text.rpartition("\n")
        if not newline:
            return []
        self.offset += len(to_bytes(whole + newline, errors="surrogate_or_strict"))
        return whole.splitlines()
