# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that bring a list of workspaces to their states, as documentation and fragments have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import limits, network_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import PROGRESS_OPTIONS
from ansible_collections.codeopen.workspaces.plugins.module_utils.decision import STATES
from ansible_collections.codeopen.workspaces.plugins.module_utils.runtime import SECURITY_OPTIONS
from ansible_collections.codeopen.workspaces.plugins.module_utils.state_dir import DEFAULT_STATE_DIR

_PORT = {
    "name": {"type": "str", "required": True},
    "container": {"type": "int", "required": True},
    "host": {"type": "int"},
    "address": {"type": "str", "default": "127.0.0.1"},
}
_VOLUME = {"name": {"type": "str", "required": True}, "path": {"type": "str", "required": True}}
_MOUNT = {
    "source": {"type": "str", "required": True},
    "target": {"type": "str", "required": True},
    "read_only": {"type": "bool", "default": False},
    "uid": {"type": "int"},
}
_RUNTIME = {
    "devices": {"type": "list", "elements": "str", "default": []},
    "security_opt": {"type": "list", "elements": "str", "choices": list(SECURITY_OPTIONS), "default": []},
    "privileged": {"type": "bool", "default": False},
}
_CHECK = {
    "http": {"type": "str"},
    "path": {"type": "str", "default": "/"},
    "status": {"type": "int", "default": 200},
    "tcp": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "timeout": {"type": "float", "default": 30},
}
_WORKSPACE = {
    "name": {"type": "str", "required": True},
    "flavor": {"type": "str"},
    "addons": {"type": "list", "elements": "str"},
    "tier": {"type": "str"},
    "image": {"type": "str"},
    "recipe": {"type": "str"},
    "cpus": {"type": "float"},
    "memory": {"type": "int"},
    "disk": {"type": "int"},
    "ports": {"type": "list", "elements": "dict", "options": _PORT},
    "volumes": {"type": "list", "elements": "dict", "options": _VOLUME},
    "mounts": {"type": "list", "elements": "dict", "options": _MOUNT},
    "environment": {"type": "dict"},
    "runtime": {"type": "dict", "options": _RUNTIME},
    "gpus": {"type": "raw", "default": 0},
    "limits": {"type": "dict", "options": {name: {"type": "int"} for name in limits.DEFAULTS}},
    "owner": {"type": "str", "default": ""},
    "aliases": {"type": "list", "elements": "str", "default": []},
    "checks": {"type": "list", "elements": "dict", "options": _CHECK},
    "idle_minutes": {"type": "int"},
    "leave_out": {"type": "list", "elements": "str"},
    "state": {"type": "str", "choices": list(STATES), "default": "started"},
}
_POOL = {
    "name": {"type": "str", "required": True},
    "size": {"type": "int", "required": True},
    "workspace": {"type": "dict", "required": True, "options": _WORKSPACE},
}
ARGUMENT_SPEC: dict[str, Any] = {
    "workspaces": {"type": "list", "elements": "dict", "required": True, "options": _WORKSPACE},
    "pools": {"type": "list", "elements": "dict", "default": [], "options": _POOL},
    "network": network_file.ARGUMENT_SPEC,
    "secrets": {"type": "dict", "no_log": True},
    "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
    "docker_host": {"type": "str"},
    "parallel": {"type": "int", "default": 8},
    "health_timeout": {"type": "float", "default": 180},
    "stop_timeout": {"type": "int", "default": 10},
    "port_range": {"type": "str", "default": "20000-29999"},
    "purge": {"type": "bool", "default": False},
    **PROGRESS_OPTIONS,
    "network_settings": {"type": "str", "no_log": True},
    "environments": {"type": "str", "no_log": True},
    "secret_values": {"type": "str", "no_log": True},
}


def network_text(parameters: Mapping[str, Any]) -> str:
    """The network's settings, from the action plugin or from the user."""
    return parameters["network_settings"] or network_file.settings_text(parameters["network"])


def secrets_of(parameters: Mapping[str, Any]) -> Any:
    """The secrets, from the action plugin or from the user; None where they are left as they are."""
    return json.loads(parameters["secret_values"]) if parameters["secret_values"] else parameters["secrets"]


def wished(parameters: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the workspaces and the pools with their environments, which come apart from them."""
    environments = json.loads(parameters["environments"] or "{}")

    def whole(entry: Mapping[str, Any], key: str) -> dict[str, Any]:
        return dict(entry, environment=environments.get(key, entry.get("environment") or {}))

    workspaces = [whole(entry, entry["name"]) for entry in parameters["workspaces"]]
    # No workspace's name has such a character.
    pools = [dict(pool, workspace=whole(pool["workspace"], f"pool {pool['name']}")) for pool in parameters["pools"]]
    return workspaces, pools
