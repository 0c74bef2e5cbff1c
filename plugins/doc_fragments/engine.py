# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that talk to a Docker Engine share."""

from __future__ import annotations


class ModuleDocFragment:
    """The option C(docker_host), and what the host needs."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - The engine, such as V(unix:///var/run/docker.sock). The default is what the environment says, as for C(docker).
      - One at V(ssh://user@host) is reached by the command ssh and its configuration, with no password.
    type: str
requirements:
  - Docker Engine 23.0 or newer on the host
  - docker SDK for Python (on the host)
"""
