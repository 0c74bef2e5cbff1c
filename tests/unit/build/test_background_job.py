# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a background job writes last is shown, however it falls between two looks; nothing of it stays on the host."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.plugin_utils import background_job

LOG = "[00:00] begins\n    base| said by a step\n[00:01] ends\n-- end of the log\n"


class StandIn:
    """Stands in for the action: a host whose job ends exactly when it is asked for."""

    def __init__(self, written_before: int) -> None:
        self._task = SimpleNamespace(async_val=0, no_log=False)
        self.written = LOG[:written_before]
        self.removed: list[str] = []

    def get_shell_option(self, option: str, default: str) -> str:
        return default

    def _execute_module(self, module_name: str, module_args: dict[str, Any], **more: Any) -> dict[str, Any]:
        if module_name == "demo":
            return {"ansible_job_id": "1.2", "results_file": "/async dir/1.2"}
        self.written = LOG
        return {"finished": 1, "changed": True}

    def _low_level_execute_command(self, command: str, **more: Any) -> dict[str, str]:
        if command.startswith("rm -f "):
            self.removed.extend(shlex.split(command)[2:])
            return {"stdout": ""}
        offset = int(command.split("tail -c +")[1].split()[0]) - 1
        return {"stdout": self.written[offset:]}


@pytest.mark.parametrize("written_before", [0, len("[00:00] begins\n"), len(LOG)])
def test_every_line_is_shown_once(monkeypatch: pytest.MonkeyPatch, written_before: int) -> None:
    shown: list[str] = []
    monkeypatch.setattr(background_job, "display", SimpleNamespace(display=shown.append))
    monkeypatch.setattr(background_job.time, "sleep", lambda seconds: None)
    arguments = {"log_path": "/log", "heartbeat": "/heartbeat"}
    action: Any = StandIn(written_before)
    result = background_job.run_in_background(action, "demo", arguments, {"inventory_hostname": "h"})
    assert result == {"changed": True}
    assert action.removed == ["/async dir/1.2"]
    assert shown == ["[h] [00:00] begins", "[h] [00:01] ends"]
