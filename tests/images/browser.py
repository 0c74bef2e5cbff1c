# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real headless Chromium, Debian's own, for the tests of what workspaces show in a browser."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# A guard against waiting for ever, far above what a loaded machine needs.
SECONDS = 300
Colour = tuple[int, int, int]


@contextmanager
def chromium() -> Iterator[Any]:
    """Run Chromium, or skip (with ``CODEOPEN_REQUIRE_IMAGES=1``, fail) where there is none.

    :return: Playwright's browser.
    """
    reason = None
    program = shutil.which("chromium")
    if program is None:
        reason = "needs Chromium (package chromium): run scripts/test-packages.sh"
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        reason = f"needs playwright (requirements-dev.txt): {error}"
    if reason:
        if os.environ.get("CODEOPEN_REQUIRE_IMAGES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, and the pages are our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--no-proxy-server"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Any, *, password: str = "", width: int = 1280, height: int = 800) -> Iterator[Any]:
    """Open a page with a session of its own.

    :param password: what the browser answers when a site asks for a name and a password.
    """
    credentials = {"username": "opencode", "password": password} if password else None
    context = browser.new_context(http_credentials=credentials, viewport={"width": width, "height": height})
    context.set_default_timeout(SECONDS * 1000)
    try:
        yield context.new_page()
    finally:
        context.close()


def wait_until(ready: Callable[[], Any], what: str) -> Any:
    """Wait until ``ready()`` gives something that counts as true, and return that.

    :raises AssertionError: it never did.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        found = ready()
        if found:
            return found
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.3)


def screenshot(page: Any, name: str, directory: Path) -> Picture:
    """Take a picture of the page, and keep it where CODEOPEN_SCREENSHOTS says."""
    kept = Path(os.environ.get("CODEOPEN_SCREENSHOTS", directory))
    kept.mkdir(parents=True, exist_ok=True)
    return Picture(page.screenshot(path=str(kept / f"{name}.png")))


class Picture:
    """What a screenshot shows, in shares of its pixels."""

    def __init__(self, png: bytes) -> None:
        from PIL import Image

        image = Image.open(io.BytesIO(png)).convert("RGB")
        self.pixels = image.width * image.height
        self.colours = {colour: count for count, colour in image.getcolors(maxcolors=self.pixels)}

    def share(self, colour: Colour, tolerance: int = 8) -> float:
        """The share of pixels of a colour, between 0 and 1; JPEG may have shifted it by the tolerance."""
        near = (
            count
            for seen, count in self.colours.items()
            if all(abs(one - other) <= tolerance for one, other in zip(seen, colour))
        )
        return sum(near) / self.pixels

    def is_blank(self) -> bool:
        """Whether nearly everything has one colour."""
        return max(self.colours.values()) / self.pixels > 0.99 or len(self.colours) < 16
