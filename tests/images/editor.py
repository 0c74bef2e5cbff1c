# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does with VS Code in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from browser import screenshot, wait_until
from running_workspace import RunningWorkspace, docker


def open_login(page: Any, workspace: RunningWorkspace, password: str) -> None:
    """Open the workspace's folder, published at any port, and send the form that comes first."""
    address = docker("port", workspace.name, "8080/tcp").stdout.split()[0]
    page.goto(f"http://{address}/?folder=/workspace")
    page.fill("input[name=password]", password)
    page.click("input[type=submit]")


def edit_a_file(page: Any, workspace: RunningWorkspace, directory: Path) -> None:
    """Log in, open a file, write into it, and save it; a picture of it is kept in the directory."""
    workspace.write("/workspace/greeting.py", 'GREETING = "hello"\n')
    open_login(page, workspace, (workspace.secrets_dir / "password").read_text().strip())
    page.wait_for_selector(".monaco-workbench .explorer-folders-view")
    trust = page.get_by_role("button", name="Yes, I trust the authors")
    file = page.locator(".explorer-folders-view .monaco-list-row", has_text="greeting.py")
    trust.or_(file).first.wait_for()
    if trust.is_visible():
        trust.click()
    file.dblclick()
    page.wait_for_selector('.tab.active[data-resource-name="greeting.py"]')
    editor = page.locator(".editor-instance .view-lines")
    wait_until(lambda: 'GREETING = "hello"' in editor.inner_text().replace("\u00a0", " "), "the file in the editor")
    assert not screenshot(page, "code-server-editor", directory).is_blank()
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("typed = 42")
    page.keyboard.press("Control+s")
    wait_until(lambda: "typed = 42" in workspace.run("cat /workspace/greeting.py").stdout, "the file as it was saved")
