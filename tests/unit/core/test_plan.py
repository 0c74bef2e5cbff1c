# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a list of workspaces, and every mistake that such a list can hold."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import CatalogueError, PlanError
from ansible_collections.codeopen.workspaces.plugins.module_utils.plan import make_plan
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import component_files
from hypothesis import given
from hypothesis import strategies as st


def _plan(catalogue: Any, *workspaces: Any) -> dict[str, Any]:
    return make_plan(catalogue, list(workspaces), component_files)


def test_layers_are_shared_and_parents_come_first(catalogue: Any) -> None:
    plan = _plan(
        catalogue,
        {"name": "a", "flavor": "python", "addons": ["gui", "editor"]},
        {"name": "b", "flavor": "python", "addons": ["editor"]},
        {"name": "c", "flavor": "fullstack"},
    )
    layers = {layer["target"]: layer for layer in plan["layers"]}
    assert list(layers) == ["base", "python", "python-editor", "python-editor-gui", "js", "fullstack"]
    assert [layer["parent"] for layer in plan["layers"]] == [None, "base", "python", "python-editor", "base", "js"]
    assert layers["fullstack"]["component"] == "python"
    assert layers["js"]["args"] == {"NODE_VERSION": "24"}
    assert layers["python-editor"]["labels"]["org.opencontainers.image.base.name"] == "acme-python:1.2.3"
    assert plan["workspaces"][0]["recipe"] == layers["python-editor-gui"]["recipe"]
    assert json.loads(json.dumps(plan)) == plan


def test_layers_of_a_composite_of_three_have_names_that_bake_takes(tree: Any) -> None:
    tree.components["flavors/go"] = {"kind": "flavor"}
    tree.components["flavors/all"] = {"kind": "flavor", "components": ["js", "python", "go"]}
    layers = _plan(tree.load(), {"name": "a", "flavor": "all", "addons": ["editor"]})["layers"]
    assert [layer["target"] for layer in layers] == ["base", "js", "js_python", "all", "all-editor"]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", layer["target"]) for layer in layers)


def test_tools_are_left_out_where_they_would_be(tree: Any) -> None:
    tree.components["flavors/python"]["tools"] = {"uv": "pypi"}
    tree.components["addons/editor"]["tools"] = {"vim": "apt", "ed": "apt"}
    wish = {"name": "a", "flavor": "python", "addons": ["editor", "gui"]}
    whole = {layer["target"]: layer for layer in _plan(tree.load(), wish)["layers"]}
    plan = make_plan(tree.load(), [wish], component_files, ["vim", "ed"])
    layers = {layer["target"]: layer for layer in plan["layers"]}
    assert layers["python-editor"]["args"]["LEAVE_OUT"] == "ed vim"
    assert "LEAVE_OUT" not in layers["python"]["args"]
    assert layers["python"] == whole["python"]
    assert layers["python-editor"]["recipe"] != whole["python-editor"]["recipe"]
    # The label is about the whole image, also where a layer above left nothing out itself.
    assert layers["python-editor-gui"]["labels"]["codeopen.left-out"] == "ed vim"
    assert "codeopen.left-out" not in layers["python"]["labels"]


def test_a_workspace_leaves_out_tools_of_its_own(tree: Any) -> None:
    tree.components["flavors/python"]["tools"] = {"uv": "pypi"}
    tree.components["addons/editor"]["tools"] = {"vim": "apt", "ed": "apt"}
    wish = {"flavor": "python", "addons": ["editor", "gui"]}
    wishes = [{"name": "a", **wish}, {"name": "b", "leave_out": ["vim", "ed"], **wish}]
    plan = make_plan(tree.load(), wishes, component_files, ["uv"])
    layers = {layer["target"]: layer for layer in plan["layers"]}
    assert [layers[name]["image"] for name in ("base", "python")] == ["acme-base:1.2.3", "acme-python:1.2.3"]
    own = [name for name in layers if "_without-" in name]
    # The layers below the first that lacks something are shared; what stands on it has its own name too.
    assert [name.partition("_")[0] for name in own] == ["python-editor", "python-editor-gui"]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", name) for name in own)
    assert layers[own[0]]["parent"] == "python"
    assert layers[own[0]]["args"]["LEAVE_OUT"] == "ed vim"
    assert layers["python"]["args"]["LEAVE_OUT"] == "uv"
    assert layers[own[1]]["labels"]["codeopen.left-out"] == "ed uv vim"
    assert layers["python-editor-gui"]["labels"]["codeopen.left-out"] == "uv"
    whole, small = plan["workspaces"]
    assert (whole["leave_out"], small["leave_out"]) == ([], ["ed", "vim"])
    assert whole["image"] == "acme-python-editor-gui:1.2.3"
    assert (small["image"], small["recipe"]) == (layers[own[1]]["image"], layers[own[1]]["recipe"])


