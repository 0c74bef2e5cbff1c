# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line: starts the gateway with the settings of the environment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from aiohttp import web

from . import __version__
from .app import make_app
from .auth import read_password
from .config import settings_from_env
from .errors import GatewayError
from .logs import set_up_logging

# Method, path, status, bytes, seconds: no headers, which hold credentials.
ACCESS_LOG = '%a "%r" %s %b %Tf'
STOP_TIMEOUT = 5.0
EXIT_CONFIG = 78


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit status (78: wrong settings)."""
    parser = argparse.ArgumentParser(
        prog="codeopen-acp-gateway",
        description="HTTP gateway to `opencode acp`. Set by the environment variables HOST, PORT, OPENCODE_BIN, "
        "WORKSPACE, CODEOPEN_PASSWORD_FILE, LOG_LEVEL.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(arguments)
    try:
        settings = settings_from_env(os.environ)
        read_password(settings.password_file)
    except GatewayError as error:
        print(f"codeopen-acp-gateway: {error}", file=sys.stderr)
        return EXIT_CONFIG
    set_up_logging(settings.log_level)
    web.run_app(
        make_app(settings),
        host=settings.host,
        port=settings.port,
        access_log_format=ACCESS_LOG,
        shutdown_timeout=STOP_TIMEOUT,
        handle_signals=True,
        print=None,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
