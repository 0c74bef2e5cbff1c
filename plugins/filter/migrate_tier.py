# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(migrate_tier)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: migrate_tier
  version_added: 0.1.0
  short_description: A tier of an earlier product as tier and add-ons
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Translates an old tier name (C(lite), C(standard), C(pro), C(desktop)) to the tier and add-ons that it
      is now. Names of today come back as they are.
  positional: catalogue_paths
  extends_documentation_fragment: codeopen.workspaces.catalogue
  options:
    _input:
      description: The name of the tier.
      type: str
      required: true
"""

EXAMPLES = r"""
- name: Say what the desktop tier is now
  ansible.builtin.debug:
    msg: "{{ 'desktop' | codeopen.workspaces.migrate_tier }}"
    # => {'tier': 'power', 'addons': ['gui']}

- name: Say what the pro tier is now
  ansible.builtin.debug:
    msg: "{{ 'pro' | codeopen.workspaces.migrate_tier }}"
    # => {'tier': 'creator', 'addons': []}
"""

RETURN = r"""
  _value:
    description: C(tier) and C(addons).
    type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import migrate_tier as migrate
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue


def migrate_tier(tier: Any, catalogue_paths: Sequence[str] = ()) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return migrate(find_catalogue(catalogue_paths), tier)
    except WorkspacesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"migrate_tier": migrate_tier}
