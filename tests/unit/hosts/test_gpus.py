# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for GPUs, and what nvidia-smi lists. The lists have NVIDIA's form, the UUIDs are made up."""

from __future__ import annotations

import contextlib
import json

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus import (
    GpuError,
    GpuHost,
    GpuRequest,
    device_requests,
    engine_version,
    parse,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus_detect import (
    Gpu,
    drift,
    expected_devices,
    parse_list,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.gpus_host import cdi_devices, specified_devices
from hypothesis import given
from hypothesis import strategies as st

GPU_A = "GPU-aaaaaaaa-0000-0000-0000-000000000000"
GPU_B = "GPU-bbbbbbbb-0000-0000-0000-000000000000"
MIG_A = "MIG-cccccccc-0000-0000-0000-000000000000"
OLD_MIG = f"MIG-{GPU_A}/7/0"
CDI = ("nvidia.com/gpu=0", "nvidia.com/gpu=1", f"nvidia.com/gpu={GPU_A}", "nvidia.com/gpu=all")

HOOK = GpuHost("26.1.5+dfsg1", (GPU_A, GPU_B), (MIG_A,), hook=True)
BOTH = GpuHost("28.2.0", (GPU_A, GPU_B), (MIG_A,), hook=True, cdi_devices=CDI)
CDI_ONLY = GpuHost("26.1.5", (GPU_A, GPU_B), (), hook=False, cdi_feature=True, cdi_devices=CDI)

A100_WITH_MIG = f"""GPU 0: NVIDIA A100-SXM4-40GB (UUID: {GPU_A})
  MIG 3g.20gb     Device  0: (UUID: {MIG_A})
  MIG 1g.5gb+me   Device  1: (UUID: MIG-dddddddd-0000-0000-0000-000000000000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {GPU_B})
"""


def request(driver, count=0, devices=None, capabilities=()):
    return [
        {
            "Driver": driver,
            "Count": count,
            "DeviceIDs": devices,
            "Capabilities": [list(names) for names in capabilities],
            "Options": {},
        }
    ]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (None, GpuRequest()),
        ("none", GpuRequest()),
        (0, GpuRequest()),
        (False, GpuRequest()),
        ([], GpuRequest()),
        ("all", GpuRequest(count=-1)),
        (-1, GpuRequest(count=-1)),
        (2, GpuRequest(count=2)),
        ("2", GpuRequest(count=2)),
        ([0, 1], GpuRequest(devices=("0", "1"))),
        ("index=0,1", GpuRequest(devices=("0", "1"))),
        ("0:1", GpuRequest(devices=("0:1",))),
        (GPU_A, GpuRequest(devices=(GPU_A,))),
        (f"{GPU_A},{MIG_A}", GpuRequest(devices=(GPU_A, MIG_A))),
        (OLD_MIG, GpuRequest(devices=(OLD_MIG,))),
        ("nvidia.com/gpu=all", GpuRequest(cdi=("nvidia.com/gpu=all",))),
        (f"nvidia.com/gpu={MIG_A}", GpuRequest(cdi=(f"nvidia.com/gpu={MIG_A}",))),
    ],
)
def test_what_a_person_may_write(wish, expected):
    assert parse(wish) == expected


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (True, ["gpus is true"]),
        (-2, ["at least 0"]),
        ("GPU-123", ["a UUID looks like GPU-"]),
        ("nvidia.com/gpu", ["a CDI name looks like"]),
        (["all"], ["write gpus: all"]),
        (["first", "01"], ["'first' is no device", "'01' is no device"]),
        ([0, "0"], ["'0' more than once"]),
        ([0, "nvidia.com/gpu=1"], ["mixes CDI names"]),
        ([True], ["'True' is no device"]),
    ],
)
def test_mistakes_are_told_together(wish, words):
    with pytest.raises(GpuError) as caught:
        parse(wish, ["speed"])
    assert len(caught.value.problems) == len(words) + 1
    for word in ["'speed' is no capability", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("wish", "host", "expected"),
    [
        (0, GpuHost("20.10.24"), []),
        ("all", HOOK, request("nvidia", count=-1, capabilities=[["gpu"]])),
        (2, HOOK, request("nvidia", count=2, capabilities=[["gpu"]])),
        ([1], HOOK, request("nvidia", devices=["1"], capabilities=[["gpu"]])),
        (GPU_B, HOOK, request("nvidia", devices=[GPU_B], capabilities=[["gpu"]])),
        (
            GPU_B.upper(),
            HOOK,
            request("nvidia", devices=[GPU_B.upper()], capabilities=[["gpu"]]),
        ),
        (MIG_A, HOOK, request("nvidia", devices=[MIG_A], capabilities=[["gpu"]])),
        ("0:0", HOOK, request("nvidia", devices=["0:0"], capabilities=[["gpu"]])),
        ("nvidia.com/gpu=0", BOTH, request("cdi", devices=["nvidia.com/gpu=0"])),
        ("all", CDI_ONLY, request("cdi", devices=["nvidia.com/gpu=all"])),
        (1, CDI_ONLY, request("cdi", devices=["nvidia.com/gpu=0"])),
        ([GPU_A], CDI_ONLY, request("cdi", devices=[f"nvidia.com/gpu={GPU_A}"])),
    ],
)
def test_what_the_engine_gets(wish, host, expected):
    assert device_requests(parse(wish), host) == expected


