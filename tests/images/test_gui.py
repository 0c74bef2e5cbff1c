# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on gui: a real Chromium works on the desktop, and nobody does without the password."""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, page_of, screenshot, wait_until
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

DESKTOP, TERMINAL, PANEL = (0x2B, 0x3A, 0x4A), (0x10, 0x17, 0x1E), (0x1B, 0x25, 0x30)
# Where the panel has its launchers, from its left and the screen's lower edge.
TERMINAL_LAUNCHER, BROWSER_LAUNCHER = (20, 16), (52, 16)
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol": "binary",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with a desktop."""
    image = image_of("gui")
    with running_workspace(image, tmp_path_factory.mktemp("secrets"), "--publish", "127.0.0.1::6080") as workspace:
        yield workspace


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(workspace: RunningWorkspace) -> str:
    return docker("port", workspace.name, "6080/tcp").stdout.split()[0]


@pytest.fixture(scope="module")
def password(workspace: RunningWorkspace) -> str:
    return (workspace.secrets_dir / "password").read_text().strip()


@pytest.fixture
def desktop(browser: Any, address: str, password: str) -> Iterator[Any]:
    """A page that is connected to the desktop."""
    with page_of(browser, password=password) as page:
        page.goto(f"http://{address}/")
        wait_until_connected(page)
        yield page


def wait_until_connected(page: Any) -> None:
    page.wait_for_selector("html.noVNC_connected", state="attached")
    page.wait_for_selector("#noVNC_container canvas")


def press_a_key_of_a_german_keyboard(page: Any) -> None:
    """Press ü, which Playwright would insert without a key."""
    session = page.context.new_cdp_session(page)
    for event in ("keyDown", "keyUp"):
        session.send("Input.dispatchKeyEvent", {"type": event, "key": "ü", "code": "BracketLeft", "text": "ü"})


def screen_size(workspace: RunningWorkspace) -> str:
    return workspace.run("xdpyinfo | sed -n 's/.*dimensions: *\\([0-9x]*\\) .*/\\1/p'", check=False).stdout.strip()


# Chromium's words for a page that it has no password for; newer ones have the second.
REFUSED = "ERR_INVALID_AUTH_CREDENTIALS|ERR_HTTP_RESPONSE_CODE_FAILURE"


def content(page: Any) -> str:
    """What a page holds; Chromium's own page about an error comes a moment after the error."""
    for _try in range(100):
        with contextlib.suppress(Exception):
            return str(page.content())
        page.wait_for_timeout(100)
    raise AssertionError(f"{page.url} is never there")


def window_open(workspace: RunningWorkspace, title: str) -> bool:
    return title in workspace.run("xwininfo -root -tree", check=False).stdout


def request(address: str, path: str, password: str | None = None, headers: dict[str, str] | None = None) -> int:
    """The status that the server answers a request with."""
    connection = http.client.HTTPConnection(address, timeout=60)
    sent = dict(headers or {})
    if password is not None:
        sent["Authorization"] = "Basic " + base64.b64encode(f"developer:{password}".encode()).decode()
    try:
        connection.request("GET", path, headers=sent)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_person_works_in_a_terminal_on_the_desktop(workspace: RunningWorkspace, desktop: Any, tmp_path: Path) -> None:
    wait_until(lambda: screen_size(workspace) == "1280x800", "the screen as large as the window")
    left, below = TERMINAL_LAUNCHER

    def click_opens_a_terminal() -> bool:
        # The panel follows the screen a moment later, and a click meanwhile meets nothing.
        desktop.mouse.click(left, 800 - below)
        desktop.wait_for_timeout(5000)
        return window_open(workspace, '"xterm" "XTerm"')

    wait_until(click_opens_a_terminal, "a terminal")
    desktop.wait_for_timeout(1000)
    desktop.keyboard.type("echo \"I'm {typed} ~ here & ", delay=20)
    press_a_key_of_a_german_keyboard(desktop)
    desktop.keyboard.type('ber" > /workspace/typed; clear; ls -la / /usr\n', delay=20)
    wait_until(lambda: workspace.run("cat /workspace/typed", check=False).stdout, "the file that was typed")
    assert workspace.run("cat /workspace/typed").stdout == "I'm {typed} ~ here & über\n"
    desktop.wait_for_timeout(1000)
    picture = screenshot(desktop, "gui-terminal", tmp_path)
    assert not picture.is_blank()
    assert picture.share(DESKTOP) > 0.2, "the desktop is behind the terminal"
    assert picture.share(TERMINAL, 2) > 0.1, "the terminal has its own background"
    assert picture.share(PANEL, 2) > 0.01, "the panel is there"
    assert picture.share((0xE6, 0xED, 0xF3), 60) > 0.002, "the terminal shows text"


