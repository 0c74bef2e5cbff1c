# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use the gateway: bearer token or basic auth with the workspace's password."""

from __future__ import annotations

import base64
import binascii
import hmac
from pathlib import Path

from .errors import PasswordUnavailableError

BASIC_USER = "opencode"
CHALLENGE = 'Bearer realm="codeopen", Basic realm="codeopen", charset="UTF-8"'


def read_password(path: Path) -> bytes:
    """Return the password in the file `path`, without the line end.

    Raises PasswordUnavailableError if the file cannot be read or is empty.
    """
    try:
        password = path.read_bytes().strip(b"\r\n")
    except OSError as error:
        raise PasswordUnavailableError(f"password file {path}: {error.strerror}") from None
    if not password:
        raise PasswordUnavailableError(f"password file {path}: is empty, expected the workspace's password")
    return password


def is_authorized(header: str | None, password: bytes) -> bool:
    """Tell whether the value of an Authorization header carries `password`."""
    scheme, space, credentials = (header or "").partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer":
        return hmac.compare_digest(credentials.encode("utf-8", "surrogateescape"), password)
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, BASIC_USER.encode() + b":" + password)
    return False