def test_the_order_of_tools_to_leave_out_and_those_of_others_do_not_matter(tree: Any) -> None:
    tree.components["flavors/js"]["tools"] = {"npm": "npm"}
    tree.components["addons/editor"]["tools"] = {"vim": "apt", "ed": "apt"}
    wish = {"flavor": "python", "addons": ["editor"]}
    lists = [["vim", "ed"], ["ed", "vim", "vim"], ["npm", "ed", "vim"]]
    wishes = [{"name": f"w{number}", "leave_out": tools, **wish} for number, tools in enumerate(lists)]
    plan = _plan(tree.load(), *wishes, {"name": "all", "leave_out": ["npm"], **wish})
    assert len({workspace["image"] for workspace in plan["workspaces"][:3]}) == 1
    assert plan["workspaces"][3]["image"] == "acme-python-editor:1.2.3"


def test_a_preset_leaves_out_tools_unless_the_workspace_says_otherwise(tree: Any) -> None:
    tree.components["addons/editor"]["tools"] = {"vim": "apt", "ed": "apt"}
    tree.head["presets"] = {"small": {"flavor": "python", "addons": ["editor"], "leave_out": ["vim"]}}
    wishes = [{"name": "a"}, {"name": "b", "leave_out": ["ed"]}, {"name": "c", "leave_out": []}]
    plan = _plan(tree.load(), *({"preset": "small", **wish} for wish in wishes))
    assert [workspace["leave_out"] for workspace in plan["workspaces"]] == [["vim"], ["ed"], []]


def test_mistakes_in_what_a_workspace_leaves_out(tree: Any) -> None:
    tree.components["addons/editor"]["tools"] = {"vim": "apt"}
    wishes = [
        {"name": "a", "flavor": "python", "leave_out": ["vmi", "x"]},
        {"name": "b", "flavor": "python", "leave_out": "vim"},
    ]
    with pytest.raises(PlanError) as refused:
        _plan(tree.load(), *wishes)
    text = str(refused.value)
    assert "workspace 'a': leave_out: unknown tool 'vmi'; did you mean 'vim'" in text
    assert "workspace 'a': leave_out: unknown tool 'x'" in text
    assert "workspace 'b': leave_out: expected a list" in text
    tree.head["presets"] = {"small": {"flavor": "python", "leave_out": ["vmi"]}}
    with pytest.raises(CatalogueError, match=r"presets\.small\.leave_out: unknown tool 'vmi'; did you mean 'vim'"):
        tree.load()


def test_an_unknown_tool_to_leave_out(tree: Any) -> None:
    tree.components["addons/editor"]["tools"] = {"vim": "apt"}
    with pytest.raises(PlanError, match=r"leave_out: .*'vmi'.*did you mean 'vim'"):
        make_plan(tree.load(), [], component_files, ["vmi"])
    with pytest.raises(PlanError, match="leave_out: expected a list of tools, got 'vim'"):
        make_plan(tree.load(), [], component_files, "vim")


