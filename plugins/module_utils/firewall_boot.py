# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings the rules back after the host's start: a script with them, and the service that runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_iptables import PROGRAMS
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import (
    USER_CHAIN,
    Guard,
    Rule,
    chain_alone,
)

SCRIPT_MODE = 0o600
DROP_IN_MODE = 0o644


def script_path(guard: Guard) -> str:
    """The script with a guard's rules."""
    return f"/etc/codeopen/{_file_name(guard)}.sh"


def boot_script(guard: Guard, rules: Mapping[int, Sequence[Rule]]) -> str:
    """The script that loads the rules of each version of the internet protocol."""
    parts = [
        f"""\
# Written by codeopen.workspaces.{guard.module}: {guard.keeps}.
# Run it before the engine starts, so that no container is there before it. It may run at any time.
set -e

# The rules of our chain come in at once; the engine keeps a chain {USER_CHAIN} that is there before it.
guard() {{
  "$1-restore" --noflush --wait
  "$1" --wait -N {USER_CHAIN} 2>/dev/null || true
  "$1" --wait -C {USER_CHAIN} -j {guard.chain} 2>/dev/null || "$1" --wait -I {USER_CHAIN} -j {guard.chain}
}}
"""
    ]
    for version in sorted(rules):
        call = f"guard {PROGRAMS[version]} <<'END'\n{chain_alone(rules[version], guard.chain)}END\n"
        # A kernel may be told to do without it.
        parts.append(f"\nif [ -e /proc/net/if_inet6 ]; then\n{call}fi\n" if version == 6 else f"\n{call}")
    return "".join(parts)


def drop_in_path(guard: Guard, service: str) -> str:
    """The file by which systemd runs the script before the engine."""
    return f"/etc/systemd/system/{service}.service.d/codeopen-{_file_name(guard)}.conf"


def drop_in(guard: Guard) -> str:
    """Its text. systemd may still know it after both files are gone."""
    script = script_path(guard)
    return f"""\
# Written by codeopen.workspaces.{guard.module}: {guard.keeps}, before the engine's first container starts.
[Service]
ExecStartPre=/bin/sh -c 'test ! -e {script} || exec /bin/sh {script}'
"""


def _file_name(guard: Guard) -> str:
    return guard.module.replace("_", "-")
