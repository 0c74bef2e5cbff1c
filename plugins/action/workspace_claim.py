# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of workspace_claim: keeps secrets out of logs and results."""

from __future__ import annotations

import json
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import problems_of_files


class ActionModule(ActionBase):  # type: ignore[misc]
    """Sends secrets as one value to hide; its parts may be too short to look for in results."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        secrets = arguments.pop("secrets", None)
        if secrets is not None:
            problems = list(problems_of_files("secrets", secrets))
            if problems:
                raise AnsibleActionFail("\n".join(problems))
            arguments["secret_values"] = json.dumps({str(name): str(text) for name, text in secrets.items()})
        module = "codeopen.workspaces.workspace_claim"
        result.update(self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars))
        return result