def test_a_change_reaches_what_stands_on_it_and_nothing_else(tree: Any) -> None:
    wish = [{"name": "a", "flavor": "python", "addons": ["editor"]}, {"name": "b", "flavor": "js"}]
    before = {layer["target"]: layer for layer in _plan(tree.load(), *wish)["layers"]}
    (tree.root / "flavors/python/new").write_text("x")
    after = {layer["target"]: layer for layer in _plan(tree.load(), *wish)["layers"]}
    changed = {target for target in after if after[target]["recipe"] != before[target]["recipe"]}
    assert changed == {"python", "python-editor"}
    assert set(after["python"]["inputs"]) - set(before["python"]["inputs"]) == {"file new"}
    assert after["python-editor"]["inputs"]["parent python"] != before["python-editor"]["inputs"]["parent python"]


def test_the_workspace_of_a_plan(catalogue: Any) -> None:
    plan = _plan(
        catalogue,
        {
            "name": "demo", "preset": "ide", "address": "0.0.0.0", "environment": {"B": 1, "A": "x"},
            "ports": {"editor": "127.0.0.1:9000", "web": {"container": 3000, "host": 3000}, "opencode": 5000},
            "mounts": [{"source": "/srv/data", "target": "/data", "read_only": True}], "idle_minutes": 60,
        },
    )  # fmt: skip
    workspace = plan["workspaces"][0]
    assert workspace["mounts"] == [{"source": "/srv/data", "target": "/data", "read_only": True}]
    assert workspace["idle_minutes"] == 60
    assert workspace["image"] == "acme-python-editor:1.2.3"
    assert workspace["tier"] == "large"
    assert workspace["cpus"] == 5.0
    assert workspace["environment"] == {"A": "x", "B": "1"}
    assert workspace["ports"] == [
        {"name": "acp", "container": 4097, "host": None, "address": "0.0.0.0"},
        {"name": "editor", "container": 8080, "host": 9000, "address": "127.0.0.1"},
        {"name": "opencode", "container": 4096, "host": 5000, "address": "0.0.0.0"},
        {"name": "web", "container": 3000, "host": 3000, "address": "0.0.0.0"},
    ]
    assert workspace["volumes"] == [
        {"name": "home", "path": "/home/developer"},
        {"name": "workspace", "path": "/workspace"},
    ]


def test_gpus(catalogue: Any) -> None:
    wish = {"name": "a", "flavor": "python", "addons": ["gpu"], "tier": "large"}
    assert _plan(catalogue, wish)["workspaces"][0]["gpus"] == -1
    assert _plan(catalogue, {**wish, "gpus": 2})["workspaces"][0]["gpus"] == 2
    assert _plan(catalogue, {"name": "a", "flavor": "js", "gpus": "all"})["workspaces"][0]["gpus"] == -1
    assert _plan(catalogue, {"name": "a", "flavor": "js", "gpus": "index=0,2"})["workspaces"][0]["gpus"] == ["0", "2"]
    assert _plan(catalogue, {"name": "a", "flavor": "js", "gpus": "none"})["workspaces"][0]["gpus"] == 0


def test_what_components_need_from_the_engine_adds_up(tree: Any) -> None:
    nothing = {"devices": [], "security_opt": [], "privileged": False}
    tree.components["addons/editor"]["runtime"] = {"devices": ["/dev/fuse"], "security_opt": ["seccomp=unconfined"]}
    tree.components["addons/gui"]["runtime"] = {"devices": ["/dev/net/tun", "/dev/fuse"], "privileged": True}
    catalogue = tree.load()
    found = [
        _plan(catalogue, {"name": "a", "flavor": "js", "addons": addons})["workspaces"][0]["runtime"]
        for addons in ([], ["editor"], ["editor", "gui"])
    ]
    assert found == [
        nothing,
        {"devices": ["/dev/fuse"], "security_opt": ["seccomp=unconfined"], "privileged": False},
        {"devices": ["/dev/fuse", "/dev/net/tun"], "security_opt": ["seccomp=unconfined"], "privileged": True},
    ]
    assert _plan(catalogue, {"name": "old", "state": "absent"})["workspaces"][0]["runtime"] == nothing


