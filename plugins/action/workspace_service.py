# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of workspace_service, which is that of workspace for another module."""

from __future__ import annotations

from ansible_collections.codeopen.workspaces.plugins.action.workspace import ActionModule as WorkspaceAction


class ActionModule(WorkspaceAction):
    """Sends environments, secrets and network settings in options that nothing logs, and shows what happens."""

    module = "codeopen.workspaces.workspace_service"
    kind = "services"
