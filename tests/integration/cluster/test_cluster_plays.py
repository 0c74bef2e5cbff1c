# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook and the roles decide before any engine is asked: which GPUs are offered, and who deploys.

Ansible runs the playbook and the tasks as they are, in a collection whose other roles only note what they are told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GPU = {"index": 0, "model": "Some", "uuid": "GPU-aaaa", "mig": []}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A collection with this one's plugins and the role cluster's first task, which tells the engine what it offers."""
    made = tmp_path / "collections" / "ansible_collections" / "codeopen" / "workspaces"
    made.mkdir(parents=True)
    for part in ("plugins", "meta", "galaxy.yml"):
        (made / part).symlink_to(ROOT / part)
    role(made, "engine", [])
    role(made, "images", [], plan=[{"name": "Plan", "set_fact": {"codeopen_plan": "{{ test_plan }}"}}])
    role(made, "nvidia", [{"name": "Look", "set_fact": {"nvidia_gpus": "{{ test_gpus }}"}}])
    offer = yaml.safe_load((ROOT / "roles/cluster/tasks/main.yml").read_text())[:1]
    assert "node-generic-resources" in str(offer)
    role(made, "cluster", offer)
    for part in ("defaults", "meta"):
        (made / "roles" / "cluster" / part).symlink_to(ROOT / "roles/cluster" / part)
    return made


def role(collection: Path, name: str, main: list[dict[str, Any]], **others: list[dict[str, Any]]) -> None:
    """A role of a few tasks."""
    folder = collection / "roles" / name / "tasks"
    folder.mkdir(parents=True)
    for file, tasks in {"main": main, **others}.items():
        (folder / f"{file}.yml").write_text(json.dumps(tasks))


def play(playbook: Path, groups: dict[str, Any], collections: Path, folder: Path) -> str:
    """What Ansible says, failed or not."""
    inventory = folder / "inventory.json"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"all": {"vars": local, "children": groups}}))
    environment = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(collections))
    environment.update(ANSIBLE_NOCOLOR="1", ANSIBLE_LOCAL_TEMP=str(folder / "temp"))
    command = ["ansible-playbook", "-i", str(inventory), str(playbook)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.stdout + done.stderr


def test_the_playbook_offers_the_gpus_that_there_are_until_they_are_gone(collection: Path, tmp_path: Path) -> None:
    asks = {"workspaces": [{"name": "a", "gpus": 1}], "pools": []}
    asks_not: dict[str, Any] = {"workspaces": [{"name": "a", "gpus": 0}], "pools": []}
    files = {name: tmp_path / f"{name}.json" for name in ("plain", "rich")}
    # What somebody else configured stays.
    for file in files.values():
        file.write_text('{"labels": ["a=b"]}')

    def offered(plan: dict[str, Any], gpus: list[Any], group: str = "others") -> dict[str, Any]:
        given = {
            name: {
                "test_plan": plan,
                "test_gpus": gpus if name == "rich" else [],
                "cluster_daemon_config_file": str(file),
                "cluster_state_dir": str(tmp_path / "state" / name),
                "cluster_apply": "none",
            }
            for name, file in files.items()
        }
        groups = {"codeopen": {"hosts": given}, group: {"hosts": {"rich": {}}}}
        said = play(ROOT / "playbooks" / "cluster.yml", groups, collection.parents[2], tmp_path)
        assert "failed=0" in said, said
        assert "failed=1" not in said, said
        found = {name: json.loads(file.read_text()) for name, file in files.items()}
        assert all(config["labels"] == ["a=b"] for config in found.values())
        return {name: config.get("node-generic-resources") for name, config in found.items()}

    mine = {"plain": None, "rich": ["NVIDIA-GPU=GPU-aaaa"]}
    assert offered(asks_not, [GPU], group="gpu") == mine
    # Nobody looks for GPUs: that says nothing about those that are offered.
    assert offered(asks_not, []) == mine
    assert offered(asks, []) == {"plain": None, "rich": None}


CHOICE = ("Stop at what only hosts of their own have", "Note which host does", "Choose the manager to deploy from")
HEALTHY = {"ControlAvailable": True, "Error": ""}
CUT_OFF = {"ControlAvailable": True, "Error": "rpc error: The swarm does not have a leader"}
WORKER = {"ControlAvailable": False}
# Each is a play: what its hosts' engines say, and who is to be chosen.
PLAYS = {
    "a": ([WORKER, CUT_OFF, HEALTHY, HEALTHY], "a2"),
    "b": ([WORKER, CUT_OFF], "b1"),
    "c": ([WORKER, WORKER], "c0"),
    "d": ([HEALTHY, HEALTHY], ""),
}
# Of hosts of the last one, which are refused for it.
REFUSED: dict[str, Any] = {"d0": {"workspaces_canary": 2}, "d1": {"workspaces_max_failures": "3"}}


def test_who_deploys_is_a_manager_that_has_the_others(tmp_path: Path) -> None:
    tasks = yaml.safe_load((ROOT / "roles/workspaces/tasks/swarm.yml").read_text())
    chosen = [task for task in tasks if task["name"] in CHOICE]
    assert len(chosen) == len(CHOICE)
    say = {"name": "Say it", "debug": {"msg": "chosen: {{ workspaces_manager }}"}}
    play_of = {"gather_facts": False, "tasks": [*chosen, say]}
    playbook = tmp_path / "playbook.json"
    playbook.write_text(json.dumps([{"name": f"Play {name}", "hosts": name, **play_of} for name in PLAYS]))
    groups = {}
    for name, (engines, _chosen) in PLAYS.items():
        found = {
            f"{name}{index}": {"workspaces_engine": {"host_info": {"Swarm": engine}}}
            for index, engine in enumerate(engines)
        }
        none = {"workspaces_canary": 0, "workspaces_max_failures": 0}
        groups[name] = {"hosts": {host: {**none, **facts, **REFUSED.get(host, {})} for host, facts in found.items()}}
    said = play(playbook, groups, ROOT / ".collections", tmp_path)
    parts = said.split("PLAY [Play ")[1:]
    assert [part[0] for part in parts] == list(PLAYS), said
    for part in parts[:-1]:
        assert f"chosen: {PLAYS[part[0]][1]}" in part, part
    assert "chosen" not in parts[-1]
    assert parts[-1].count("FAILED! =>") == len(REFUSED)
    assert "are not for a Swarm" in parts[-1]
