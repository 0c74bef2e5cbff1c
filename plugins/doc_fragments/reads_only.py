# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that change nothing share."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes of such a module."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Changes nothing, so that there is nothing to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""
