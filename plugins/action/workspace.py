# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of workspace: reads the CA bundle, and keeps what may be secret out of logs and results, and
shows in the terminal what happens."""

from __future__ import annotations

import json
import os
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import new_log_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.network_file import settings_text
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import problems_of_secrets
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.detached_run import follow

MODULE = "codeopen.workspaces.workspace"


def _secret_values(secrets: Any) -> str:
    """What C(secrets) says as JSON, which is one value to hide; its parts may be too short to look for in results."""
    problems = problems_of_secrets(secrets)
    if problems:
        raise AnsibleActionFail("\n".join(problems))
    return json.dumps({str(name): {str(key): str(text) for key, text in secrets[name].items()} for name in secrets})


def _without_environment(entry: Any, environments: dict[str, Any], key: str = "") -> Any:
    """A workspace without its variables, which are added to ``environments``, by its name or another key."""
    if not isinstance(entry, dict) or not isinstance(entry.get("environment"), dict):
        return entry
    if entry["environment"]:
        environments[key or str(entry.get("name"))] = entry["environment"]
    return {name: value for name, value in entry.items() if name != "environment"}


def _pool_without_environment(pool: Any, environments: dict[str, Any]) -> Any:
    if not isinstance(pool, dict) or "workspace" not in pool:
        return pool
    # No workspace's name has such a character.
    return dict(pool, workspace=_without_environment(pool["workspace"], environments, f"pool {pool.get('name')}"))


class ActionModule(ActionBase):  # type: ignore[misc]
    """Sends environments, secrets and network settings in options that nothing logs, and shows what happens."""

    TRANSFERS_FILES = False
    # The module that it is the half of, and what its logs are called after.
    module = MODULE
    kind = "workspaces"

    def run(self, tmp: Any = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        settings = self._network_settings(arguments.pop("network", None))
        if settings:
            arguments["network_settings"] = settings
        if arguments.get("secrets") is not None:
            arguments["secret_values"] = _secret_values(arguments.pop("secrets"))
        environments: dict[str, Any] = {}
        if isinstance(arguments.get("workspaces"), list):
            arguments["workspaces"] = [_without_environment(entry, environments) for entry in arguments["workspaces"]]
        if isinstance(arguments.get("pools"), list):
            arguments["pools"] = [_pool_without_environment(pool, environments) for pool in arguments["pools"]]
        if environments:
            arguments["environments"] = json.dumps(environments)
        log_path = new_log_path(str(arguments.get("state_dir") or DEFAULT_STATE_DIR), kind=self.kind)
        if boolean(arguments.get("progress", True)) and not self._task.check_mode:
            arguments.update(detach=True, log_path=log_path)
        answer = self._execute_module(module_name=self.module, module_args=arguments, task_vars=task_vars)
        result.update(follow(self, dict(answer), log_path, task_vars))
        return result

    def _network_settings(self, network: Any) -> str:
        if not network:
            return ""
        if not isinstance(network, dict):
            raise AnsibleActionFail(f"network: expected a dictionary, got {type(network).__name__}")
        network = dict(network)
        try:
            if network.get("ca_bundle"):
                path = self._loader.path_dwim(os.path.expanduser(str(network["ca_bundle"])))
                with open(path, encoding="utf-8") as file:
                    network["ca_bundle"] = file.read()
            return settings_text(network)
        except (OSError, UnicodeDecodeError) as error:
            raise AnsibleActionFail(f"network.ca_bundle: {path} on the controller cannot be read: {error}") from error
        except WorkspacesError as error:
            raise AnsibleActionFail(str(error)) from error
