# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flavor python: every tool does its work."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.catalogue


def test_python_is_debian_s(python: Any) -> None:
    assert python.run("python --version").startswith("Python 3.13.")
    assert python.run("readlink -f $(command -v python)") == "/usr/bin/python3.13"


def test_pip_installs_for_the_user(python: Any) -> None:
    python.run("pip install --quiet six==1.17.0")
    assert python.run("python -c 'import six; print(six.__version__, six.__file__)'").startswith(
        "1.17.0 /home/developer/.local/"
    )


def test_pip_works_in_an_environment(python: Any) -> None:
    python.run("python -m venv /tmp/env && /tmp/env/bin/pip install --quiet six==1.17.0")
    assert python.run("/tmp/env/bin/python -c 'import six; print(six.__file__)'").startswith("/tmp/env/")


def test_uv_project(python: Any) -> None:
    python.run("cd /tmp && uv init --quiet --python /usr/bin/python3 uv-project && cd uv-project && uv add --quiet six")
    assert python.run("cd /tmp/uv-project && uv run python -c 'import six; print(6 * 7)'") == "42"


def test_poetry_project(python: Any) -> None:
    # pip's own index by the standard interface: mirrors seldom have the one that Poetry prefers
    index = python.run("python -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)'")
    python.run("cd /tmp && poetry new --quiet poetry-project")
    python.run(f"cd /tmp/poetry-project && poetry source add --priority=primary simple {index}/")
    python.run("cd /tmp/poetry-project && poetry add six")
    assert python.run("cd /tmp/poetry-project && poetry run python -c 'import six; print(6 * 7)'") == "42"


def test_jupyter_answers(python: Any) -> None:
    """It asks for its token, and runs code in a kernel that sees the user's packages."""
    python.run(
        "cd /tmp && (jupyter lab --no-browser --port 8899 --IdentityProvider.token=tok >/tmp/jupyter.log 2>&1 &)"
    )
    url = "http://127.0.0.1:8899/api/contents"
    python.wait("answering", lambda: python.status(url) != "000")
    assert python.status(url) == "403"
    assert python.status(url, "-H", "Authorization: token tok") == "200"
    python.run("pip install --quiet six==1.17.0")
    program = (
        "from jupyter_client.manager import run_kernel\n"
        "with run_kernel(kernel_name='python3') as client:\n"
        "    answer = client.execute_interactive('import six; print(6 * 7)', timeout=120)\n"
        "    assert answer['content']['status'] == 'ok', answer\n"
    )
    assert "42" in python.run(f'/opt/jupyterlab/bin/python -c "{program}"')


def test_headers_for_extensions(python: Any) -> None:
    python.run("test -e /usr/include/python3.13/Python.h && gcc --version")
