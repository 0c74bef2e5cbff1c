# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``workspace`` with leases of two seconds, so that tests need not wait a minute; all else is real."""

from __future__ import annotations

from ansible_collections.codeopen.workspaces.plugins.module_utils import host_lock
from ansible_collections.codeopen.workspaces.plugins.modules.workspace import main

if __name__ == "__main__":
    host_lock.LEASE, host_lock.RENEW = 2.0, 0.2
    main()
