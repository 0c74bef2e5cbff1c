# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that hand on the settings of a closed network share."""

from __future__ import annotations


class ModuleDocFragment:
    """The option C(network)."""

    DOCUMENTATION = r"""
options:
  network:
    description:
      - Proxies, mirrors and certificates for build steps and workspaces.
      - They leave nothing in an image, in a container's configuration, in a log or in the task's result.
    type: dict
    suboptions:
      http_proxy:
        description: URL of the proxy for HTTP.
        type: str
      https_proxy:
        description: URL of the proxy for HTTPS.
        type: str
      no_proxy:
        description: Hosts that are reached without a proxy, with commas between them.
        type: str
      apt_mirror:
        description: URL that stands in for Debian's archive.
        type: str
      apt_security_mirror:
        description: URL that stands in for Debian's security archive.
        type: str
      pip_index:
        description: URL that stands in for the Python package index.
        type: str
      npm_registry:
        description: URL that stands in for the npm registry.
        type: str
      go_proxy:
        description: URL that stands in for the Go module proxy.
        type: str
      cargo_registry:
        description: URL that stands in for the index of crates.
        type: str
      release_mirror:
        description:
          - URL of a mirror of release archives.
          - What would be fetched from V(https://host/path) is fetched from the mirror's C(/host/path).
        type: str
      ca_bundle:
        description:
          - Path on the controller of a PEM file with all the certificates to trust.
          - The default is the bundle of the host's own system, as it is when an image is built or a container is made
            or started.
        type: path
"""
