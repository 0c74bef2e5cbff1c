# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of image_build: sends the contexts of missing layers and shows the build's progress."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_bytes
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import (
    END_MARK,
    OUTPUT_PREFIX,
    new_log_path,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.context_archive import (
    require_dockerfiles,
    write_archive,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_file import settings_text

display = Display()

MODULE = "codeopen.workspaces.image_build"
DEFAULT_STATE_DIR = "/var/lib/codeopen"
# Seconds a build may take at most; the engine's own limits come long before.
LONGEST = 24 * 3600
POLL = 1.0
# The job is asked for itself this often, in polls; its log says when it ends.
JOB_EVERY = 15
# What the machinery of background jobs adds to a result.
JOB_KEYS = ("ansible_job_id", "finished", "started", "results_file", "stdout", "stdout_lines", "stderr", "stderr_lines")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs the module twice: once to learn what is missing, once to build it."""

    TRANSFERS_FILES = True

    def run(self, tmp: Any = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            settings = self._network_settings(arguments.pop("network", None), task_vars)
            plan = arguments.get("plan")
            layers = plan.get("layers", []) if isinstance(plan, dict) else []
            require_dockerfiles(layers)
            result.update(self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars))
            missing = {entry["target"] for entry in result.get("layers", []) if entry["state"] == "build"}
            if result.get("failed") or self._task.check_mode or not missing:
                return result
            asked = result.get("diff")
            result = self._build(
                arguments, [layer for layer in layers if layer["target"] in missing], settings, task_vars
            )
            if asked and "diff" not in result:
                result["diff"] = asked
        except WorkspacesError as error:
            raise AnsibleActionFail(str(error)) from error
        return result

    def _network_settings(self, network: Any, task_vars: Any) -> str:
        """Give the settings of the network's secret, with the text of the CA bundle, which lies on the controller."""
        if not network:
            return ""
        if not isinstance(network, dict):
            raise AnsibleActionFail(f"network: expected a dictionary, got {type(network).__name__}")
        network = dict(network)
        bundle = network.get("ca_bundle")
        if bundle:
            path = self._loader.path_dwim(os.path.expanduser(str(bundle)))
            try:
                with open(path, encoding="utf-8") as file:
                    network["ca_bundle"] = file.read()
            except (OSError, UnicodeDecodeError) as error:
                raise AnsibleActionFail(
                    f"network.ca_bundle: {path} on the controller cannot be read: {error}"
                ) from error
        return settings_text(network)

    def _build(self, arguments: dict[str, Any], layers: list[Any], settings: str, task_vars: Any) -> dict[str, Any]:
        shell = self._connection._shell
        directory = shell.tmpdir or self._make_tmp_path()
        sent = {name: shell.join_path(directory, name) for name in ("contexts.tar", "network", "heartbeat")}
        with self._local_files(layers, settings) as local:
            for name, path in local.items():
                self._transfer_file(path, sent[name])
        self._fixup_perms2([directory, *sent.values()], execute=False)
        state_dir = str(arguments.get("state_dir") or DEFAULT_STATE_DIR)
        arguments = dict(arguments, contexts=sent["contexts.tar"], network_file=sent["network"])
        arguments["log_path"] = new_log_path(state_dir)
        if not boolean(arguments.get("progress", True)):
            return dict(self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars))
        arguments["heartbeat"] = sent["heartbeat"]
        return self._build_in_background(arguments, task_vars)

    @staticmethod
    @contextlib.contextmanager
    def _local_files(layers: list[Any], settings: str) -> Iterator[dict[str, str]]:
        """Make the files to send in a directory that only this user can read."""
        with tempfile.TemporaryDirectory(prefix="codeopen-build-") as directory:
            paths = {name: os.path.join(directory, name) for name in ("contexts.tar", "network", "heartbeat")}
            with open(paths["contexts.tar"], "wb") as archive:
                write_archive(layers, archive)
            for name, text in (("network", settings), ("heartbeat", "")):
                descriptor = os.open(paths[name], os.O_WRONLY | os.O_CREAT, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
            yield paths

    def _build_in_background(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Run the module as a background job of the host and show its log while it grows."""
        self._task.async_val = LONGEST
        try:
            job = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars, wrap_async=True)
        finally:
            self._task.async_val = 0
        if job.get("failed") or "ansible_job_id" not in job:
            return dict(job)
        host = str((task_vars or {}).get("inventory_hostname", ""))
        tail = _LogTail(self, arguments["log_path"], arguments["heartbeat"])
        polls = 0
        ended = False
        while True:
            for line in tail.new_lines():
                ended = ended or line == END_MARK
                if line != END_MARK and not line.startswith(OUTPUT_PREFIX) and not self._task.no_log:
                    display.display(f"[{host}] {line}")
            if ended or polls % JOB_EVERY == JOB_EVERY - 1 or (polls and not tail.offset):
                status = self._job(job["ansible_job_id"], "status", task_vars)
                # A killed job leaves no result; what it says then is a failure, too.
                if status.get("finished") or status.get("failed"):
                    self._job(job["ansible_job_id"], "cleanup", task_vars)
                    return {key: value for key, value in status.items() if key not in JOB_KEYS}
            polls += 1
            time.sleep(POLL / 4 if ended else POLL)

    def _job(self, job: str, mode: str, task_vars: Any) -> dict[str, Any]:
        arguments = {"jid": job, "mode": mode, "_async_dir": self.get_shell_option("async_dir", "~/.ansible_async")}
        return dict(
            self._execute_module(module_name="ansible.legacy.async_status", module_args=arguments, task_vars=task_vars)
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
