#!/usr/bin/python
# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merges keys into the configuration file of an engine."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: daemon_config
short_description: Merge keys into the configuration of Docker, containerd or Podman
version_added: 0.1.0
author:
  - codeopen.workspaces maintainers (@codeopen)
description:
  - Merges the wanted keys into the file and leaves every other key as it is, at any depth.
  - In TOML, which containerd and Podman have, comments, order and layout of all other lines stay as well.
  - The file is replaced by a rename of a finished, synced copy, so that a kill or a power cut at any moment leaves
    the old or the new file.
  - The new file is checked before it is put in place by the engine's own check, where its program is on the host;
    C(dockerd --validate), C(containerd config dump), C(podman --version) with the new C(containers.conf).
  - Docker's is also checked for what that lets pass; sizes of logs, runtimes whose program is missing, keys that
    collide with flags of the engine's command line or of its service.
  - An engine that does not come up with the new file gets the old one back and is started with it.
  - Needs root on the host.
attributes:
  check_mode:
    description: Tells exactly what would change, and fails where the run would fail for the configuration.
    support: full
  diff_mode:
    description: Shows the file before and after. Credentials in addresses are masked.
    support: full
  idempotent:
    description: A second run leaves the file byte for byte.
    support: full
requirements:
  - Python 3.11 or later on the host, or the package C(python3-tomli) (C(tomli) from PyPI), for files of containerd and
    Podman
