# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Swarm of three real engines, which the role cluster forms."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from swarm_cluster import Cluster, Services
from swarm_machines import machines

HERE = Path(__file__).parent
GPUS = ["NVIDIA-GPU=GPU-aaaa", "NVIDIA-GPU=GPU-bbbb"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Three engines take longer than `make test` has."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("hosts")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three machines in one Swarm: ``m1`` manages, ``w1`` has two GPUs, ``w2`` has the label ``disk``."""
    prefix = f"c{secrets.token_hex(2)}"
    with machines(prefix, "m1", "w1", "w2", config={"w1": {"node-generic-resources": GPUS}}) as made:
        formed = Cluster(made, tmp_path_factory.mktemp("cluster"))
        formed.variables["w1"]["cluster_generic_resources"] = GPUS
        formed.variables["w2"]["codeopen_swarm_labels"] = {"disk": "ssd"}
        formed.checked = formed.play("cluster", "--check")
        formed.first = formed.form("-vvv", "--diff")
        yield formed


@pytest.fixture
def services(cluster: Cluster, tmp_path: Path) -> Iterator[Services]:
    made = Services(cluster, tmp_path)
    yield made
    made.clean()