def test_what_is_absent_needs_only_a_name(catalogue: Any) -> None:
    plan = _plan(catalogue, {"name": "old", "state": "absent"}, {"name": "older", "flavor": "gone", "state": "absent"})
    assert plan["layers"] == []
    assert [workspace["state"] for workspace in plan["workspaces"]] == ["absent", "absent"]


MISTAKES: list[tuple[Any, str]] = [
    ({"flavor": "js"}, r"workspaces\[0\]: name: is missing"),
    ("demo", r"workspaces\[0\]: expected a mapping with name, got 'demo'"),
    ({"name": "a"}, r"workspace 'a': flavor: is missing \(known: fullstack, js, python\)"),
    ({"name": "a", "flavour": "js"}, r"workspace 'a': flavour: unknown key; did you mean 'flavor'\?"),
    ({"name": "a", "flavor": "jss"}, r"workspace 'a': unknown flavor 'jss'; did you mean 'js'\?"),
    ({"name": "a", "flavor": "js", "addons": ["editorr"]}, r"workspace 'a': unknown add-on 'editorr'; did you mean 'editor'\?"),
    ({"name": "a", "flavor": "js", "addons": "editor"}, r"workspace 'a': addons: expected a list, got 'editor'"),
    ({"name": "a", "flavor": "js", "tier": "lage"}, r"workspace 'a': unknown tier 'lage'; did you mean 'large'\?"),
    ({"name": "a", "preset": "idee"}, r"workspace 'a': preset: unknown preset 'idee'; did you mean 'ide'\?"),
    ({"name": "a", "flavor": "js", "addons": ["gpu"], "tier": "large"}, r"workspace 'a': gpu needs flavor python"),
    ({"name": "a", "flavor": "js", "state": "running"}, r"state: expected one of present, started, stopped, restarted, paused, absent, got 'running'"),
    ({"name": "a", "flavor": "js", "ports": {"opencode": 0}}, r"ports.opencode: expected a host port from 1 to 65535"),
    ({"name": "a", "flavor": "js", "ports": {"opencode": 65536}}, r"ports.opencode: expected a host port from 1 to 65535"),
    ({"name": "a", "flavor": "js", "ports": {"opencode": "x:1"}}, r"ports.opencode: expected a host port"),
    ({"name": "a", "flavor": "js", "ports": {"web": 3000}}, r"ports.web: no component has a port of this name; known: acp \(4097\), opencode \(4096\)"),
    ({"name": "a", "flavor": "js", "ports": {"web": {"container": 4096}}}, r"ports.web: container port 4096 belongs to opencode"),
    ({"name": "a", "flavor": "js", "ports": {"opencode": {"container": 1}}}, r"ports.opencode: is container port 4096 and cannot be another"),
    ({"name": "a", "flavor": "js", "environment": {"A-B": "1"}}, r"environment, the key: 'A-B' is not valid"),
    ({"name": "a", "flavor": "js", "environment": {"A": ["1"]}}, r"environment.A: expected a text"),
    ({"name": "a", "flavor": "js", "gpus": "some"}, r"'a': gpus: 'some' is no device"),
    ({"name": "a", "flavor": "js", "mounts": [{"source": "/srv"}]}, r"mounts\[0\].target: is missing"),
    ({"name": "a", "flavor": "js", "mounts": [{"source": "/etc", "target": "/x"}]}, r"'a': mount '/etc': no workspace gets /etc of its host"),
    ({"name": "a", "flavor": "js", "mounts": [{"source": "/srv", "target": "/workspace"}]}, r"is that of volume workspace, too"),
    ({"name": "a", "flavor": "js", "idle_minutes": 0}, r"idle_minutes: expected a whole number from 1 to 525600, got 0"),
    ({"name": "a", "flavor": "js", "aliases": "db"}, r"'a': aliases: expected a list, got 'db'"),
    ({"name": "a", "flavor": "js", "aliases": ["db", "Db"]}, r"'a': aliases\[1\]: 'Db' is not valid; expected a DNS label"),
    ({"name": "a", "flavor": "js", "aliases": [7]}, r"'a': aliases\[0\]: expected a text, got 7"),
    ({"name": "a", "flavor": "js", "limits": {"locked_memory": "all"}}, r"limits.locked_memory: 'all' is not a size; .*, or 'unlimited'"),
    ({"name": "a", "flavor": "js", "limits": {"core_size": -2}}, r"limits.core_size: '-2' is not a size"),
    ({"name": "a", "flavor": "js", "address": "everywhere"}, r"address: 'everywhere' is not valid; expected an IP address"),
]  # fmt: skip


