# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way on a real GPU: site.yml, `nvidia-smi` and a CUDA program in a workspace. For `make test-gpu`."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="no NVIDIA driver here: nvidia-smi is missing"),
]

ROOT = Path(__file__).resolve().parents[2]
LENGTH = 1 << 20

# c = a + b for 2^20 elements; it prints the sum of c, and how many elements are wrong.
ADDITION = r"""
#include <cstdio>
#include <cstdlib>
#include <vector>

__global__ void add(const float *a, const float *b, float *c, int length) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < length) c[i] = a[i] + b[i];
}

static void check(cudaError_t error) {
  if (error != cudaSuccess) {
    fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
    exit(3);
  }
}

int main() {
  const int length = 1 << 20;
  const size_t size = length * sizeof(float);
  std::vector<float> a(length), b(length), c(length);
  for (int i = 0; i < length; i++) { a[i] = i % 1000; b[i] = 2 * (i % 1000); }
  float *on_gpu[3];
  for (float *&memory : on_gpu) check(cudaMalloc(&memory, size));
  check(cudaMemcpy(on_gpu[0], a.data(), size, cudaMemcpyHostToDevice));
  check(cudaMemcpy(on_gpu[1], b.data(), size, cudaMemcpyHostToDevice));
  add<<<(length + 255) / 256, 256>>>(on_gpu[0], on_gpu[1], on_gpu[2], length);
  check(cudaGetLastError());
  check(cudaMemcpy(c.data(), on_gpu[2], size, cudaMemcpyDeviceToHost));
  long long sum = 0;
  int wrong = 0;
  for (int i = 0; i < length; i++) { sum += (long long)c[i]; wrong += c[i] != 3 * (i % 1000); }
  printf("%lld %d\n", sum, wrong);
}
"""


def run(*command: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; with ``check``, a failure shows what it wrote."""
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def in_workspace(name: str, script: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a bash script in a workspace as its user."""
    return run("docker", "exec", "-i", f"codeopen-{name}", "bash", "-c", script, stdin=stdin, check=check)


def listed(text: str) -> list[str]:
    """The GPUs and MIG instances that ``nvidia-smi -L`` lists, by their UUIDs."""
    return re.findall(r"UUID: ((?:GPU|MIG)-[^)\s]+)", text)


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two workspaces that site.yml brought up: one with all GPUs, one that only has the variable that asks for them."""
    prefix = f"t{secrets.token_hex(4)}"
    names = (f"{prefix}-gpu", f"{prefix}-none")
    wanted = [
        {"name": names[0], "flavor": "python", "addons": ["gpu"], "tier": "creator", "gpus": "all"},
        {"name": names[1], "flavor": "python", "environment": {"NVIDIA_VISIBLE_DEVICES": "all"}},
    ]
    inventory = tmp_path_factory.mktemp("inventory") / "gpu.json"
    # In this group, a host on which the role nvidia finds no GPU is an error.
    inventory.write_text(json.dumps({"gpu": {"hosts": {"localhost": {}}}}))
    playbook = (str(ROOT / "scripts/playbook.sh"), "playbooks/site.yml", "--inventory", str(inventory))
    try:
        run(*playbook, "--extra-vars", json.dumps({"codeopen_workspaces": wanted}))
        again = run(*playbook, "--extra-vars", json.dumps({"codeopen_workspaces": wanted}))
        assert re.search(r"^localhost\s.*changed=0", again.stdout, re.MULTILINE), again.stdout
        yield names
    finally:
        for name in names:
            run("make", "down", f"NAME={name}", "PURGE=1", check=False)


def test_the_workspace_sees_the_gpus_of_the_host(workspaces: tuple[str, str]) -> None:
    on_host = listed(run("nvidia-smi", "-L").stdout)
    assert on_host
    assert listed(in_workspace(workspaces[0], "nvidia-smi -L").stdout) == on_host


def test_a_cuda_program_compiled_in_the_workspace_runs(workspaces: tuple[str, str]) -> None:
    in_workspace(workspaces[0], "cat >/workspace/addition.cu", stdin=ADDITION)
    # For the GPUs that are there, without a compilation at the start.
    in_workspace(workspaces[0], "cd /workspace && nvcc -O2 -arch=native addition.cu -o addition")
    found = in_workspace(workspaces[0], "/workspace/addition").stdout
    assert found == f"{3 * sum(number % 1000 for number in range(LENGTH))} 0\n"


def test_a_workspace_without_a_grant_sees_no_gpu(workspaces: tuple[str, str]) -> None:
    assert in_workspace(workspaces[1], "echo $NVIDIA_VISIBLE_DEVICES").stdout == "all\n"
    assert in_workspace(workspaces[1], "ls /dev | grep nvidia", check=False).stdout == ""
    seen = in_workspace(workspaces[1], "nvidia-smi -L", check=False)
    assert seen.returncode != 0
    assert listed(seen.stdout) == []