def test_the_screen_follows_the_window(workspace: RunningWorkspace, desktop: Any) -> None:
    for width, height in ((1000, 700), (1440, 900), (1280, 800)):
        desktop.set_viewport_size({"width": width, "height": height})
        wait_until(lambda size=f"{width}x{height}": screen_size(workspace) == size, f"a screen of {width}x{height}")
        assert f"current {width} x {height}" in workspace.run("xrandr").stdout


def test_the_clipboard_goes_both_ways(workspace: RunningWorkspace, desktop: Any) -> None:
    desktop.click("#noVNC_control_bar_handle")
    desktop.click("#noVNC_clipboard_button")
    text = desktop.locator("#noVNC_clipboard_text")
    text.fill("from the browser: 42 €")
    text.blur()
    pasted = "timeout 20 xclip -out -selection clipboard"
    wait_until(lambda: workspace.run(pasted, check=False).stdout == "from the browser: 42 €", "the browser's text")
    workspace.run("printf 'from the desktop: 43 €' | xclip -in -selection clipboard >/dev/null 2>&1")
    wait_until(lambda: text.input_value() == "from the desktop: 43 €", "the desktop's text")


def test_the_browser_of_the_desktop_opens(workspace: RunningWorkspace, desktop: Any, tmp_path: Path) -> None:
    wait_until(lambda: screen_size(workspace) == "1280x800", "the screen as large as the window")
    left, below = BROWSER_LAUNCHER
    desktop.mouse.click(left, 800 - below)
    try:
        wait_until(lambda: window_open(workspace, "Mozilla Firefox"), "a window of Firefox")
        assert not screenshot(desktop, "gui-browser", tmp_path).is_blank()
    finally:
        workspace.run("pkill --full firefox-esr", check=False)


def test_chromium_without_the_password_gets_nothing(browser: Any, address: str, password: str) -> None:
    with page_of(browser) as page:
        try:
            answer = page.goto(f"http://{address}/vnc.html")
        except Exception as error:
            # Newer ones of Chromium show no page at all.
            assert re.search(REFUSED, str(error))  # noqa: PT017 - a 401 page is as good
        else:
            assert answer.status == 401
        assert "noVNC" not in content(page)
    for wrong in ("wrong", password[:-1], password + "x", password[:8]):
        with page_of(browser, password=wrong) as page:
            with pytest.raises(Exception, match=REFUSED):
                page.goto(f"http://{address}/vnc.html")
            assert "noVNC" not in content(page)


@pytest.mark.parametrize("path", ["/", "/vnc.html", "/core/rfb.js", "/websockify", "/nothing", "/../etc/passwd"])
def test_nothing_answers_without_the_password(address: str, password: str, path: str) -> None:
    upgrade = UPGRADE if path == "/websockify" else {}
    for wrong in (None, "", "wrong", password[:8]):
        assert request(address, path, wrong, upgrade) == 401
    assert request(address, path, headers={**upgrade, "Authorization": "Basic not-base64!"}) == 401
    assert request(address, path, headers={**upgrade, "Authorization": "Bearer x"}) == 401


def test_the_password_opens_the_page_and_the_connection(address: str, password: str) -> None:
    assert request(address, "/", password) == 200
    assert request(address, "/websockify", password, UPGRADE) == 101
    assert request(address, "/websockify", password, {**UPGRADE, "Origin": f"http://{address}"}) == 101
    assert request(address, "/core/", password) == 404


