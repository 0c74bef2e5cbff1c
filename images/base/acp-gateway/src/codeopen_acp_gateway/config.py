# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the gateway, read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class Settings:
    """What the gateway needs to know before it starts."""

    host: str = "0.0.0.0"
    port: int = 4097
    opencode_bin: str = "opencode"
    workspace: Path = Path("/workspace")
    password_file: Path = Path("/run/codeopen/secrets/password")
    log_level: str = "INFO"

    @property
    def agent_command(self) -> tuple[str, ...]:
        """The command line that starts the agent with ACP on its standard input and output."""
        return (self.opencode_bin, "acp")


def settings_from_env(env: Mapping[str, str]) -> Settings:
    """Read the settings from the variables of `env`; an empty variable counts as not set.

    Raises ConfigError that names every wrong variable at once.
    """
    defaults = Settings()
    mistakes: list[str] = []

    def value(name: str, default: object) -> str:
        return env.get(name) or str(default)

    port_text = value("PORT", defaults.port)
    port = int(port_text) if port_text.isascii() and port_text.isdigit() else -1
    if not 0 <= port <= 65535:
        mistakes.append(f"PORT={port_text!r}: expected a number from 0 to 65535 (0: any free port)")
    level = value("LOG_LEVEL", defaults.log_level).upper()
    if level not in LOG_LEVELS:
        mistakes.append(f"LOG_LEVEL={level!r}: expected one of {', '.join(LOG_LEVELS)}")
    workspace = Path(value("WORKSPACE", defaults.workspace))
    if not workspace.is_dir():
        mistakes.append(f"WORKSPACE={str(workspace)!r}: expected a folder that exists")
    if mistakes:
        raise ConfigError("; ".join(mistakes))
    return Settings(
        host=value("HOST", defaults.host),
        port=port,
        opencode_bin=value("OPENCODE_BIN", defaults.opencode_bin),
        workspace=workspace.resolve(),
        password_file=Path(value("CODEOPEN_PASSWORD_FILE", defaults.password_file)),
        log_level=level,
    )
