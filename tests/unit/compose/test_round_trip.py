# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workspaces that go to a Compose file and come back are the same, and whatever comes from a file, the plan takes."""

from __future__ import annotations

import json
from typing import Any

import yaml
from ansible_collections.codeopen.workspaces.plugins.module_utils import limits
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_import import from_project
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import PlanError
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

MI = 1024**2
NAMES = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True)
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20) | st.sampled_from(
    ["$HOME", "${A:-b}", "$$", "5$"]
)
ADDRESSES = st.sampled_from(["127.0.0.1", "0.0.0.0", "10.1.2.3", "::1"])
PORTS = st.dictionaries(
    NAMES.filter(lambda name: name not in ("opencode", "acp", "code-server")),
    st.fixed_dictionaries(
        {"container": st.integers(20000, 20999)},
        optional={"host": st.integers(30000, 65535), "address": ADDRESSES},
    ),
    max_size=3,
)
OWN_PORTS = st.fixed_dictionaries(
    {}, optional={"opencode": st.fixed_dictionaries({"host": st.integers(1, 20000)}, optional={"address": ADDRESSES})}
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "swap": st.integers(0, 2**40),
        "pids": st.integers(32, 4194304),
        "shm": st.integers(MI, 2**40),
        "open_files": st.integers(0, 1048576),
        "log_size": st.integers(300_000, 2**40),
        "locked_memory": st.integers(-1, 2**40),
        "core_size": st.integers(-1, 2**40) | st.just("unlimited"),
    },
)
MOUNTS = st.lists(
    st.fixed_dictionaries(
        {"source": NAMES.map("/srv/{}".format), "target": NAMES.map("/mnt/{}".format)},
        optional={"read_only": st.booleans(), "uid": st.integers(0, 70000)},
    )
    | st.fixed_dictionaries(
        {"source": NAMES.map("vol.{}".format), "target": NAMES.map("/mnt/{}".format)},
        optional={"read_only": st.booleans()},
    ),
    max_size=3,
    unique_by=lambda mount: mount["target"],
)
GPUS = st.sampled_from(
    [0, 1, 3, "all", [0], ["0", "1:2"], ["GPU-01234567-89ab-cdef-0123-456789abcdef"], ["nvidia.com/gpu=0"]]
)
CHECKS = st.lists(
    st.sampled_from([{"tcp": "opencode"}, {"http": "acp", "path": "/a$b"}, {"command": ["sh", "-c", "echo $HOME"]}]),
    max_size=2,
)
DEFINITIONS = st.fixed_dictionaries(
    {"name": NAMES, "flavor": st.sampled_from(["js", "python", "fullstack", "polyglot"])},
    optional={
        "addons": st.sampled_from([[], ["code-server"], ["docker", "ai-tools"], ["toolbox", "ssh"]]),
        "tier": st.sampled_from(["starter", "builder", "creator", "power"]),
        "ports": st.builds(lambda one, other: {**one, **other}, PORTS, OWN_PORTS),
        "address": ADDRESSES,
        "environment": st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), TEXTS, max_size=3),
        "gpus": GPUS,
        "owner": NAMES,
        "aliases": st.lists(st.from_regex(r"[a-z0-9](-{0,2}[a-z0-9]){0,8}", fullmatch=True), max_size=3),
        "limits": LIMITS,
        "checks": CHECKS,
        "idle_minutes": st.integers(1, 10000),
        "leave_out": st.lists(st.sampled_from(["vite", "uv", "copilot-chat"]), max_size=2),
        "mounts": MOUNTS,
        "state": st.sampled_from(["started", "restarted", "stopped", "paused", "absent"]),
    },
)


def _same(workspace: dict[str, Any]) -> dict[str, Any]:
    """A workspace of a plan without what says the same in two ways."""
    all_limits = limits.of_entry(workspace)
    # The engine keeps a log in equal parts.
    all_limits["log_size"] //= limits.LOG_FILES
    # To start anew is something to do, and no state that a file could describe.
    state = {"restarted": "started"}.get(workspace["state"], workspace["state"])
    mounts = [{"read_only": False, **mount} for mount in workspace["mounts"]]
    return {**workspace, "limits": all_limits, "state": state, "mounts": mounts}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    definitions=st.lists(DEFINITIONS, min_size=1, max_size=4, unique_by=lambda one: one["name"]),
    external_volumes=st.booleans(),
)
def test_there_and_back(compose: Any, definitions: list[dict[str, Any]], external_volumes: bool) -> None:
    try:
        planned = compose.plan(*definitions)
    except PlanError:
        # Two host ports alike, say: nothing to export.
        assume(False)
    project = compose.project(*definitions, external_volumes=external_volumes)
    text = yaml.safe_dump(project)
    workspaces, losses = compose.read(yaml.safe_load(text))
    assert losses == []
    wanted = {workspace["name"]: _same(workspace) for workspace in planned if workspace["state"] != "absent"}
    assert {workspace["name"]: _same(workspace) for workspace in compose.plan(*workspaces)} == wanted
    # YAML has the services in another order.
    order = [workspace["name"] for workspace in planned]
    workspaces.sort(key=lambda workspace: order.index(workspace["name"]))
    assert compose.project(*workspaces, external_volumes=external_volumes) == project


# Values that Compose files have, or might have by mistake, in any place.
SCALARS = st.sampled_from(
    [0, 1, -1, 2.5, True, None, "", "1", "a", "2g", "/srv/a", "${A}", "80:80", "all", "codeopen-js:0.1.0"]
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "source", "target", "type", "soft", "resources", "limits", "a"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_a_service_says_the_plan_takes_what_comes_of_it(
    compose: Any, service_keys: tuple[str, ...], data: st.DataObject
) -> None:
    keys = [*service_keys, "x-codeopen-checks", "unheard_of"]
    service = data.draw(st.dictionaries(st.sampled_from(keys), ANYTHING, max_size=6))
    service["image"] = "codeopen-js:0.1.0"
    beside = data.draw(
        st.dictionaries(st.sampled_from(["networks", "volumes", "secrets", "configs", "name"]), ANYTHING)
    )
    result = from_project(compose.catalogue, {"services": {"demo": service}, **beside})
    compose.project(*result["workspaces"])
    assert result["workspaces"] or result["not_carried_over"]
    json.dumps(result)
