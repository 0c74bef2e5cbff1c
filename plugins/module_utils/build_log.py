# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a build or another long run: a file on the host that is read while it grows, with no password in it."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Callable, Optional, TextIO
from urllib.parse import unquote, urlsplit

from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError

# Lines that start so are the output of build steps; all others are progress.
OUTPUT_PREFIX = "    "
# The last line of every log, so that a reader knows that nothing more will come.
END_MARK = "-- end of the log"
# Options of modules with such a log, as the documentation fragment progress describes them.
PROGRESS_OPTIONS: dict[str, Any] = {
    "progress": {"type": "bool", "default": True},
    "log_path": {"type": "path"},
    "detach": {"type": "bool", "default": False},
}


def new_log_path(state_dir: str, now: Optional[float] = None, kind: str = "build") -> str:
    """Give the path of a log that begins now; ``now`` in seconds since 1970."""
    moment = time.time() if now is None else now
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment))
    return os.path.join(state_dir, "logs", f"{kind}-{stamp}.{int(moment * 1000) % 1000:03d}Z.log")


class Redactor:
    """Takes the user names and passwords of URLs out of texts.

    :param texts: what may hold such URLs: proxies and mirrors.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        secrets = set()
        for url in re.findall(r"[a-z][a-z0-9+.-]*://\S+", "\n".join(texts)):
            userinfo = urlsplit(url).netloc.rpartition("@")[0]
            if userinfo:
                password = userinfo.partition(":")[2]
                secrets.add(userinfo)
                # A password of a letter or two would blot out every word it is in.
                secrets.update(part for part in (password, unquote(password)) if len(part) > 3)
        # The longest first, so that no rest of it stays.
        self._secrets = sorted(secrets, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return text


class BuildLog:
    """Writes a log line by line, each at once.

    :param path: the file, which the first line makes anew; its directory is made if it is missing.
    :param begins: called when the file has been made.
    """

    def __init__(self, path: str, redact: Redactor, begins: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._redact = redact
        self._begins = begins
        self._created = time.monotonic()
        self._file: Optional[TextIO] = None
        self._opening = threading.Lock()

    @property
    def begun(self) -> bool:
        """Whether there is anything in it."""
        return self._file is not None

    def progress(self, text: str) -> None:
        """Write a line that people see while the build runs.

        :raises BuildError: the file cannot be written.
        """
        elapsed = int(time.monotonic() - self._created)
        self._write(f"[{elapsed // 60:02d}:{elapsed % 60:02d}] {text}")

    def remark(self, text: str) -> None:
        """Write such a line if it can be written: what a run has begun is not undone for want of a log.

        :raises BuildError: the file cannot be made, so that nothing is begun.
        """
        begun = self.begun
        try:
            self.progress(text)
        except BuildError:
            if not begun:
                raise

    def output(self, layer: str, text: str) -> None:
        """Write a line of a build step's output."""
        self._write(f"{OUTPUT_PREFIX}{layer}| {text}")

    def _write(self, line: str) -> None:
        try:
            self._opened().write(self._redact(line).replace("\n", "\n" + OUTPUT_PREFIX) + "\n")
        except OSError as error:
            raise BuildError(
                disk_error(f"the log {self.path} cannot be written: {error}", os.path.dirname(self.path)), self.path
            ) from error

    def _opened(self) -> TextIO:
        with self._opening:
            if self._file is None:
                os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
                self._file = open(self.path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 - open for its whole life
                self._begins()
            return self._file

    def __enter__(self) -> BuildLog:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._file is None:
            return
        try:
            self._file.write(END_MARK + "\n")
            self._file.close()
        except OSError:
            # A full disk was reported when the line before was written; a reader then goes by the job's end.
            pass


def disk_error(message: str, directory: str) -> str:
    """Add to a message of a full disk which directory is full, and what helps."""
    if "no space left on device" not in message.lower():
        return message
    return (
        f"{message}\nThere is no space left on the disk of {directory}. See what Docker keeps with 'docker system df', "
        "make room (old images: 'docker image prune', build cache: 'docker builder prune') and run again; "
        "the layers that are finished are kept."
    )
