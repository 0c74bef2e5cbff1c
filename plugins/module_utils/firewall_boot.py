# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings the rules back after the host's start: a script with them, and the service that runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_iptables import PROGRAMS
from ansible_collections.codeopen.workspaces.plugins.module_utils.firewall_rules import (
    CHAIN,
    USER_CHAIN,
    Rule,
    chain_alone,
)

SCRIPT = "/etc/codeopen/published-ports.sh"
SCRIPT_MODE = 0o600
DROP_IN_MODE = 0o644

_HEAD = f"""\
# Written by codeopen.workspaces.published_ports: who may reach published ports.
# Run it before the engine starts, so that no port is open to others meanwhile. It may run at any time.
set -e

# The rules of our chain come in at once; the engine keeps a chain {USER_CHAIN} that is there before it.
guard() {{
  "$1-restore" --noflush --wait
  "$1" --wait -N {USER_CHAIN} 2>/dev/null || true
  "$1" --wait -C {USER_CHAIN} -j {CHAIN} 2>/dev/null || "$1" --wait -I {USER_CHAIN} -j {CHAIN}
}}
"""


def boot_script(rules: Mapping[int, Sequence[Rule]]) -> str:
    """The script that loads the rules of each version of the internet protocol."""
    parts = [_HEAD]
    for version in sorted(rules):
        guard = f"guard {PROGRAMS[version]} <<'END'\n{chain_alone(rules[version])}END\n"
        # A kernel may be told to do without it.
        parts.append(f"\nif [ -e /proc/net/if_inet6 ]; then\n{guard}fi\n" if version == 6 else f"\n{guard}")
    return "".join(parts)


def drop_in_path(service: str) -> str:
    """The file by which systemd runs the script before the engine."""
    return f"/etc/systemd/system/{service}.service.d/codeopen-published-ports.conf"


# systemd may still know this after both files are gone.
DROP_IN = f"""\
# Written by codeopen.workspaces.published_ports: no port is open to others before the engine's first container starts.
[Service]
ExecStartPre=/bin/sh -c 'test ! -e {SCRIPT} || exec /bin/sh {SCRIPT}'
"""
