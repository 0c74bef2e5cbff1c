# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What filters that read the catalogue share."""

from __future__ import annotations


class ModuleDocFragment:
    """The option C(catalogue_paths)."""

    DOCUMENTATION = r"""
options:
  catalogue_paths:
    description: Folders with further C(flavors/) and C(addons/), beside the collection's own catalogue.
    type: list
    elements: path
    default: []
"""
