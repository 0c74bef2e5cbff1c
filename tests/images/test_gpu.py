# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on gpu: programs compile here, and run where there is a GPU."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

VERSIONS = r"""
#include <cstdio>
#include <cublas_v2.h>
#include <cudnn.h>
#include <nvrtc.h>
#include <thrust/version.h>

int main() {
  int runtime = 0, major = 0, minor = 0, nvrtc_major = 0, nvrtc_minor = 0;
  cudaRuntimeGetVersion(&runtime);
  cublasGetProperty(MAJOR_VERSION, &major);
  cublasGetProperty(MINOR_VERSION, &minor);
  nvrtcVersion(&nvrtc_major, &nvrtc_minor);
  printf("{\"compiler\": %d, \"runtime\": %d, \"cublas\": %d, \"cublas_header\": %d, \"cudnn\": %zu, \"cudnn_header\": %d,"
         " \"cudnn_for\": %zu, \"nvrtc\": %d}\n",
         __CUDACC_VER_MAJOR__ * 1000 + __CUDACC_VER_MINOR__ * 10, runtime, major * 100 + minor,
         CUBLAS_VER_MAJOR * 100 + CUBLAS_VER_MINOR, cudnnGetVersion(), CUDNN_VERSION, cudnnGetCudartVersion(),
         nvrtc_major * 1000 + nvrtc_minor * 10);
}
"""

# c = a × b by cuBLAS, after a kernel of our own has filled the matrices.
MULTIPLY = r"""
#include <cstdio>
#include <cstdlib>
#include <cublas_v2.h>
#include <cudnn.h>

__global__ void fill(float *values, float value) { values[threadIdx.x] = value; }

static void check(cudaError_t error) {
  if (error != cudaSuccess) {
    fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
    exit(3);
  }
}

int main() {
  const int side = 16;
  const float one = 1, zero = 0;
  float *a, *b, *c, result[side * side];
  check(cudaMalloc(&a, sizeof result));
  check(cudaMalloc(&b, sizeof result));
  check(cudaMalloc(&c, sizeof result));
  fill<<<1, side * side>>>(a, 2);
  fill<<<1, side * side>>>(b, 3);
  check(cudaGetLastError());
  cublasHandle_t blas;
  cudnnHandle_t dnn;
  if (cublasCreate(&blas) != CUBLAS_STATUS_SUCCESS || cudnnCreate(&dnn) != CUDNN_STATUS_SUCCESS) return 4;
  if (cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, side, side, side, &one, a, side, b, side, &zero, c, side)) return 5;
  check(cudaMemcpy(result, c, sizeof result, cudaMemcpyDeviceToHost));
  printf("%g\n", result[side + 1]);
}
"""


def host_has_a_gpu() -> bool:
    """Whether this host's engine can give a container a GPU."""
    program = shutil.which("nvidia-smi")
    return program is not None and subprocess.run([program, "-L"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with CUDA, and with a GPU where there is one."""
    image = image_of("gpu")
    options = ("--gpus", "1") if host_has_a_gpu() else ()
    with running_workspace(image, tmp_path_factory.mktemp("secrets"), *options) as workspace:
        yield workspace


def compile_program(workspace: RunningWorkspace, name: str, text: str, options: str = "") -> str:
    """Compile as the user, and give the program's path."""
    workspace.write(f"/workspace/{name}.cu", text)
    workspace.run(f"nvcc {options} {name}.cu -o {name} -lcublas -lcudnn -lnvrtc")
    return f"/workspace/{name}"


def test_compiler_runtime_and_libraries_fit_together(workspace: RunningWorkspace) -> None:
    program = compile_program(workspace, "versions", VERSIONS)
    seen = json.loads(workspace.run(program).stdout)
    assert seen["compiler"] == seen["runtime"] == seen["nvrtc"]
    assert seen["cublas"] == seen["cublas_header"]
    assert seen["cudnn"] == seen["cudnn_header"]
    assert seen["cudnn_for"] // 1000 == seen["compiler"] // 1000
    assert (
        f"release {seen['compiler'] // 1000}.{seen['compiler'] % 1000 // 10}," in workspace.run("nvcc --version").stdout
    )


def test_a_program_for_several_generations_of_gpus_compiles(workspace: RunningWorkspace) -> None:
    options = "-std=c++17 -O2 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90]"
    program = compile_program(workspace, "generations", MULTIPLY, options)
    needed = workspace.run(f"ldd {program}").stdout
    assert "/opt/cuda/lib64/libcublas.so" in needed
    assert "/opt/cuda/lib64/libcudnn.so" in needed
    assert "not found" not in needed


def test_thrust_and_mathematics_compile(workspace: RunningWorkspace) -> None:
    text = """
#include <thrust/device_vector.h>
#include <thrust/transform.h>
struct root { __device__ double operator()(double x) const { return rsqrt(x) + erf(x); } };
int main() {
  thrust::device_vector<double> values(8, 2.0);
  thrust::transform(values.begin(), values.end(), values.begin(), root());
}
"""
    workspace.run(f"test -x {compile_program(workspace, 'thrust', text)}")


def test_a_mistake_is_the_compilers_own_error(workspace: RunningWorkspace) -> None:
    workspace.write("/workspace/wrong.cu", "__global__ void kernel() { undefined(); }\n")
    done = workspace.run("nvcc -c wrong.cu", check=False)
    assert done.returncode != 0
    assert 'identifier "undefined" is undefined' in done.stdout + done.stderr


@pytest.mark.skipif(host_has_a_gpu(), reason="this host has a GPU: the program runs")
def test_without_a_gpu_a_program_says_so(workspace: RunningWorkspace) -> None:
    done = workspace.run(compile_program(workspace, "multiply", MULTIPLY), check=False)
    assert done.returncode == 3
    assert "no CUDA-capable device" in done.stderr or "CUDA driver version is insufficient" in done.stderr


@pytest.mark.skipif(not host_has_a_gpu(), reason="no GPU here: nvidia-smi -L finds none")
def test_with_a_gpu_cublas_and_cudnn_work(workspace: RunningWorkspace) -> None:
    assert workspace.run(compile_program(workspace, "multiply", MULTIPLY)).stdout == "96\n"
    assert "GPU 0" in workspace.run("nvidia-smi -L").stdout


def test_the_image_asks_for_no_gpu_by_itself(workspace: RunningWorkspace) -> None:
    image = docker("inspect", "--format", "{{.Image}}", workspace.name).stdout.strip()
    variables = json.loads(docker("image", "inspect", "--format", "{{json .Config.Env}}", image).stdout)
    assert not [variable for variable in variables if variable.startswith("NVIDIA_VISIBLE_DEVICES=")]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in variables
    assert "CUDA_HOME=/opt/cuda" in variables
