# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the keys of daemon.json: their types, their flags, and which of them the engine can reload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import Path

TEXTS = [
    "api-cors-header",
    "bip",
    "bridge",
    "cgroup-parent",
    "containerd",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "data-root",
    "default-cgroupns-mode",
    "default-gateway",
    "default-gateway-v6",
    "default-ipc-mode",
    "default-runtime",
    "exec-root",
    "fixed-cidr",
    "fixed-cidr-v6",
    "group",
    "host-gateway-ip",
    "init-path",
    "ip",
    "log-driver",
    "log-format",
    "log-level",
    "metrics-addr",
    "pidfile",
    "seccomp-profile",
    "storage-driver",
    "swarm-default-advertise-addr",
    "tlscacert",
    "tlscert",
    "tlskey",
    "userland-proxy-path",
    "userns-remap",
    "firewall-backend",
    "min-api-version",
]
SWITCHES = [
    "allow-direct-routing",
    "debug",
    "experimental",
    "icc",
    "init",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
]
COUNTS = [
    "cpu-rt-period",
    "cpu-rt-runtime",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "mtu",
    "network-control-plane-mtu",
    "network-diagnostic-port",
    "oom-score-adjust",
    "shutdown-timeout",
]
LISTS = [
    "allow-nondistributable-artifacts",
    "authorization-plugins",
    "cdi-spec-dirs",
    "default-address-pools",
    "dns",
    "dns-opts",
    "dns-search",
    "exec-opts",
    "host-gateway-ips",
    "hosts",
    "insecure-registries",
    "labels",
    "node-generic-resources",
    "registry-mirrors",
    "storage-opts",
]
OBJECTS = [
    "builder",
    "containerd-options",
    "default-network-opts",
    "default-ulimits",
    "features",
    "log-opts",
    "proxies",
    "runtimes",
]

TYPES: Mapping[str, str] = {
    **dict.fromkeys(TEXTS, "a text"),
    **dict.fromkeys(SWITCHES, "true or false"),
    **dict.fromkeys(COUNTS, "a number"),
    **dict.fromkeys(LISTS, "a list"),
    **dict.fromkeys(OBJECTS, "an object"),
    "default-shm-size": "a number or a text",
}

# The keys that the engine's documentation lists as read again on SIGHUP.
RELOADABLE = frozenset(
    [
        "allow-nondistributable-artifacts",
        "authorization-plugins",
        "debug",
        "default-runtime",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    ]
)
# On SIGHUP a key that is gone keeps its old value, but for these.
_RESET_ON_RELOAD = frozenset(
    ["max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts", "shutdown-timeout"]
)
# Of `features`, the others decide how the engine is put together at its start.
_RELOADABLE_FEATURES = frozenset({"buildkit"})

_SHORT_FLAGS = {
    "b": "bridge",
    "D": "debug",
    "G": "group",
    "g": "data-root",
    "H": "host",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
}
# Flags that are given many times have another name in the file.
_LIST_FLAGS = {
    "add-runtime": "runtimes",
    "allow-nondistributable-artifact": "allow-nondistributable-artifacts",
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "graph": "data-root",
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
# The engine merges these from both places, so they do not collide.
_MERGED_BY_THE_ENGINE = frozenset({"runtimes"})


def action_for(before: Mapping[str, Any], after: Mapping[str, Any], changed: Sequence[Path]) -> str:
    """What makes the engine take ``changed``: ``none``, ``reload`` or ``restart``."""
    if not changed:
        return "none"
    return "reload" if all(_can_reload(path, before, after) for path in changed) else "restart"


def _can_reload(path: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    key = path[0]
    if key == "features":
        names = {name for side in (before, after) for name in _object(side.get(key))}
        differing = {name for name in names if _object(before.get(key)).get(name) != _object(after.get(key)).get(name)}
        return key in after and differing <= _RELOADABLE_FEATURES
    if key not in RELOADABLE:
        return False
    return key in after or key in _RESET_ON_RELOAD


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def flags_of(argv: Sequence[str]) -> dict[str, list[str]]:
    """The flags of a dockerd command line as keys of the file, with the flags as they were written.

    ``config-file`` is among them, under that name.
    """
    flags: dict[str, list[str]] = {}
    for word in argv[1:]:
        if word == "--":
            break
        if word.startswith("--"):
            name = word[2:].partition("=")[0]
        elif word.startswith("-") and len(word) > 1:
            name = _SHORT_FLAGS.get(word[1], "")
        else:
            continue
        if name:
            flags.setdefault(_LIST_FLAGS.get(name, name), []).append(word)
    return flags


def collisions(config: Mapping[str, Any], argv: Sequence[str]) -> dict[str, str]:
    """Keys that stand in ``config`` and on the command line too, which keeps the engine from starting: key → flag."""
    flags = flags_of(argv)
    # The file's proxies are an object, their flags are not.
    keys = {**{key: key for key in config}, **{name: f"proxies.{name}" for name in _object(config.get("proxies"))}}
    return {
        where: flags[name][0] for name, where in keys.items() if name in flags and name not in _MERGED_BY_THE_ENGINE
    }
