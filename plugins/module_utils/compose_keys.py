# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a key of a Compose file has no place in the definition of a workspace. Pure."""

from __future__ import annotations

_IMAGE = "comes with the image: an add-on of your own brings it, see docs/images.md"
_START = "workspaces start with their image's own entrypoint, which serves health, secrets and services"
_USER = "workspaces run as their image's user, developer (uid 1000)"
_KERNEL = "workspaces get what their components declare as 'runtime', and nothing else of the engine's confinement"
_NETWORK = "workspaces are in their owner's network, with the engine's own name service"
_LIMITS = (
    "workspaces are limited by cpus and memory of a tier, and by swap, pids, shm, open_files, log_size, locked_memory "
    "and core_size"
)
_ORDER = "workspaces start independently of each other"
_FILES = "files come from the image, from volumes and from mounts"
_RESOLVED = "only Compose can resolve it: import what 'docker compose config' prints"
_SWARM = "is about how a cluster rolls services out"

_REASONS = {
    **dict.fromkeys(("build", "develop", "platform"), _IMAGE),
    **dict.fromkeys(("command", "entrypoint", "working_dir", "post_start", "pre_stop", "stop_signal"), _START),
    **dict.fromkeys(("user", "group_add", "userns_mode"), _USER),
    **dict.fromkeys(
        (
            "cap_add",
            "cap_drop",
            "device_cgroup_rules",
            "sysctls",
            "pid",
            "ipc",
            "uts",
            "cgroup",
            "cgroup_parent",
            "runtime",
            "isolation",
            "credential_spec",
            "read_only",
            "oom_kill_disable",
            "oom_score_adj",
        ),
        _KERNEL,
    ),
    **dict.fromkeys(
        (
            "network_mode",
            "dns",
            "dns_opt",
            "dns_search",
            "domainname",
            "extra_hosts",
            "mac_address",
            "expose",
        ),
        _NETWORK,
    ),
    **dict.fromkeys(
        (
            "blkio_config",
            "cpu_count",
            "cpu_percent",
            "cpu_shares",
            "cpu_quota",
            "cpu_period",
            "cpu_rt_period",
            "cpu_rt_runtime",
            "cpuset",
            "mem_reservation",
            "mem_swappiness",
            "storage_opt",
        ),
        _LIMITS,
    ),
    **dict.fromkeys(("links", "external_links", "attach"), _ORDER),
    **dict.fromkeys(("tmpfs", "volumes_from"), _FILES),
    **dict.fromkeys(("extends", "env_file", "label_file", "include"), _RESOLVED),
    **dict.fromkeys(
        ("deploy.update_config", "deploy.rollback_config", "deploy.placement", "deploy.endpoint_mode", "deploy.mode"),
        _SWARM,
    ),
    "configs": "files that are no secrets belong into a mounted directory; others are given as codeopen_secrets",
    "healthcheck": "the image checks its own services; what has to work besides goes into 'checks'",
    "ulimits.nproc": "the number of a workspace's processes is limited by limits.pids",
    "stop_grace_period": "it holds for a whole run: option stop_timeout of the module workspace",
    "deploy.restart_policy": "workspaces are started again until somebody stops them",
    "deploy.resources.reservations.cpus": "workspaces have limits, and no reservations but GPUs",
    "deploy.resources.reservations.memory": "workspaces have limits, and no reservations but GPUs",
}


def reason(key: str) -> str:
    """Why it cannot be carried over, in words."""
    return _REASONS.get(key, "a workspace's definition has no word for it")