def test_a_page_of_another_site_cannot_use_the_browsers_password(address: str, password: str) -> None:
    for origin in ("http://evil.example", "null", f"http://{address}.evil.example"):
        assert request(address, "/websockify", password, {**UPGRADE, "Origin": origin}) == 403


def test_a_new_password_counts_at_once(workspace: RunningWorkspace, address: str, password: str) -> None:
    workspace.write_secret("password", "another-one\n")
    try:
        assert request(address, "/", password) == 401
        assert request(address, "/", "another-one") == 200
    finally:
        workspace.write_secret("password", f"{password}\n")


def test_nothing_else_listens(workspace: RunningWorkspace) -> None:
    """0A is the state LISTEN; addresses are hexadecimal, the port after the colon."""
    listening = {
        (fields[1].rpartition(":")[0], int(fields[1].rpartition(":")[2], 16))
        for fields in map(str.split, workspace.run("cat /proc/net/tcp /proc/net/tcp6").stdout.splitlines())
        if len(fields) > 3 and fields[3] == "0A"
    }
    from_outside = {port for host, port in listening if host != "0100007F" and not host.endswith("1000000")}
    assert 6080 in from_outside
    assert from_outside <= {2222, 4096, 4097, 6080, 8080}
    assert workspace.run("stat --format %a /run/codeopen/gui /run/codeopen/gui/vnc.sock").stdout.split() == [
        "700",
        "600",
    ]


def test_the_password_is_in_no_process(workspace: RunningWorkspace, desktop: Any, password: str) -> None:
    seen = workspace.run(
        "for process in $(pgrep 'Xvnc|websockify|openbox|tint2'); do cat /proc/$process/cmdline /proc/$process/environ; done"
    ).stdout
    assert "/usr/bin/websockify" in seen
    assert password not in seen


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("gui-display", "^/usr/bin/Xvnc"),
        ("gui", "/usr/bin/websockify"),
        ("gui-windows", "^/usr/bin/openbox"),
        ("gui-panel", "^/usr/bin/tint2"),
    ],
)
def test_what_is_killed_comes_back_and_the_page_connects_again(
    workspace: RunningWorkspace, desktop: Any, what: str, pattern: str
) -> None:
    killed = workspace.run(f"pgrep --oldest --full '{pattern}'").stdout.strip()
    workspace.run(f"kill -KILL {killed}")
    workspace.run(f"timeout 60 sh -c 'until ! kill -0 {killed} 2>/dev/null; do sleep 0.1; done'")
    workspace.run("timeout 200 sh -c 'until codeopen-health >/dev/null; do sleep 0.2; done'")
    assert workspace.run(f"pgrep --oldest --full '{pattern}'").stdout.strip() != killed
    if what in ("gui", "gui-display"):
        desktop.wait_for_selector("html.noVNC_connected", state="attached")
        desktop.set_viewport_size({"width": 1100, "height": 750})
        wait_until(lambda: screen_size(workspace) == "1100x750", "the page works again")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("gui", "nothing listens"),
        ("gui-display", "the X server does not answer on display :1"),
        ("gui-windows", "no window manager on display :1"),
        ("gui-panel", "no panel on display :1"),
    ],
)
def test_the_health_check_says_what_is_gone(workspace: RunningWorkspace, what: str, says: str) -> None:
    workspace.run(f"sv -w 30 down /run/codeopen/services/{what}")
    try:
        done = workspace.run("codeopen-health", check=False)
        assert done.returncode == 1
        assert any(line.startswith(f"{what}: UNHEALTHY: ") and says in line for line in done.stdout.splitlines())
    finally:
        workspace.run(f"sv -w 30 up /run/codeopen/services/{what}")
        workspace.run("timeout 200 sh -c 'until codeopen-health >/dev/null; do sleep 0.2; done'")


def test_the_desktop_comes_back_after_a_restart_of_the_container(workspace: RunningWorkspace) -> None:
    docker("restart", workspace.name)
    workspace.wait_until_healthy()
    assert "gui-display: healthy" in workspace.run("codeopen-health").stdout
