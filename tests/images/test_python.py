# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavor python: a project of uv with a dependency and tests, JupyterLab, and what the other tools do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from composed_flavors import make_poetry_project
from running_workspace import RunningWorkspace, image_of, running_workspace

pytestmark = pytest.mark.catalogue

# Runs code in a kernel as a notebook does.
KERNEL = """\
from jupyter_client.manager import run_kernel

with run_kernel(kernel_name="python3") as client:
    answer = client.execute_interactive("import shortuuid; print(6 * 7, shortuuid.__file__)", timeout=120)
    assert answer["content"]["status"] == "ok", answer
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with a project of uv in its workspace folder."""
    with running_workspace(image_of("python"), tmp_path_factory.mktemp("secrets")) as workspace:
        workspace.run("uv init --quiet --lib --name demo --python /usr/bin/python3 . && uv add --quiet six==1.17.0")
        workspace.write(
            "/workspace/src/demo/__init__.py", "import six\n\n\ndef text() -> str:\n    return six.ensure_str(b'42')\n"
        )
        workspace.write(
            "/workspace/tests/test_demo.py", "import demo\n\n\ndef test_text():\n    assert demo.text() == '42'\n"
        )
        yield workspace


def test_python_is_debian_s(workspace: RunningWorkspace) -> None:
    assert workspace.run("python --version").stdout.startswith("Python 3.13.")
    assert workspace.run("readlink -f $(command -v python)").stdout == "/usr/bin/python3.13\n"


def test_what_two_tools_have_in_common_takes_its_space_once(workspace: RunningWorkspace) -> None:
    module = "lib/python3.13/site-packages/jedi/__init__.py"
    inodes = workspace.run(f"stat --format %i /opt/ipython/{module} /opt/jupyterlab/{module}").stdout.split()
    assert len(inodes) == 2
    assert len(set(inodes)) == 1


def test_a_project_of_uv_with_a_dependency_runs(workspace: RunningWorkspace) -> None:
    assert workspace.run("uv run python -c 'import demo; print(demo.text())'").stdout == "42\n"
    assert 'name = "six"' in workspace.run("cat uv.lock").stdout


def test_pytest_runs_in_the_project_and_fails_a_wrong_test(workspace: RunningWorkspace) -> None:
    workspace.run("uv add --quiet --dev pytest")
    assert "1 passed" in workspace.run("uv run pytest").stdout
    workspace.write(
        "/workspace/tests/test_wrong.py", "import demo\n\n\ndef test_text():\n    assert demo.text() == '43'\n"
    )
    try:
        done = workspace.run("uv run pytest", check=False)
    finally:
        workspace.run("rm tests/test_wrong.py")
    assert done.returncode == 1
    assert "assert '42' == '43'" in done.stdout


def test_pytest_runs_without_a_project_and_sees_the_user_s_packages(workspace: RunningWorkspace) -> None:
    workspace.run("pip install --quiet six==1.17.0")
    workspace.write(
        "/tmp/loose/test_six.py", "import six\n\n\ndef test_six():\n    assert six.ensure_str(b'42') == '42'\n"
    )
    assert "1 passed" in workspace.run("pytest", workdir="/tmp/loose").stdout


def test_black_finds_and_mends_bad_formatting(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/format/bad.py", "x = {  'a':1 }\n")
    done = workspace.run("black --check bad.py", workdir="/tmp/format", check=False)
    assert done.returncode == 1
    assert "would reformat" in done.stderr
    workspace.run("black --quiet bad.py && black --check bad.py", workdir="/tmp/format")
    assert workspace.run("cat bad.py", workdir="/tmp/format").stdout == 'x = {"a": 1}\n'


def test_ruff_finds_a_planted_fault_and_nothing_else(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/lint/good.py", 'print("good")\n')
    workspace.run("ruff check .", workdir="/tmp/lint")
    workspace.write("/tmp/lint/bad.py", "import os\n")
    done = workspace.run("ruff check .", workdir="/tmp/lint", check=False)
    assert done.returncode == 1
    assert "`os` imported but unused" in done.stdout


def test_ipython_runs_code_with_the_user_s_packages(workspace: RunningWorkspace) -> None:
    workspace.run("pip install --quiet six==1.17.0")
    shown = workspace.run('ipython --colors=nocolor -c \'import six; six.ensure_str(b"4") + "2"\'').stdout
    assert "'42'" in shown


def test_pip_installs_for_the_user(workspace: RunningWorkspace) -> None:
    workspace.run("pip install --quiet six==1.17.0")
    where = workspace.run("python -c 'import six; print(six.__version__, six.__file__)'", workdir="/tmp").stdout
    assert where.startswith("1.17.0 /home/developer/.local/")


def test_pip_works_in_an_environment(workspace: RunningWorkspace) -> None:
    workspace.run("python -m venv /tmp/env && /tmp/env/bin/pip install --quiet six==1.17.0")
    assert workspace.run("/tmp/env/bin/python -c 'import six; print(six.__file__)'").stdout.startswith("/tmp/env/")


def test_poetry_project(workspace: RunningWorkspace) -> None:
    make_poetry_project(workspace)


def test_jupyterlab_answers_who_has_the_token(workspace: RunningWorkspace) -> None:
    token = secrets.token_hex(12)
    workspace.write("/tmp/token", token)
    workspace.run(
        "export JUPYTER_TOKEN=$(cat /tmp/token);"
        " (setsid jupyter lab --no-browser --port 8899 >/tmp/jupyter.log 2>&1 & echo $! >/tmp/jupyter.pid)"
    )

    def status(path: str, *options: str) -> str:
        ask = "curl --silent --noproxy '*' --output /tmp/answer --write-out '%{http_code}' --max-time 60"
        wait = "--retry 100 --retry-delay 1 --retry-connrefused"
        quoted = " ".join(f"'{option}'" for option in options)
        return workspace.run(f"{ask} {wait} {quoted} http://127.0.0.1:8899{path}").stdout

    try:
        # Jupyter's word for "not logged in" is 403; pages lead to the login.
        assert status("/api/contents") == "403"
        assert status("/api/contents", "--header", "Authorization: token wrong") == "403"
        assert status("/lab") == "302"
        assert status("/api/contents", "--header", f"Authorization: token {token}") == "200"
        assert status("/lab", "--header", f"Authorization: token {token}") == "200"
        assert "<title>JupyterLab</title>" in workspace.run("cat /tmp/answer").stdout
    finally:
        workspace.run("kill $(cat /tmp/jupyter.pid)")


def test_a_kernel_runs_code_with_the_user_s_packages(workspace: RunningWorkspace) -> None:
    workspace.run("pip install --quiet shortuuid==1.0.13")
    workspace.write("/tmp/kernel.py", KERNEL)
    assert workspace.run("/opt/jupyterlab/bin/python /tmp/kernel.py").stdout.startswith("42 /home/developer/.local/")


def test_an_extension_in_c_compiles(workspace: RunningWorkspace) -> None:
    program = '#include <Python.h>\nint main(void) { Py_Initialize(); return PyRun_SimpleString("print(6 * 7)") || Py_FinalizeEx(); }\n'
    workspace.write("/tmp/embed/embed.c", program)
    workspace.run(
        "gcc embed.c $(python3-config --includes) -o embed $(python3-config --ldflags --embed)", workdir="/tmp/embed"
    )
    assert workspace.run("/tmp/embed/embed").stdout == "42\n"
