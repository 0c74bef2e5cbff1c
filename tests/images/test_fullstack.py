# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavors fullstack and services: their parts are there together and work side by side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from composed_flavors import WORKS, check_parts, planned
from running_workspace import RunningWorkspace, running_workspace

pytestmark = pytest.mark.catalogue

PARTS = {"fullstack": ("js", "python"), "services": ("js", "python", "go")}


@pytest.fixture(scope="module", params=PARTS)
def composed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, RunningWorkspace]]:
    """Name and workspace of a composed flavor."""
    with running_workspace(planned(flavor=request.param)["image"], tmp_path_factory.mktemp("secrets")) as workspace:
        yield request.param, workspace


def test_every_tool_of_the_parts_is_found(composed: tuple[str, RunningWorkspace]) -> None:
    flavor, workspace = composed
    check_parts(workspace, PARTS[flavor])


def test_every_part_works(composed: tuple[str, RunningWorkspace]) -> None:
    flavor, workspace = composed
    for part in PARTS[flavor]:
        WORKS[part](workspace)


def test_a_native_module_compiles_with_node_s_headers(composed: tuple[str, RunningWorkspace]) -> None:
    _flavor, workspace = composed
    workspace.write(
        "/tmp/native/answer.cc",
        "#include <node_api.h>\n#include <openssl/opensslconf.h>\n#include <openssl/crypto.h>\n"
        "static napi_value Init(napi_env env, napi_value exports) {\n"
        "  napi_value answer;\n  napi_create_int32(env, 42, &answer);\n  return answer;\n}\n"
        "NAPI_MODULE(answer, Init)\n",
    )
    workspace.run("g++ -shared -fPIC -I/opt/node/include/node answer.cc -o answer.node", workdir="/tmp/native")
    assert workspace.run("node --print \"require('./answer.node')\"", workdir="/tmp/native").stdout == "42\n"


def test_a_page_of_one_language_calls_the_server_of_the_other(composed: tuple[str, RunningWorkspace]) -> None:
    _flavor, workspace = composed
    workspace.write("/tmp/both/data.json", '{"answer": 42}\n')
    workspace.run(
        "(setsid python -m http.server --bind 127.0.0.1 8123 >/tmp/both.log 2>&1 & echo $! >/tmp/both.pid);"
        " until curl --silent --fail --noproxy '*' http://127.0.0.1:8123/ >/dev/null; do sleep 0.2; done",
        workdir="/tmp/both",
    )
    try:
        program = "fetch('http://127.0.0.1:8123/data.json').then(r => r.json()).then(d => console.log(d.answer))"
        assert workspace.run(f'NO_PROXY=127.0.0.1 node --eval "{program}"').stdout == "42\n"
    finally:
        workspace.run("kill $(cat /tmp/both.pid)")
