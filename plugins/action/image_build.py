# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of image_build: sends the contexts of missing layers and shows the build's progress."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import new_log_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.context_archive import (
    require_dockerfiles,
    write_archive,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_file import settings_text
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.detached_run import follow

MODULE = "codeopen.workspaces.image_build"


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
        sent = {name: shell.join_path(directory, name) for name in ("contexts.tar", "network")}
        with self._local_files(layers, settings) as local:
            for name, path in local.items():
                self._transfer_file(path, sent[name])
        self._fixup_perms2([directory, *sent.values()], execute=False)
        state_dir = str(arguments.get("state_dir") or DEFAULT_STATE_DIR)
        arguments = dict(arguments, contexts=sent["contexts.tar"], network_file=sent["network"])
        arguments["log_path"] = new_log_path(state_dir)
        arguments["detach"] = boolean(arguments.get("progress", True))
        answer = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        return follow(self, dict(answer), arguments["log_path"], task_vars)

    @staticmethod
    @contextlib.contextmanager
    def _local_files(layers: list[Any], settings: str) -> Iterator[dict[str, str]]:
        """Make the files to send in a directory that only this user can read."""
        with tempfile.TemporaryDirectory(prefix="codeopen-build-") as directory:
            paths = {name: os.path.join(directory, name) for name in ("contexts.tar", "network")}
            with open(paths["contexts.tar"], "wb") as archive:
                write_archive(layers, archive)
            descriptor = os.open(paths["network"], os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(settings)
            yield paths
