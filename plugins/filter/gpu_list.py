# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(gpu_list)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: gpu_list
  version_added: 0.1.0
  short_description: The GPUs that nvidia-smi -L lists
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Turns the output of C(nvidia-smi -L) into a list.
  options:
    _input:
      description: The output. Any other text has no GPUs.
      type: str
      required: true
"""

EXAMPLES = r"""
- name: Say how many GPUs there are
  ansible.builtin.debug:
    msg: "{{ output | codeopen.workspaces.gpu_list | length }}"
    # => 1
  vars:
    output: "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-01234567-89ab-cdef-0123-456789abcdef)"
"""

RETURN = r"""
  _value:
    description: The GPUs, each with C(index), C(model), C(uuid) and C(mig), the UUIDs of its MIG instances.
    type: list
    elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus_detect import parse_list


def gpu_list(text: str) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    return [
        {"index": gpu.index, "model": gpu.model, "uuid": gpu.uuid, "mig": list(gpu.mig)} for gpu in parse_list(text)
    ]


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gpu_list": gpu_list}
