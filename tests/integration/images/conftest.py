# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of tiny components on a tiny base, a registry on loopback, and playbooks that build them on the real engine."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import yaml
from ansible_collections.codeopen.workspaces.plugins.module_utils import context_archive, recipe
from local_registry import local_registry

ROOT = Path(__file__).resolve().parents[3]
COLLECTIONS = ROOT / ".collections"
PLAYBOOK = """\
---
- name: Build
  hosts: all
  gather_facts: false
  tasks:
    - name: Build the images
      codeopen.workspaces.image_build: "{{ arguments }}"
      check_mode: "{{ check }}"
      register: built
      ignore_errors: true
    - name: Keep the result
      ansible.builtin.copy:
        content: "{{ built | to_json }}"
        dest: "{{ result_file }}"
        mode: "0600"
      delegate_to: localhost
"""


def need(tool: str, package: str) -> str:
    """Give the path of a program, or skip the test and say what to install."""
    path = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/bin")
    if path is None:
        pytest.skip(f"needs {tool} (package {package})")
    return path


@pytest.fixture(name="need")
def need_fixture() -> Callable[[str, str], str]:
    return need


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def prefix(client: Any) -> Iterator[str]:
    """A random prefix of image names; what carries it is removed in the end."""
    prefix = f"test{secrets.token_hex(4)}"
    yield prefix
    for image in client.api.images():
        for name in [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]:
            if name.startswith(f"{prefix}-") or f"/{prefix}-" in name:
                with contextlib.suppress(docker.errors.ImageNotFound):
                    client.api.remove_image(name, force=True)
    # Images that lost their names to newer ones; children first, so that no parent is in use.
    nameless = client.api.images(filters={"label": f"codeopen.test={prefix}"})
    for image in sorted(nameless, key=lambda image: -len(client.api.history(image["Id"]))):
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.api.remove_image(image["Id"], force=True)


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a shell and nothing else."""
    busybox = need("busybox", "busybox-static")
    directory = tmp_path_factory.mktemp("rootfs")
    (directory / "bin").mkdir()
    (directory / "tmp").mkdir()
    shutil.copy(busybox, directory / "bin" / "busybox")
    for name in ("sh", "cat", "echo", "sleep", "false", "ls", "mkdir"):
        (directory / "bin" / name).symlink_to("busybox")
    return directory


@dataclasses.dataclass
class Registry:
    """A registry on loopback with one base image in it."""

    address: str
    repository: str
    digest: str

    @property
    def reference(self) -> str:
        return f"{self.address}/{self.repository}"


@pytest.fixture
def registry(client: Any, prefix: str, rootfs: Path, tmp_path: Path) -> Iterator[Registry]:
    program = need("docker-registry", "docker-registry")
    with local_registry(program, tmp_path) as address:
        repository = f"{prefix}-debian"
        name = f"{address}/{repository}:1"
        tar = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], check=True, capture_output=True).stdout
        # A file of its own gives each test a base of its own.
        subprocess.run(["docker", "import", "--change", f"ENV MARK={prefix}", "-", name], input=tar, check=True)
        subprocess.run(["docker", "push", "--quiet", name], check=True)
        found = client.api.inspect_image(name)["RepoDigests"]
        digest = [entry.split("@")[1] for entry in found if entry.startswith(address)][0]  # noqa: RUF015
        client.api.remove_image(name, force=True)
        yield Registry(address, repository, digest)


class PlanMaker:
    """Makes component folders and plans of them, in the shape that the filter gives them."""

    def __init__(self, directory: Path, prefix: str, base_image: dict[str, Any]) -> None:
        self.directory = directory
        self.prefix = prefix
        self.base_image = base_image
        self.layers: list[dict[str, Any]] = []

    def image(self, target: str) -> str:
        return f"{self.prefix}-{target}:1"

    def layer(self, target: str, parent: str | None, run: str, **more: Any) -> None:
        """Add a layer whose Dockerfile has the lines ``run``."""
        folder = self.directory / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\n{run}\n")
        for path, text in more.pop("files", {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self.layers.append(
            {
                "target": target,
                "image": self.image(target),
                "component": target,
                "kind": "base" if parent is None else "addon",
                "parent": parent,
                "context": str(folder),
                "args": {},
                "environment": {},
                "labels": {"codeopen.test": self.prefix},
                **more,
            }
        )

    def plan(self, *images: str) -> dict[str, Any]:
        """Reckon recipes as the files are now; ``images`` are the targets that workspaces want, or all."""
        done: dict[str, dict[str, Any]] = {}
        for layer in copy.deepcopy(self.layers):
            folder = Path(layer["context"])
            layer["files"] = {
                str(path.relative_to(folder)): {
                    "mode": f"{path.stat().st_mode & 0o777:04o}",
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
            parent = layer["parent"]
            inputs = recipe.layer_inputs(
                layer["files"],
                layer["args"],
                layer["environment"],
                layer["labels"],
                parent or "image",
                done[parent]["recipe"] if parent else recipe.base_image_digest(self.base_image),
            )
            layer.update(recipe=recipe.recipe(inputs), inputs=recipe.short_inputs(inputs))
            done[layer["target"]] = layer
        return {
            "version": "1",
            "base_image": self.base_image,
            "layers": list(done.values()),
            "workspaces": [{"name": name, "image": self.image(name)} for name in images or done],
        }


@pytest.fixture
def base_image(registry: Registry) -> dict[str, Any]:
    # The suite is the test's own, so that the base's name on the host is, too.
    return {
        "digest": registry.digest,
        "references": [registry.reference],
        "timeout": 20,
        "retries": 0,
        "archive": {"suite": registry.repository, "variant": "minbase", "packages": [], "mirror": ""},
    }


@pytest.fixture
def maker(tmp_path: Path, prefix: str, base_image: dict[str, Any], client: Any) -> Iterator[PlanMaker]:
    yield PlanMaker(tmp_path / "images", prefix, base_image)
    for image in client.api.images("codeopen-debian"):
        for tag in image.get("RepoTags") or ():
            if tag.startswith(f"codeopen-debian:{base_image['archive']['suite']}"):
                client.api.remove_image(tag, force=True)


@dataclasses.dataclass
class Finished:
    """A playbook that ended: the module's result and all that was printed."""

    result: dict[str, Any]
    output: str


