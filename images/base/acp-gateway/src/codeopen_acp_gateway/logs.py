# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging to standard error that never shows what people or the agent wrote."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Union

ExceptionInfo = Union[
    tuple[type[BaseException], BaseException, Union[TracebackType, None]],
    tuple[None, None, None],
]


class QuietFormatter(logging.Formatter):
    """Shows where an exception came from and its type, but not its text, which can quote a prompt."""

    def formatException(self, ei: ExceptionInfo) -> str:
        """Return the frames and the type of the exception."""
        name = ei[0].__name__ if ei[0] else "unknown exception"
        return "".join(traceback.format_tb(ei[2])) + name


def set_up_logging(level: str) -> None:
    """Send all records from `level` on to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(QuietFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
