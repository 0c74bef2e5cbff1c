# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(to_compose)."""

from __future__ import annotations

DOCUMENTATION = r"""
  name: to_compose
  version_added: 0.1.0
  short_description: The workspaces of a plan as a Compose file
  author: codeopen.workspaces maintainers (@codeopen)
  description:
    - Gives the workspaces of a plan as a Compose project that C(docker compose up) runs unchanged, on a host that has
      their images. Limits, ports, volumes, networks, GPUs, what components need from the engine, secrets and labels
      are those that M(codeopen.workspaces.workspace) gives them; health checks are in the images.
    - A tier's C(disk) is lost, for Compose has no limit of volumes.
    - Each network has a bridge whose name begins with C(br-co-), so M(codeopen.workspaces.metadata_services) keeps its
      workspaces from those services, also those of owners that are allowed to reach them.
    - Workspaces that are to be absent are left out. Those that are to be stopped or paused are in a profile of that
      name, which C(docker compose up) does not start.
    - Pools are left out, for who claims their members is known on the host only.
    - Ports without a host port get a free one on their address, another one with each new container.
    - Passwords that the host does not have yet are made by the service C(codeopen_passwords), which runs before the
      workspaces and ends.
    - Put P(ansible.builtin.to_nice_yaml#filter) after it, or P(ansible.builtin.to_nice_json#filter), for the text.
  positional: project, state_dir, external_volumes, host_cpus, memory
  options:
    _input:
      description: A plan, or its C(workspaces).
      type: raw
      required: true
    project:
      description: The project's name.
      type: str
      default: codeopen
    state_dir:
      description: >-
        Directory of the host that keeps the workspaces' secrets. One that begins with C(./) is beside the Compose file.
      type: str
      default: /var/lib/codeopen
    external_volumes:
      description: >-
        Whether the workspaces' volumes are there already and Compose neither makes nor removes them. Without this it
        makes those that are missing, uses those that are there, and C(docker compose down --volumes) removes both.
      type: bool
      default: false
    host_cpus:
      description: >-
        How many CPUs each workspace gets at most, such as those that the host has. V(0) leaves them as they are, and
        more than the host has are no mistake.
      type: int
      default: 0
    memory:
      description: >-
        Where the host has files in memory, in which M(codeopen.workspaces.workspace) keeps secrets; V(/run), or
        V(/dev/shm) where there is no systemd. Empty, workspaces get only what is in O(state_dir). So it is where
        O(state_dir) is beside the Compose file.
      type: str
      default: /run
"""

EXAMPLES = r"""
- name: Say which GPUs a Compose file reserves
  ansible.builtin.debug:
    msg: "{{ (list | codeopen.workspaces.plan | codeopen.workspaces.to_compose).services.demo.deploy.resources }}"
  vars:
    list: [{name: demo, flavor: python, gpus: 1}]
    # => {'reservations': {'devices': [{'driver': 'nvidia', 'capabilities': ['gpu'], 'count': 1}]}}

- name: Write the networks of a Compose file as YAML
  ansible.builtin.debug:
    msg: "{{ (list | codeopen.workspaces.plan | codeopen.workspaces.to_compose).networks | to_nice_yaml(indent=2) }}"
  vars:
    list: [{name: demo, flavor: js, owner: ada}]
    # => owner-ada:
    #      driver: bridge
    #      driver_opts:
    #        com.docker.network.bridge.name: br-co-e2d01c597
    #      labels:
    #        codeopen.owner: ada
"""

RETURN = r"""
  _value:
    description: The Compose project, with C(name), C(services), C(networks) and C(volumes).
    type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_export import ExportSettings, to_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.memory_folder import PLACES
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR


def to_compose(
    plan: Any,
    project: str = "codeopen",
    state_dir: str = DEFAULT_STATE_DIR,
    external_volumes: bool = False,
    host_cpus: int = 0,
    memory: str = PLACES[0],
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    workspaces = plan.get("workspaces") if isinstance(plan, Mapping) else plan
    if not isinstance(workspaces, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in workspaces):
        raise AnsibleFilterError(f"expected a plan, or its workspaces; got {type(plan).__name__}")
    try:
        return to_project(workspaces, ExportSettings(project, state_dir, external_volumes, int(host_cpus), memory))
    except WorkspacesError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"to_compose": to_compose}
