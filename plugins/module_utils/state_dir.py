# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host keeps what is not in its engine: locks, logs, records, and the secrets of workspaces."""

from __future__ import annotations

DEFAULT_STATE_DIR = "/var/lib/codeopen"
