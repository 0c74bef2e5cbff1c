# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every filter does what the examples in its documentation say, through Ansible's own templating."""

from __future__ import annotations

import importlib
import pathlib
import re
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = pathlib.Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (ROOT / "plugins/filter").glob("*.py"))
PACKAGE = "ansible_collections.codeopen.workspaces.plugins.filter"


def _template(text: str, variables: dict[str, Any]) -> Any:
    return Templar(loader=DataLoader(), variables=variables).template(trust_as_template(text))


def _examples() -> list[Any]:
    found = []
    for name in NAMES:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        # What follows as comments are further lines of the same.
        wanted = [
            re.sub(r"\n *#(    )?", "\n", text) for text in re.findall(r"# => (.*(?:\n *#(?! =>).*)*)", module.EXAMPLES)
        ]
        tasks = yaml.safe_load(module.EXAMPLES)
        assert len(wanted) == len(tasks), f"{name}: each example says what it gives"
        found += [pytest.param(task, want, id=f"{name}-{n}") for n, (task, want) in enumerate(zip(tasks, wanted))]
    return found


@pytest.mark.parametrize(("task", "wanted"), _examples())
def test_the_examples_are_true(task: dict[str, Any], wanted: str) -> None:
    got = _template(task["ansible.builtin.debug"]["msg"], task.get("vars", {}))
    assert [line.rstrip() for line in str(got).splitlines()] == [line.rstrip() for line in wanted.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_is_alone_in_its_file_and_documented(name: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert list(module.FilterModule().filters()) == [name]
    assert documentation["name"] == name
    assert yaml.safe_load(module.RETURN)["_value"]["type"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[{'name': 'A', 'flavor': 'js'}] | codeopen.workspaces.plan", "'A' is not a workspace's name"),
        ("'pyton' | codeopen.workspaces.image_name", "did you mean 'python'"),
        ("{'flavor': 'js', 'tier': 'hug'} | codeopen.workspaces.resolve", "unknown tier 'hug'"),
        ("3 | codeopen.workspaces.total_resources", "expected a flavor's name, or a mapping"),
        ("'x' | codeopen.workspaces.port_bindings", "expected one workspace of a plan"),
        ("'lit' | codeopen.workspaces.migrate_tier", "did you mean 'lite'"),
        ("'js' | codeopen.workspaces.resolve(['/nowhere'])", "/nowhere: there is no such folder"),
        ("'x' | codeopen.workspaces.to_compose", "expected a plan, or its workspaces; got"),
        ("'x' | codeopen.workspaces.from_compose", "put from_yaml before this filter"),
    ],
)
def test_mistakes_are_said(expression: str, message: str) -> None:
    with pytest.raises(AnsibleError, match=re.escape(message)):
        _template("{{ " + expression + " }}", {})
