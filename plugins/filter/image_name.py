# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(image_name)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: image_name
  version_added: 0.1.0
  short_description: The name of the image of a flavor with add-ons
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Gives the one name that a flavor with add-ons has, whatever order the add-ons are written in.
  positional: catalogue_paths
  extends_documentation_fragment: codeopen.workspaces.catalogue
  options:
    _input:
      description: The wish - a mapping with C(flavor), C(addons), C(tier) and C(leave_out), or the name of a flavor.
      type: raw
      required: true
"""

EXAMPLES = r"""
- name: Say the name of an image
  ansible.builtin.debug:
    msg: "{{ {'flavor': 'python', 'addons': ['code-server']} | codeopen.workspaces.image_name }}"
    # => codeopen-python-code-server:0.1.0

- name: Say the name of a flavor's image
  ansible.builtin.debug:
    msg: "{{ 'js' | codeopen.workspaces.image_name }}"
    # => codeopen-js:0.1.0
"""

RETURN = r"""
  _value:
    description: The name with its tag.
    type: str
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import resolve_wish


def image_name(wish: Any, catalogue_paths: Sequence[str] = ()) -> str:
    """See DOCUMENTATION."""
    try:
        return resolve_wish(wish, catalogue_paths).image
    except WorkspacesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"image_name": image_name}