def test_capabilities_join_gpu():
    requests = device_requests(parse("all", ["utility", "compute"]), HOOK)
    assert requests[0]["Capabilities"] == [["gpu", "compute", "utility"]]


@pytest.mark.parametrize(
    ("wish", "host", "word"),
    [
        ("all", GpuHost("28.2.0"), "no NVIDIA GPU that nvidia-smi lists"),
        (3, HOOK, "asks for 3 GPUs, and the host has 2"),
        ([2], HOOK, "the host has 0 to 1"),
        ("GPU-eeeeeeee-0000-0000-0000-000000000000", HOOK, f"the host has {GPU_A}, {GPU_B}"),
        ("MIG-eeeeeeee-0000-0000-0000-000000000000", CDI_ONLY, "none of that kind"),
        ("0:0", CDI_ONLY, "no such one"),
        ("nvidia.com/gpu=0", HOOK, "set features.cdi to true"),
        ("nvidia.com/gpu=0", GpuHost("20.10.24", (GPU_A,), hook=True), "CDI needs 25.0"),
        ("nvidia.com/gpu=0", GpuHost("28.2.0", (GPU_A,), cdi_feature=False), "set features.cdi to true"),
        ("nvidia.com/gpu=missing", BOTH, "CDI specifications have nvidia.com/gpu=0"),
        (1, GpuHost("24.0.7", (GPU_A,)), "neither NVIDIA's runtime hook nor CDI"),
        (1, GpuHost("28.2.0", (GPU_A,)), "needs the CDI device nvidia.com/gpu=0"),
    ],
)
def test_what_the_host_lacks_is_named(wish, host, word):
    with pytest.raises(GpuError) as caught:
        device_requests(parse(wish), host)
    assert word in str(caught.value)


def test_capabilities_without_the_hook_are_refused():
    with pytest.raises(GpuError, match="capabilities need NVIDIA's runtime hook"):
        device_requests(parse("all", ["compute"]), CDI_ONLY)


@given(wish=st.text(max_size=20) | st.integers() | st.lists(st.text(max_size=8) | st.integers(), max_size=4))
def test_anything_is_understood_or_refused_with_a_message(wish):
    with contextlib.suppress(GpuError):
        assert isinstance(parse(wish), GpuRequest)


@pytest.mark.parametrize(("text", "version"), [("26.1.5+dfsg1", (26, 1)), ("v29.0.0-rc.1", (29, 0))])
def test_versions(text, version):
    assert engine_version(text) == version


def test_no_version():
    with pytest.raises(EngineError, match="expected something like"):
        engine_version("dev")


def test_the_list_of_nvidia_smi():
    gpus = parse_list(A100_WITH_MIG)
    assert gpus == [
        Gpu(0, "NVIDIA A100-SXM4-40GB", GPU_A, (MIG_A, "MIG-dddddddd-0000-0000-0000-000000000000")),
        Gpu(1, "NVIDIA A100-SXM4-40GB", GPU_B),
    ]
    assert parse_list("No devices were found\n") == []


def test_drift_between_specification_and_gpus():
    gpus = parse_list(A100_WITH_MIG)
    spec = {"kind": "nvidia.com/gpu", "devices": [{"name": name} for name in expected_devices(gpus)]}
    assert drift(gpus, spec) == {"missing": [], "stale": []}
    assert drift([Gpu(0, "T4", GPU_A)], spec)["missing"] == ["0", GPU_A]
    assert MIG_A in drift([Gpu(0, "T4", GPU_A)], spec)["stale"]
    assert drift(gpus, {})["missing"] == expected_devices(gpus)
    assert drift([], {}) == {"missing": [], "stale": []}


NVIDIA_YAML = """---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
    hooks:
    - hookName: createContainer
      name: not-a-device
- containerEdits:
    env: [A=b]
  name: MIG-cccccccc-0000-0000-0000-000000000000
- name: all
containerEdits:
  env:
  - name: NVIDIA_VISIBLE_DEVICES=void
"""


@pytest.mark.parametrize(
    "text",
    [
        NVIDIA_YAML,
        # The same, with lists indented under their keys.
        NVIDIA_YAML.replace("\n- ", "\n  - ")
        .replace("\n  containerEdits:\n", "\n    containerEdits:\n")
        .replace("\n  name:", "\n    name:"),
        json.dumps({"kind": "nvidia.com/gpu", "devices": [{"name": "0"}, {"name": MIG_A}, {"name": "all"}]}),
    ],
)
def test_the_devices_of_a_cdi_specification(text):
    assert specified_devices(text) == ["nvidia.com/gpu=0", f"nvidia.com/gpu={MIG_A}", "nvidia.com/gpu=all"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "kind: nvidia.com/gpu\n", "kind: nvidia.com/gpu\ndevices: []\n", "devices:\n- name: a\n"]
)
def test_no_devices_in_what_is_no_specification(text):
    assert specified_devices(text) == []


def test_the_devices_of_all_specifications_of_a_host(tmp_path):
    (tmp_path / "nvidia.yaml").write_text(NVIDIA_YAML)
    (tmp_path / "other.json").write_text('{"kind": "example.com/fpga", "devices": [{"name": "f0"}]}')
    (tmp_path / "notes.txt").write_text(NVIDIA_YAML.replace("all", "ignored"))
    found = cdi_devices([str(tmp_path), str(tmp_path / "missing")])
    assert found == ["example.com/fpga=f0", "nvidia.com/gpu=0", f"nvidia.com/gpu={MIG_A}", "nvidia.com/gpu=all"]
