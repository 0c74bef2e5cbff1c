# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(gpu_cdi_drift)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: gpu_cdi_drift
  version_added: 0.1.0
  short_description: How a CDI specification differs from the GPUs of a host
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Compares the output of C(nvidia-smi -L) with a CDI specification. A specification that is stale lets
      containers start with devices that are gone, or with none.
  positional: specification
  options:
    _input:
      description: The output of C(nvidia-smi -L).
      type: str
      required: true
    specification:
      description: The text of the CDI specification, YAML or JSON. Empty where there is none.
      type: str
      required: true
"""

EXAMPLES = r"""
- name: Say which devices of the specification are there no more
  ansible.builtin.debug:
    msg: "{{ (output | codeopen.workspaces.gpu_cdi_drift(specification)).stale }}"
    # => ['1']
  vars:
    output: "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-01234567-89ab-cdef-0123-456789abcdef)"
    specification: |
      kind: nvidia.com/gpu
      devices: [{name: "0"}, {name: "1"}, {name: all}]
"""

RETURN = r"""
  _value:
    description: Names of devices, C(missing) in the specification and C(stale) in it.
    type: dict
"""

from collections.abc import Callable
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus_detect import drift, parse_list


def gpu_cdi_drift(text: str, specification: str) -> dict[str, list[str]]:
    """See DOCUMENTATION."""
    try:
        spec = yaml.safe_load(specification) or {}
    except yaml.YAMLError as error:
        raise AnsibleFilterError(f"The CDI specification is no YAML: {error}") from error
    if not isinstance(spec, dict):
        raise AnsibleFilterError("The CDI specification is no mapping.")
    return drift(parse_list(text), spec)


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gpu_cdi_drift": gpu_cdi_drift}
