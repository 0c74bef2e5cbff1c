# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian 12 gets Debian 13's engine and nothing else of it."""

from __future__ import annotations

testinfra_hosts = ["codeopen"]


def test_only_the_engine_is_debian_13s(host):
    assert int(host.package("docker.io").version.split(".")[0]) >= 26
    assert host.package("bash").version.startswith("5.2.15")
