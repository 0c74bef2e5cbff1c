# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own loader finds the collection, for imports in tests and for templates alike."""

from __future__ import annotations

import pathlib

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([str(pathlib.Path(__file__).parents[1] / ".collections")])
