# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP gateway to a coding agent that speaks the Agent Client Protocol on stdio."""

__version__ = "0.1.0"
