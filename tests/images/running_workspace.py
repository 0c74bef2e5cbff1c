# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workspace's container as the tests of the catalogue start it: secrets, a home volume, a random name."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.recipe import layer_inputs, short_inputs
from ansible_collections.codeopen.workspaces.plugins.module_utils.resolve import WITHOUT
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import component_files, find_catalogue

SECRETS = "/run/codeopen/secrets"
# A guard against waiting for ever, far above what a loaded machine needs.
START_SECONDS = 600


def docker(*arguments: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the docker client; with ``check``, a failure shows what it wrote."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def image_of(component: str) -> str:
    """Give the image to test a component in, or skip.

    That is ``CODEOPEN_IMAGE_<COMPONENT>``, else the smallest image whose topmost layer is the component as it is now:
    one that holds more may need what the component alone does not. Images that leave out tools of their own do not count.
    With ``CODEOPEN_REQUIRE_IMAGES=1`` a missing image fails.
    """
    variable = f"CODEOPEN_IMAGE_{component.upper().replace('-', '_')}"
    wanted = os.environ.get(variable)
    if wanted:
        docker("image", "inspect", wanted)
        return wanted
    found = []
    if shutil.which("docker"):
        # By name, for a Dockerfile cannot say FROM and an id.
        listed = docker(
            "image", "ls", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}", "--filter", f"label=codeopen.component={component}"
        ).stdout.splitlines()
        named = [image if name.startswith("<none>") else name for image, name in map(str.split, listed)]
        found = [image for image in named if WITHOUT not in image and _is_up_to_date(image, component)]
    if found:
        return min(found, key=lambda image: int(docker("image", "inspect", "--format", "{{.Size}}", image).stdout))
    reason = f"no image of component {component} on this engine: build one, or name it in {variable}"
    if os.environ.get("CODEOPEN_REQUIRE_IMAGES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _is_up_to_date(image: str, name: str) -> bool:
    """Whether the topmost layer was made of the files, arguments and environment that the component has now."""
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image).stdout)
    catalogue = find_catalogue()
    component = {**catalogue.flavors, **catalogue.addons, "base": catalogue.base}[name]
    inputs = layer_inputs(component_files(component), component.args, component.environment, {}, "", "")
    made_of = json.loads(labels.get("codeopen.inputs", "{}"))
    return all(
        made_of.get(what) == digest
        for what, digest in short_inputs(inputs).items()
        if what == "environment" or what.startswith(("file ", "argument "))
    )


def network_settings() -> str:
    """The network file of the tests: what the host itself uses to get out."""
    lines = [
        f"{name}={os.environ[name]}\n" for name in ("http_proxy", "https_proxy", "no_proxy") if os.environ.get(name)
    ]
    bundle = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    return "".join(lines) + (bundle.read_text() if bundle.is_file() else "")


def moment(text: str) -> float:
    """Seconds since the epoch of a time as the engine writes it: ``2026-01-31T12:00:00.123456789Z``, always in UTC here."""
    day, rest = text[:19], text[19:]
    fraction = re.match(r"\.\d+", rest)
    return datetime.fromisoformat(f"{day}+00:00").timestamp() + float(fraction.group() if fraction else 0)


def healthy_after(container: str) -> float:
    """Seconds from a container's creation to the end of its first healthy check.

    :raises AssertionError: it was never healthy.
    """
    about = json.loads(docker("inspect", container).stdout)[0]
    for check in about["State"]["Health"]["Log"]:
        if check["ExitCode"] == 0:
            return moment(check["End"]) - moment(about["Created"])
    raise AssertionError(f"{container} was never healthy: {about['State']['Health']['Log']}")


class RunningWorkspace:
    """A container of one image, healthy when the tests get it."""

    def __init__(self, name: str, secrets_dir: Path) -> None:
        self.name = name
        self.secrets_dir = secrets_dir

    def run(self, script: str, *, check: bool = True, workdir: str = "/workspace") -> subprocess.CompletedProcess[str]:
        """Run a bash script as the user."""
        return docker("exec", "--workdir", workdir, self.name, "bash", "-euo", "pipefail", "-c", script, check=check)

    def write(self, path: str, text: str) -> None:
        """Write a file as the user, with the folders above it."""
        docker("exec", "-i", self.name, "sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path, stdin=text)

    def write_secret(self, name: str, text: str) -> None:
        """Put a file into the secrets directory, as the host's administrator would."""
        fresh = self.secrets_dir / f"{name}.new"
        fresh.write_text(text)
        os.chown(fresh, 1000, 1000)
        fresh.chmod(0o400)
        fresh.replace(self.secrets_dir / name)

    def logs(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            state = json.loads(docker("inspect", "--format", "{{json .State}}", self.name).stdout)
            if state["Status"] == "running" and state["Health"]["Status"] == "healthy":
                return
            if state["Status"] != "running" or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} is {state['Status']}: {state['Health']['Log'][-1:]}\n{self.logs()}")
            time.sleep(0.5)


def engine_options(entry: dict[str, Any]) -> list[str]:
    """The options of ``docker run`` for what a plan's workspace needs of the engine, beside its home volume."""
    options = [f"--device={device}:{device}:rw" for device in entry["runtime"]["devices"]]
    options += [f"--security-opt={option}" for option in entry["runtime"]["security_opt"]]
    return options + [f"--volume={volume['path']}" for volume in entry["volumes"] if volume["name"] != "home"]


@contextmanager
def running_workspace(image: str, directory: Path, *options: str) -> Iterator[RunningWorkspace]:
    """Start a workspace of the image and wait until it is healthy; it and its volume go in the end.

    :param directory: an empty folder for the secrets.
    :param options: further options of ``docker run``.
    """
    if os.geteuid() != 0:
        pytest.skip("needs root: the files of the secrets directory belong to uid 1000")
    name = f"codeopen-test-{secrets.token_hex(4)}"
    workspace = RunningWorkspace(name, directory)
    workspace.write_secret("password", secrets.token_urlsafe(24) + "\n")
    workspace.write_secret("network", network_settings())
    os.chown(directory, 1000, 1000)
    directory.chmod(0o500)
    docker("volume", "create", f"{name}-home")
    try:
        docker(
            "run", "--detach", "--name", name, "--volume", f"{directory}:{SECRETS}:ro",
            "--volume", f"{name}-home:/home/developer", *options, image,
        )  # fmt: skip
        workspace.wait_until_healthy()
        yield workspace
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("volume", "rm", "--force", f"{name}-home", check=False)
