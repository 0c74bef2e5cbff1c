# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong, made to go wrong for real: clear words, nothing left behind, and the next run finishes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_engine import OwnEngine, own_engine

pytestmark = pytest.mark.engine


@pytest.fixture
def small_engine(tmp_path: Path) -> Iterator[OwnEngine]:
    """An engine whose disk is small."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts an engine")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(disk)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with own_engine(disk) as engine:
            yield engine
    finally:
        subprocess.run(["umount", disk], check=True)


def left_behind(module: Any) -> list[str]:
    return [path.name for path in module.directory.glob("codeopen-build-*")]


def test_a_failing_step(maker: Any, playbook: Any, client: Any) -> None:
    maker.layer("base", None, "RUN echo hello")
    maker.layer("one", "base", "RUN echo fine\nRUN for i in 1 2 3; do echo line $i; done; echo broken >&2; exit 7")
    failed = playbook.run(maker.plan())
    message = failed.result["msg"]
    assert "Layer one failed at step 2/3 RUN for i in 1 2 3;" in message
    assert "exit code 7" in message
    # The engine reads the two streams of a step independently.
    assert "    line 3\n" in message
    assert "    broken\n" in message
    assert failed.result["log_path"] in message
    assert Path(failed.result["log_path"]).read_text().count("one| broken") == 1
    # What was finished stays, and the next run builds only the rest.
    (Path(maker.layers[1]["context"]) / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo fine\n")
    mended = playbook.run(maker.plan("one"))
    assert {layer["target"]: layer["state"] for layer in mended.result["layers"]}["one"] == "built"


def test_a_dockerfile_that_cannot_be_read(maker: Any, module: Any) -> None:
    maker.layer("base", None, "RUNN oops")
    message = module.run(maker.plan())["msg"]
    assert message.startswith("Layer base failed: ")
    assert "unknown instruction: RUNN" in message


def test_a_missing_dockerfile_and_a_changed_file(maker: Any, playbook: Any) -> None:
    maker.layer("base", None, "RUN echo hello", files={"file": "one"})
    plan = maker.plan()
    folder = Path(maker.layers[0]["context"])
    (folder / "file").write_text("two")
    changed = playbook.run(plan)
    assert f"{folder}/file has changed since the plan was made" in changed.result["msg"]
    (folder / "Dockerfile").unlink()
    missing = playbook.run(plan)
    assert f"component base: {folder}/Dockerfile is missing" in missing.result["msg"]
    assert not (playbook.state_dir / "logs").exists()


def test_no_engine(maker: Any, module: Any, tmp_path: Path) -> None:
    maker.layer("base", None, "RUN echo hello")
    dead = f"unix://{tmp_path}/none.sock"
    result = module.run(maker.plan(), docker_host=dead)
    assert f"No Docker Engine answers at {dead}" in result["msg"]


def test_no_buildx(maker: Any, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    docker = fake / "docker"
    docker.write_text("#!/bin/sh\necho \"docker: 'buildx' is not a docker command.\" >&2\nexit 1\n")
    docker.chmod(0o755)
    maker.layer("base", None, "RUN echo hello")
    plan = maker.plan()
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    result = module.run(plan)
    assert "docker buildx is missing on this host" in result["msg"]
    assert "is not a docker command" in result["msg"]
    assert not left_behind(module)


def test_no_space_for_the_log(maker: Any, module: Any) -> None:
    maker.layer(
        "base", None, "RUN i=0; while [ $i -lt 4000 ]; do echo a long line of output number $i; i=$((i+1)); done"
    )
    module.state_dir.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(module.state_dir)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        result = module.run(maker.plan())
    finally:
        subprocess.run(["umount", str(module.state_dir)], check=True)
    assert f"no space left on the disk of {module.state_dir}/logs" in result["msg"]
    assert not left_behind(module)


def test_no_space_for_the_engine(maker: Any, module: Any, small_engine: OwnEngine) -> None:
    maker.layer("base", None, "COPY small /small", files={"small": "small"})
    maker.layer("big", "base", "COPY big /big", files={"big": "x" * 60_000_000})
    full = module.run(maker.plan(), docker_host=small_engine.url)
    assert full["failed"]
    assert f"There is no space left on the disk of {small_engine.data}" in full["msg"]
    assert not left_behind(module)
    subprocess.run(["mount", "-o", "remount,size=1g", small_engine.data], check=True)
    more = module.run(maker.plan(), docker_host=small_engine.url)
    assert {layer["target"]: layer["state"] for layer in more["layers"]}["big"] == "built"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle(maker: Any, module: Any, client: Any, number: signal.Signals) -> None:
    maker.layer("base", None, "RUN echo hello")
    maker.layer("one", "base", "RUN test -e /nothing || sleep 60")
    process = module.start(maker.plan())
    log = module.wait_for_log("one: step 1/")
    process.send_signal(number)
    result = module.finish(process)
    assert result["failed"]
    assert "interrupted" in result["msg"]
    assert not left_behind(module)
    assert "stopped; the next run goes on" in log.read_text()
    (Path(maker.layers[1]["context"]) / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo fine\n")
    assert {layer["state"] for layer in module.run(maker.plan())["layers"]} <= {"built", "up_to_date"}


def test_a_controller_that_is_gone(maker: Any, module: Any, tmp_path: Path) -> None:
    maker.layer("base", None, "RUN sleep 60")
    process = module.start(maker.plan(), detach=True)
    running = module.finish(process)["running"]
    log = module.wait_for_log("base: step 1/")
    (Path(running["folder"]) / "heartbeat").unlink()
    module.wait_for_log("-- end of the log")
    assert "the run that started this build is gone" in log.read_text()
    while Path(f"/proc/{running['pid']}").exists():
        time.sleep(0.1)
    assert not Path(running["folder"]).exists()
    assert not left_behind(module)


def test_ctrl_c_of_the_playbook(maker: Any, playbook: Any, tmp_path: Path) -> None:
    maker.layer("base", None, "RUN echo hello")
    maker.layer("one", "base", "RUN test -e /nothing || sleep 120")
    process = playbook.start(maker.plan())
    for line in process.stdout:
        if "one: step 1/" in line:
            break
    # Ansible itself now and then hangs at the first: people press it again.
    for _press in range(10):
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)
            break
    assert process.returncode
    (Path(maker.layers[1]["context"]) / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo fine\n")
    # The second run waits until the first has seen that nobody reads it any more.
    again = playbook.run(maker.plan())
    assert {layer["target"]: layer["state"] for layer in again.result["layers"]}["one"] == "built", again.output
    assert "Waiting for building images (process " in again.output
    assert not list((playbook.directory / "tmp").rglob("network*"))


def test_two_runs_at_once(maker: Any, module: Any) -> None:
    maker.layer("base", None, "RUN sleep 5")
    first = module.start(maker.plan())
    module.wait_for_log("base: step 1/")
    impatient = module.run(maker.plan(), lock_timeout=0.5)
    assert f"building images (process {first.pid} of " in impatient["msg"]
    patient = module.run(maker.plan())
    assert not patient["changed"]
    assert (
        f"Waiting for building images (process {first.pid}"
        in Path(patient["log_path"] or module.wait_for_log("Waiting for")).read_text()
    )
    assert module.finish(first)["changed"]
