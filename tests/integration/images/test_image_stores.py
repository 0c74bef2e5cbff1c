# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_build on both of Docker's image stores: overlay2, and containerd's, which new engines have."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from own_engine import CONTAINERD_STORE, OwnEngine, own_engine

pytestmark = pytest.mark.engine
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
LAYERS = {
    "overlay2": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "containerd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
STORES = {"overlay2": {"storage-driver": "overlay2"}, "containerd": CONTAINERD_STORE}


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest) -> Iterator[tuple[str, OwnEngine]]:
    """The name of an image store, and an engine that has it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts an engine")
    with own_engine(configuration=STORES[request.param]) as engine:
        yield request.param, engine


def states(result: dict[str, Any]) -> dict[str, str]:
    return {layer["target"]: layer["state"] for layer in result["layers"]}


def layer_types(address: str, repository: str, reference: str) -> list[str]:
    """The media types of an image's layers in a registry."""
    request = urllib.request.Request(
        f"http://{address}/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(INDEXES + MANIFESTS)}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found = json.load(answer)
    if found["mediaType"] in INDEXES:
        return layer_types(address, repository, found["manifests"][0]["digest"])
    return [layer["mediaType"] for layer in found["layers"]]


def test_built_pushed_and_left_alone(
    maker: Any, module: Any, registry: Any, client: Any, store: tuple[str, OwnEngine]
) -> None:
    name, engine = store
    maker.layer("base", None, "RUN echo hello > /hello\nHEALTHCHECK CMD /bin/cat /hello")
    maker.layer("one", "base", "RUN echo one > /one")
    there = {"docker_host": engine.url}
    plan = maker.plan()
    assert states(module.run(plan, **there)) == {"base": "built", "one": "built"}
    again = module.run(plan, **there)
    assert not again["changed"]
    assert states(again) == {"base": "up_to_date", "one": "up_to_date"}

    maker.layer("two", "one", "RUN cat /hello /one > /two")
    plan = maker.plan()
    more = module.run(plan, **there)
    assert states(more) == {"base": "up_to_date", "one": "up_to_date", "two": "built"}
    builder = docker.DockerClient(base_url=engine.url, version="auto")
    said = builder.containers.run(maker.image("two"), ["/bin/cat", "/two"], remove=True, network_mode="none")
    builder.close()
    assert said == b"hello\none\n"

    pushed = f"{registry.address}/{maker.prefix}-two:1"
    for command in (["tag", maker.image("two"), pushed], ["push", "--quiet", pushed]):
        subprocess.run(["docker", "--host", engine.url, *command], check=True, capture_output=True)
    types = layer_types(registry.address, f"{maker.prefix}-two", "1")
    # The base's own layer stays as it came.
    assert types[1:] == [LAYERS[name]] * 3
    # Another engine, with the store that it has, takes it with all that it says.
    subprocess.run(["docker", "pull", "--quiet", pushed], check=True, capture_output=True)
    config = client.api.inspect_image(pushed)["Config"]
    assert config["Healthcheck"]["Test"] == ["CMD-SHELL", "/bin/cat /hello"]
    assert config["Labels"]["codeopen.recipe"] == plan["layers"][-1]["recipe"]
    assert client.containers.run(pushed, ["/bin/cat", "/two"], remove=True, network_mode="none") == said
