#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings images of a plan up to date on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_build
short_description: Build the missing image layers of a plan
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Brings images up to date on a host and builds only the layers that are missing, all of them in one
    C(docker buildx bake).
  - An image is up to date when its label C(codeopen.recipe) is the planned recipe. No build command runs to find that
    out.
  - An action plugin belongs to this module. It sends the build contexts of the missing layers from the controller to
    the host, once and in one archive, and shows the build's progress while it runs.
  - When a build is interrupted, the next run goes on where it stopped. A build whose controller is gone stops within
    a minute.
requirements:
  - buildx (on the host)
  - mmdebstrap (on the host, only where no registry can be reached)
extends_documentation_fragment:
  - codeopen.workspaces.engine
  - codeopen.workspaces.network
  - codeopen.workspaces.progress
attributes:
  check_mode:
    description: Can run in check mode and tell what it would change, without changing it.
    support: full
  diff_mode:
    description: Tells which layers are built, and which file, argument or parent of each changed.
    support: full
  idempotent:
    description: Changes nothing when it is run a second time, unless O(rebuild) is set.
    support: full
options:
  plan:
    description:
      - The plan, as the filter P(codeopen.workspaces.plan#filter) makes it.
    type: dict
    required: true
  images:
    description:
      - Names of the images to bring up to date. The layers below them are built when they are missing.
      - The default is the images of all workspaces of the plan.
    type: list
    elements: str
  rebuild:
    description:
      - Build the images and all layers below them anew, without cached steps, whatever is there.
    type: bool
    default: false
  state_dir:
    description: Directory on the host for the lock and the logs.
    type: path
    default: /var/lib/codeopen
  lock_timeout:
    description: Seconds to wait while another build runs on the host.
    type: float
    default: 3600
  contexts:
    description: Archive of the build contexts on the host. The action plugin sets it.
    type: path
  network_file:
    description: File on the host with the network's settings. The action plugin sets it.
    type: path
seealso:
  - module: codeopen.workspaces.workspace
"""

EXAMPLES = r"""
- name: Build what the workspaces need
  codeopen.workspaces.image_build:
    plan: "{{ codeopen_workspaces | codeopen.workspaces.plan }}"

- name: Build one image behind a company's proxy
  codeopen.workspaces.image_build:
    plan: "{{ codeopen_plan }}"
    images:
      - codeopen-python-code-server:0.1.0
    network:
      https_proxy: http://proxy.example.org:3128
      no_proxy: localhost,.example.org
      ca_bundle: /etc/ssl/certs/company.pem

- name: Say which layers would be built, and why
  codeopen.workspaces.image_build:
    plan: "{{ codeopen_plan }}"
  check_mode: true
  diff: true
"""

RETURN = r"""
layers:
  description: The wanted layers, and the missing ones below them, parents first.
  returned: always
  type: list
  elements: dict
  contains:
    target:
      description: The layer's name in the plan.
      type: str
      sample: python-code-server
    image:
      description: The image's name.
      type: str
      sample: codeopen-python-code-server:0.1.0
    recipe:
      description: The planned recipe.
      type: str
      sample: 0f6f9d2b7d0e9f4e3f2c0c3d5b4c41f5f17f9d4d0d7a8b6c5e4f3a2b1c0d9e8f
    state:
      description:
        - V(up_to_date), V(built), or V(tagged) where an image of this recipe had another name.
        - In check mode V(build) and V(tag) stand for what would be done.
      type: str
      sample: built
    reasons:
      description: Why it is built or tagged.
      type: list
      elements: str
      sample: ["file rootfs/etc/motd changed"]
base_source:
  description:
    - Where the Debian base of the images was taken from. Empty where it is not known yet.
  returned: always
  type: dict
  contains:
    kind:
      description: V(registry) or V(archive).
      type: str
      sample: registry
    reference:
      description: The registry's reference, or the suite of Debian's archive.
      type: str
      sample: docker.io/library/debian
    digest:
      description: The digest in the registry, or the id of the image that was made; empty where it is not known.
      type: str
      sample: sha256:d7e12182ce18b85b93007c1dedf31f2d29e01ccf3182cc4017c709b6259bc132
log_path:
  description: The build's log on the host; empty where nothing was built. It is returned on failure, too.
  returned: always
  type: str
  sample: /var/lib/codeopen/logs/build-20260105T101500.123Z.log
"""

import signal
from typing import Any, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils import bake, build_run, network_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.base_source import REGISTRY, BaseSource
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import PROGRESS_OPTIONS, new_log_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.detached_run import (
    STOP_SIGNALS,
    DetachedRun,
    run_detachable,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.engine import connect
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError, WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.image_store import images_with_recipes
from ansible_collections.codeopen.workspaces.plugins.module_utils.layer_states import BUILD, TAG, LayerState, difference
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR

PLAN_KEYS = ("base_image", "layers")


def argument_spec() -> dict[str, Any]:
    """Give the module's argument spec."""
    return {
        "plan": {"type": "dict", "required": True},
        "images": {"type": "list", "elements": "str"},
        "network": network_file.ARGUMENT_SPEC,
        "rebuild": {"type": "bool", "default": False},
        "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
        "docker_host": {"type": "str"},
        "lock_timeout": {"type": "float", "default": 3600},
        "contexts": {"type": "path"},
        "network_file": {"type": "path"},
        **PROGRESS_OPTIONS,
    }


def interrupted(number: int, frame: Any) -> NoReturn:
    """Turn a signal that would end the process at once into an exception, so that everything is cleaned up."""
    raise KeyboardInterrupt


def read_network(path: Optional[str]) -> str:
    """Give the network secret: the settings that were sent, with the host's own certificates where they have none."""
    settings = ""
    if path is not None:
        with open(path, encoding="utf-8") as file:
            settings = file.read()
    return network_file.file_text(settings)


def source_result(
    request: build_run.Request, states: list[LayerState], client: Any, source: Optional[BaseSource]
) -> dict[str, str]:
    """Give the base's source: of this build, or what the images' labels say."""
    if source is not None:
        return {"kind": source.kind, "reference": source.reference, "digest": source.digest}
    names = {state.layer["image"] for state in states}
    for image in images_with_recipes(client):
        kind, reference = ([*image.labels.get(bake.LABEL_BASE_SOURCE, "").split(" ", 1), ""])[:2]
        if names.intersection(image.tags) and kind:
            digest = request.plan["base_image"]["digest"] if kind == REGISTRY else ""
            return {"kind": kind, "reference": reference, "digest": digest}
    return {}


def layers_result(states: list[LayerState], done: dict[str, str]) -> list[dict[str, Any]]:
    """Give what is returned of each layer."""
    return [
        {
            "target": state.layer["target"],
            "image": state.layer["image"],
            "recipe": state.layer["recipe"],
            "state": done.get(state.layer["target"], state.state),
            "reasons": list(state.reasons),
        }
        for state in states
    ]


def build(module: AnsibleModule, run: DetachedRun) -> dict[str, Any]:
    """Do the module's work and give its result."""
    parameters = module.params
    missing = [key for key in PLAN_KEYS if key not in parameters["plan"]]
    if missing:
        raise BuildError(f"plan: {', '.join(missing)} is missing; give what the filter codeopen.workspaces.plan makes")
    request = build_run.Request(
        plan=parameters["plan"],
        images=parameters["images"],
        rebuild=parameters["rebuild"],
        state_dir=parameters["state_dir"],
        docker_host=parameters["docker_host"],
        lock_timeout=parameters["lock_timeout"],
        log_path=parameters["log_path"] or new_log_path(parameters["state_dir"]),
        contexts=parameters["contexts"],
        network=read_network(parameters["network_file"]),
    )
    client = connect(request.docker_host)
    states = build_run.survey(client, request)
    outcome = build_run.Outcome(states)
    building = any(state.state == BUILD for state in states)
    pending = building or any(state.state == TAG for state in states)
    # Without contexts this is the action's question, what to send.
    acts = pending and not module.check_mode and (request.contexts is not None or not building)
    if acts:
        outcome = build_run.converge(client, request, run)
    return {
        "changed": bool(outcome.done) if acts else pending,
        "layers": layers_result(outcome.states, outcome.done),
        "base_source": source_result(request, outcome.states, client, outcome.source),
        "log_path": request.log_path if acts else "",
        "diff": difference(states),
    }


def build_or_say_why_not(module: AnsibleModule, run: DetachedRun) -> dict[str, Any]:
    """Give the module's result, also where it is a failure; of what was sent nothing stays."""
    for number in STOP_SIGNALS:
        signal.signal(number, interrupted)
    log_path = module.params["log_path"] or ""
    try:
        return build(module, run)
    except BuildError as error:
        message, log_path = str(error), error.log_path
    except WorkspacesError as error:
        message = str(error)
    except KeyboardInterrupt:
        message = "The build was interrupted. Finished layers are kept; the next run goes on from there."
    finally:
        for option in ("contexts", "network_file"):
            build_run.remove_quietly(module.params[option])
    return {"failed": True, "msg": message, "log_path": log_path, "layers": [], "base_source": {}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    detach = module.params["detach"] and not module.check_mode
    result = run_detachable(lambda run: build_or_say_why_not(module, run), detach, module.no_log_values)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
