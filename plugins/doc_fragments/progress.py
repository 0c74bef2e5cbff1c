# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that show in the terminal what they do share."""

from __future__ import annotations


class ModuleDocFragment:
    """Whether it is shown, and the options with which the action plugin does that."""

    DOCUMENTATION = r"""
options:
  progress:
    description: Show in the terminal what happens, while it happens.
    type: bool
    default: true
  log_path:
    description: The log's path on the host. The action plugin sets it.
    type: path
  detach:
    description:
      - Answer as soon as there is something to show, and go on in the background. The action plugin sets it, and
        follows.
    type: bool
    default: false
"""