@pytest.mark.parametrize(("workspace", "message"), MISTAKES)
def test_a_mistake_names_the_workspace_and_key(catalogue: Any, workspace: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        _plan(catalogue, workspace)


@pytest.mark.parametrize(
    "name", ["a/b", "..", "a b", "a;b", "$(x)", "A", "a--b", "-a", "a_b", "x" * 41, "", "`id`", "a\nb"]
)
def test_bad_names_are_refused(catalogue: Any, name: str) -> None:
    with pytest.raises(PlanError, match="is not a workspace's name; expected lower-case letters"):
        _plan(catalogue, {"name": name, "flavor": "js"})


def test_a_bad_name_is_answered_with_a_good_one(catalogue: Any) -> None:
    with pytest.raises(PlanError, match="'my-shop-1' would do"):
        _plan(catalogue, {"name": "My Shop/1", "flavor": "js"})


def test_all_mistakes_of_a_list_are_in_one_message(catalogue: Any) -> None:
    with pytest.raises(PlanError) as caught:
        _plan(
            catalogue,
            *({**mistake[0], "name": f"a{number}"} for number, mistake in enumerate(MISTAKES[2:6])),
            {"name": "twin", "flavor": "js"},
            {"name": "twin", "flavor": "js"},
            {"name": "p", "flavor": "js", "ports": {"opencode": 7000}},
            {"name": "q", "flavor": "js", "ports": {"acp": "0.0.0.0:7000"}},
        )
    text = str(caught.value)
    assert text.startswith("7 mistakes in the list of workspaces:")
    assert "workspace 'twin': is listed twice" in text
    assert "host port 7000 is asked for by both p (opencode) and q (acp)" in text


def test_an_alias_leads_to_one_workspace(catalogue: Any) -> None:
    wish = {"flavor": "js", "owner": "ada"}
    db = {**wish, "name": "a", "aliases": ["web", "db", "db", "a"]}
    plan = _plan(catalogue, db, {**wish, "name": "db", "owner": "bob"}, {**wish, "name": "b"})
    assert [workspace["aliases"] for workspace in plan["workspaces"]] == [["db", "web"], [], []]
    with pytest.raises(PlanError) as refused:
        _plan(catalogue, db, {**wish, "name": "db"}, {**wish, "name": "b", "aliases": ["web"]})
    text = str(refused.value)
    assert "workspace 'a': aliases: 'db' is what workspace 'db' of the same owner is called\n" in text + "\n"
    assert "workspace 'b': aliases: 'web' is an alias of workspace 'a' of the same owner, too" in text


def test_limits_of_processes(tree: Any) -> None:
    tree.head["tiers"]["large"]["limits"] = {"locked_memory": "unlimited", "core_size": "1GiB"}
    wish = {"name": "a", "flavor": "js", "tier": "large", "limits": {"core_size": -1}}
    assert _plan(tree.load(), wish)["workspaces"][0]["limits"] == {"locked_memory": -1, "core_size": -1}
    wish["limits"] = {"locked_memory": "64MiB"}
    assert _plan(tree.load(), wish)["workspaces"][0]["limits"] == {"locked_memory": 64 * 1024**2, "core_size": 1024**3}


def test_one_host_port_on_two_addresses_is_no_clash(catalogue: Any) -> None:
    ports = ["127.0.0.1:7000", "127.0.0.2:7000"]
    wishes = [{"name": f"w{number}", "flavor": "js", "ports": {"opencode": port}} for number, port in enumerate(ports)]
    assert len(_plan(catalogue, *wishes)["workspaces"]) == 2


@given(st.permutations(["editor", "gui"]), st.sampled_from(["js", "python", "fullstack"]))
def test_any_order_of_addons_gives_one_plan(catalogue: Any, addons: list[str], flavor: str) -> None:
    one = _plan(catalogue, {"name": "a", "flavor": flavor, "addons": addons})
    assert one == _plan(catalogue, {"name": "a", "flavor": flavor, "addons": sorted(addons)})


def test_pools_are_planned_like_workspaces(catalogue: Any) -> None:
    pools = [
        {"name": "ide", "size": 3, "preset": "ide", "idle_minutes": 30, "ports": {"web": {"container": 3000}}, "aliases": ["db"]}
    ]  # fmt: skip
    plan = make_plan(catalogue, [{"name": "a", "flavor": "js"}], component_files, pools=pools)
    (pool,) = plan["pools"]
    assert (pool["name"], pool["size"]) == ("ide", 3)
    alone = {key: value for key, value in pools[0].items() if key != "size"}
    (alike,) = _plan(catalogue, {**alone, "owner": "pool-ide"})["workspaces"]
    assert pool["workspace"] == alike
    assert [layer["target"] for layer in plan["layers"]] == ["base", "js", "python", "python-editor"]


POOL_MISTAKES: list[tuple[Any, str]] = [
    ("py", r"pools: expected a list of pools, got 'py'"),
    (["py"], r"pools\[0\]: expected a mapping with name, got 'py'"),
    ([{"size": 1, "flavor": "js"}], r"pools\[0\]: name: is missing"),
    ([{"name": "p", "flavor": "js"}], r"pool 'p': size: is missing"),
    ([{"name": "p", "size": -1, "flavor": "js"}], r"pool 'p': size: expected a whole number from 0 to 1000, got -1"),
    ([{"name": "p", "size": 1, "flavor": "jss"}], r"pool 'p': unknown flavor 'jss'; did you mean 'js'\?"),
    ([{"name": "p", "size": 1, "flavour": "js"}], r"pool 'p': flavour: unknown key; did you mean 'flavor'\?"),
    ([{"name": "p", "size": 1, "flavor": "js", "ports": {"web": 80}}], r"pool 'p': ports.web: host port 80 can be that of one workspace only"),
    ([{"name": "p", "size": 1, "flavor": "js", "ports": {"web": {"container": 4096}}}], r"pool 'p': ports.web: container port 4096 belongs to opencode"),
    ([{"name": "p", "size": 1, "flavor": "js", "state": "stopped"}], r"pool 'p': state: members of a pool are started"),
    ([{"name": "p", "size": 1, "flavor": "js", "owner": "ada"}], r"pool 'p': owner: members of a pool get their owner when"),
    ([{"name": "P_", "size": 1, "flavor": "js"}], r"'P_' is not a pool's name; .*'p' would do"),
    ([{"name": "p" * 35, "size": 1, "flavor": "js"}], r"its name is longer than 34 characters"),
    ([{"name": "p", "size": 1, "flavor": "js"}] * 2, r"pool 'p': is listed twice"),
    ([{"name": "shop", "size": 1, "flavor": "js"}], r"workspace 'shop-1': members of pool 'shop' are called so"),
]  # fmt: skip


@pytest.mark.parametrize(("pools", "message"), POOL_MISTAKES)
def test_a_mistake_names_the_pool_and_key(catalogue: Any, pools: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make_plan(catalogue, [{"name": "shop-1", "flavor": "js"}], component_files, pools=pools)


def test_a_workspace_called_like_a_member_can_be_removed(catalogue: Any) -> None:
    pools = [{"name": "shop", "size": 1, "flavor": "js"}]
    plan = make_plan(catalogue, [{"name": "shop-1", "state": "absent"}], component_files, pools=pools)
    assert [workspace["name"] for workspace in plan["workspaces"]] == ["shop-1"]