class Playbook:
    """Runs the module through ansible-playbook, as people do."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        self.directory = directory
        self.state_dir = state_dir
        self.number = 0

    def start(self, plan: dict[str, Any], check: bool = False, **arguments: Any) -> subprocess.Popen[str]:
        self.number += 1
        (self.directory / "playbook.yml").write_text(PLAYBOOK)
        (self.directory / "inventory.yml").write_text(
            yaml.safe_dump(
                {
                    "all": {
                        "hosts": {
                            "localhost": {
                                "ansible_connection": "local",
                                "ansible_python_interpreter": sys.executable,
                            }
                        }
                    }
                }
            )
        )
        arguments = {"plan": plan, "state_dir": str(self.state_dir), **arguments}
        variables = {"arguments": arguments, "check": check, "result_file": str(self.result_file)}
        (self.directory / f"variables{self.number}.json").write_text(json.dumps(variables))
        environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS), ANSIBLE_NOCOLOR="1")
        environment["ANSIBLE_LOCAL_TEMP"] = environment["ANSIBLE_REMOTE_TEMP"] = str(self.directory / "tmp")
        return subprocess.Popen(
            [
                # Whoever runs the tests in the background has it ignore Ctrl-C, and all its children with it.
                "env",
                "--default-signal=INT",
                str(Path(sys.executable).with_name("ansible-playbook")),
                *("-i", str(self.directory / "inventory.yml"), "--diff", "-v"),
                *("-e", f"@{self.directory}/variables{self.number}.json", str(self.directory / "playbook.yml")),
            ],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def result_file(self) -> Path:
        return self.directory / f"result{self.number}.json"

    def run(self, plan: dict[str, Any], check: bool = False, **arguments: Any) -> Finished:
        process = self.start(plan, check, **arguments)
        output = process.communicate()[0]
        assert self.result_file.exists(), output
        return Finished(json.loads(self.result_file.read_text()), output)


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    directory = tmp_path / "playbook"
    directory.mkdir()
    return Playbook(directory, tmp_path / "state")


class Module:
    """Runs the module as a process of its own, with the contexts that the action would have sent."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state_dir = directory / "state"
        self.number = 0

    def start(self, plan: dict[str, Any], **arguments: Any) -> subprocess.Popen[str]:
        self.number += 1
        contexts = self.directory / f"contexts{self.number}.tar"
        with open(contexts, "wb") as stream:
            context_archive.write_archive(plan["layers"], stream)
        arguments = {"plan": plan, "state_dir": str(self.state_dir), "contexts": str(contexts), **arguments}
        file = self.directory / f"arguments{self.number}.json"
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        return subprocess.Popen(
            [sys.executable, str(ROOT / "plugins" / "modules" / "image_build.py"), str(file)],
            env=dict(os.environ, PYTHONPATH=str(COLLECTIONS), TMPDIR=str(self.directory)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @staticmethod
    def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
        output = process.communicate()[0]
        lines = [line for line in output.splitlines() if line.startswith("{")]
        assert lines, output
        result: dict[str, Any] = json.loads(lines[-1])
        return result

    def run(self, plan: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        return self.finish(self.start(plan, **arguments))

    def wait_for_log(self, text: str) -> Path:
        """Wait until a log of a run says ``text``."""
        while True:
            for path in (self.state_dir / "logs").glob("*.log"):
                if text in path.read_text():
                    return path
            time.sleep(0.1)


@pytest.fixture
def module(tmp_path: Path) -> Module:
    directory = tmp_path / "module"
    directory.mkdir()
    return Module(directory)
