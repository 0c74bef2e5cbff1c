# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Swarm's manager answers, in the words of the door to it."""

from __future__ import annotations

import json
from typing import Any

import docker
import pytest
import requests
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import EngineError
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import ServiceChanged, Swarm

SERVICE = {"ID": "s1", "Version": {"Index": 7}}


def answering(monkeypatch: pytest.MonkeyPatch, message: str) -> tuple[Swarm, list[str]]:
    """A Swarm by the SDK's own client, whose engine answers each request so; and the addresses of the requests."""
    client = docker.DockerClient("unix:///nowhere", version="1.44")
    asked: list[str] = []

    def send(request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        asked.append(str(request.url))
        answer = requests.Response()
        answer.status_code = 500
        answer.reason = "Internal Server Error"
        answer.headers["Content-Type"] = "application/json"
        answer.request, answer.url = request, str(request.url)
        answer._content = json.dumps({"message": message}).encode()
        return answer

    monkeypatch.setattr(client.api, "send", send)
    return Swarm(client), asked


@pytest.mark.parametrize("back", [False, True])
def test_a_service_that_was_changed_since_the_look_is_told_apart(monkeypatch: pytest.MonkeyPatch, back: bool) -> None:
    swarm, asked = answering(monkeypatch, "rpc error: code = Unknown desc = update out of sequence")
    with pytest.raises(ServiceChanged, match="service codeopen-demo: somebody else changes it"):
        swarm.update(SERVICE, {"Name": "codeopen-demo"}, back)
    assert asked[0].endswith("/services/s1/update?version=7" + ("&rollback=previous" if back else ""))


def test_any_other_refusal_is_the_engines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm, _asked = answering(monkeypatch, "rpc error: code = Unknown desc = The swarm does not have a leader")
    with pytest.raises(EngineError, match="does not have a leader") as caught:
        swarm.update(SERVICE, {"Name": "codeopen-demo"})
    assert not isinstance(caught.value, ServiceChanged)