options:
  engine:
    description:
      - Whose file it is. This decides the format, JSON for Docker and TOML for the others, the checks, the service, and
        what must be done for the engine to take a change.
      - Nothing is ever waiting for Podman, for each of its commands reads the file anew. A C(podman system service)
        that runs goes on with what it read at its start.
    type: str
    choices: [docker, containerd, podman]
    default: docker
  path:
    description:
      - The file. It is made if it is missing and a key is wanted.
      - Without it, C(/etc/docker/daemon.json), C(/etc/containerd/config.toml) or C(/etc/containers/containers.conf).
    type: path
  config:
    description:
      - The wanted keys. Objects, which are tables in TOML, are merged at any depth.
      - A key is removed by O(absent), not by null.
    type: dict
    default: {}
  absent:
    description:
      - Keys to remove, as V(runtimes.nvidia), or as a list of the keys from the outside in where one has a dot in it.
      - The object that held the key stays, even if it is empty now.
    type: list
    elements: raw
    default: []
  list_merge:
    description:
      - What becomes of a list that is there and wanted.
      - V(replace) writes the wanted list, V(append) adds the wanted items that are missing and keeps all others.
    type: str
    choices: [replace, append]
    default: replace
  follow:
    description:
      - Whether a symbolic link at O(path) is followed. The link then stays, and the file that it leads to is replaced.
      - Otherwise a link is an error.
    type: bool
    default: true
  backup:
    description: Whether a copy of the old file is kept beside it, see RV(backup_file).
    type: bool
    default: true
  apply:
    description:
      - What is done for a running engine to take the change, now or one that an earlier run left waiting.
      - V(none) leaves it to a later run or a handler, see RV(restart_needed) and RV(reload_needed).
      - V(reload) sends SIGHUP if that is enough for all changed keys, otherwise it does nothing. It never is for
        containerd.
      - V(restart) restarts the engine.
      - V(auto) reloads where that is enough, and otherwise restarts.
      - An engine that does not run is not started, except when an earlier run was cut off in its restart.
    type: str
    choices: [none, reload, restart, auto]
    default: none
  apply_timeout:
    description: How long the engine may take to answer after a restart before the old file is put back, in seconds.
    type: float
    default: 30
  service:
    description: Name of the engine's service. Without it, the name of the engine.
    type: str
  address:
    description:
      - Address where the engine must answer after a restart or reload.
      - Without it, C(unix:///var/run/docker.sock) or C(unix:///run/containerd/containerd.sock).
    type: str
    aliases: [docker_host]
  state_dir:
    description: Directory on the host for the lock and for the record of what the engine has still to take.
    type: path
    default: /var/lib/codeopen
  lock_timeout:
    description: How long to wait for another run on the same host, in seconds.
    type: float
    default: 300
notes:
  - With C(live-restore) on, containers keep running through a restart of Docker. They always do through one of
    containerd.
  - C(systemctl daemon-reload) is never run.
"""

EXAMPLES = r"""
- name: Keep containers running through a restart, and let logs not grow without bound
  codeopen.workspaces.daemon_config:
    config:
      live-restore: true
      log-driver: json-file
      log-opts:
        max-size: 10m
        max-file: "3"
    apply: auto

- name: Take a runtime away
  codeopen.workspaces.daemon_config:
    absent:
      - runtimes.nvidia
      - [runtimes, io.containerd.kata.v2]

- name: Change several things and restart once
  codeopen.workspaces.daemon_config:
    config: "{{ item }}"
  loop: "{{ engine_settings }}"
  notify: Apply the engine's configuration

- name: Switch containerd's Kubernetes part off, and collect its garbage later after a start
  codeopen.workspaces.daemon_config:
    engine: containerd
    config:
      version: 2
      disabled_plugins: [io.containerd.grpc.v1.cri]
      plugins:
        io.containerd.gc.v1.scheduler:
          startup_delay: 10s
    list_merge: append
    apply: auto

- name: Bound the logs of Podman's containers
  codeopen.workspaces.daemon_config:
    engine: podman
    config:
      containers:
        log_size_max: 10485760

# The handler
- name: Apply the engine's configuration
  codeopen.workspaces.daemon_config:
    apply: auto
"""

RETURN = r"""
path:
  description: The file, with a symbolic link followed.
  returned: success
  type: str
  sample: /etc/docker/daemon.json
changed_keys:
  description: The keys that changed in the file.
  returned: success
  type: list
  elements: str
  sample: [live-restore, log-opts.max-size]
applied:
  description: What was done for the engine to take the change; V(none), V(reload) or V(restart).
  returned: success
  type: str
  sample: reload
reload_needed:
  description: Whether the running engine takes the file only after a reload.
  returned: success
  type: bool
restart_needed:
  description: Whether the running engine takes the file only after a restart. It stays true until there was one.
  returned: success
  type: bool
backup_file:
  description: The copy of the old file.
  returned: when the file was changed and O(backup) is true
  type: str
  sample: /etc/docker/daemon.json.4711.2026-01-31@12:00:00~
"""

from dataclasses import fields

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import credentials, key_paths
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_run import Wishes, run
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR

# An alias of an option is among the parameters too.
_WISHES = {field.name for field in fields(Wishes)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "choices": ["docker", "containerd", "podman"], "default": "docker"},
            "path": {"type": "path"},
            "config": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "raw", "default": []},
            "list_merge": {"type": "str", "choices": ["replace", "append"], "default": "replace"},
            "follow": {"type": "bool", "default": True},
            "backup": {"type": "bool", "default": True},
            "apply": {"type": "str", "choices": ["none", "reload", "restart", "auto"], "default": "none"},
            "apply_timeout": {"type": "float", "default": 30},
            "service": {"type": "str"},
            "address": {"type": "str", "aliases": ["docker_host"]},
            "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
            "lock_timeout": {"type": "float", "default": 300},
        },
        supports_check_mode=True,
    )
    # Passwords of proxies must not come back in the echo of the arguments.
    module.no_log_values.update(credentials(module.params["config"]))
    try:
        params = {name: value for name, value in module.params.items() if name in _WISHES}
        params["absent"] = key_paths(module.params["absent"])
        outcome = run(Wishes(**params), module.check_mode, module.tmpdir)
    except WorkspacesError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    result = {
        "changed": outcome.changed,
        "path": outcome.path,
        "changed_keys": outcome.changed_keys,
        "applied": outcome.applied,
        "reload_needed": outcome.reload_needed,
        "restart_needed": outcome.restart_needed,
    }
    if outcome.backup_file:
        result["backup_file"] = outcome.backup_file
    if module._diff:
        result["diff"] = {
            "before_header": outcome.path,
            "after_header": outcome.path,
            "before": outcome.before,
            "after": outcome.after,
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
