# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was found to what is done, by a table."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.decision import decide
from ansible_collections.codeopen.workspaces.plugins.module_utils.observed import Container, Observed


def container(text: str, name: str) -> Optional[Container]:
    """From ``<state> [<health> [<spec>]]``; an empty text is no container."""
    if not text:
        return None
    state, health, spec = (text.split() + ["none", "same"][len(text.split()) - 1 :])[:3]
    return Container(name, name, "image", state, health, {"codeopen.workspace": "w", "codeopen.spec": spec})


@pytest.mark.parametrize(
    ("wish", "current", "previous", "action", "settle", "base"),
    [
        ("started", "", "", "create", "keep", None),
        ("started", "running healthy", "", "none", "keep", "current"),
        ("started", "running none", "", "none", "keep", "current"),
        ("started", "running starting", "", "none", "keep", "current"),
        ("started", "running unhealthy", "", "restart", "keep", "current"),
        ("started", "restarting", "", "restart", "keep", "current"),
        ("started", "exited", "", "start", "keep", "current"),
        ("started", "created", "", "start", "keep", "current"),
        ("started", "paused", "", "start", "keep", "current"),
        ("started", "running healthy other", "", "update", "keep", "current"),
        ("started", "exited none other", "", "update", "keep", "current"),
        ("started", "", "exited", "start", "put back", "previous"),
        ("started", "", "exited none other", "update", "put back", "previous"),
        ("started", "running healthy", "exited none other", "recover", "resume", "current"),
        ("started", "running healthy other", "exited none other", "update", "put back", "previous"),
        ("started", "running healthy other", "exited", "start", "put back", "previous"),
        ("started", "", "running healthy", "restart", "put back", "previous"),
        ("started", "running starting", "exited none other", "update", "resume", "current"),
        ("started", "created", "exited none other", "update", "resume", "current"),
        ("started", "created none other", "exited", "start", "put back", "previous"),
        ("started", "created none other", "exited none third", "update", "put back", "previous"),
        ("stopped", "", "", "create", "keep", None),
        ("stopped", "running healthy other", "", "stop", "keep", "current"),
        ("stopped", "exited none other", "", "none", "keep", "current"),
        ("stopped", "running starting", "exited", "recover", "put back", "previous"),
        ("stopped", "running healthy", "exited", "recover", "put back", "previous"),
        ("stopped", "", "running healthy", "stop", "put back", "previous"),
        ("stopped", "", "exited", "recover", "put back", "previous"),
        ("restarted", "", "", "create", "keep", None),
        ("restarted", "running healthy", "", "restart", "keep", "current"),
        ("restarted", "exited", "", "start", "keep", "current"),
        ("restarted", "running healthy other", "", "update", "keep", "current"),
        ("restarted", "running healthy", "exited none other", "recover", "resume", "current"),
        ("paused", "", "", "create", "keep", None),
        ("paused", "running healthy other", "", "pause", "keep", "current"),
        ("paused", "exited", "", "pause", "keep", "current"),
        ("paused", "paused none other", "", "none", "keep", "current"),
        ("paused", "created", "exited none other", "pause", "put back", "previous"),
        ("absent", "", "", "none", "keep", None),
        ("absent", "running healthy", "", "remove", "keep", None),
        ("absent", "", "exited", "remove", "keep", None),
    ],
)
def test_decide(wish: str, current: str, previous: str, action: str, settle: str, base: Optional[str]) -> None:
    found = Observed(container(current, "current"), container(previous, "previous"))
    decision = decide(wish, found, "same")
    assert (decision.action, decision.settle) == (action, settle)
    assert (decision.base.id if decision.base else None) == base


@pytest.mark.parametrize(
    ("current", "previous", "serving"),
    [
        ("running healthy other", "", True),
        ("exited none other", "", False),
        ("", "exited none other", True),
        # The run that renamed it ended before it stopped it.
        ("", "running healthy other", True),
    ],
)
def test_an_update_that_fails_leaves_it_as_it_was(current: str, previous: str, serving: bool) -> None:
    found = Observed(container(current, "current"), container(previous, "previous"))
    assert decide("started", found, "same").was_serving is serving


def test_one_that_a_run_was_about_to_stop_is_not_taken_for_one_that_goes_on() -> None:
    found = Observed(container("running healthy", "current"))
    assert decide("started", found, "same").action == "none"
    assert decide("started", found, "same", stopping=True).action == "restart"
    assert decide("stopped", found, stopping=True).action == "stop"
    stopped = Observed(container("exited", "current"))
    assert decide("started", stopped, "same", stopping=True).action == "start"
