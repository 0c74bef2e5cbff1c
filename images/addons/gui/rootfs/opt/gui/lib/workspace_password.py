# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin of websockify: the workspace's password for the page and for the connection behind it."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from websockify.auth_plugins import AuthenticationError

PASSWORD = Path("/run/codeopen/secrets/password")
CHALLENGE = {"WWW-Authenticate": 'Basic realm="workspace", charset="UTF-8"', "Content-Length": "0"}
# Each request has a process of its own, so nobody else waits for it.
SECONDS_AFTER_A_WRONG_PASSWORD = 1


class WorkspacePassword:
    """HTTP basic authentication with any user name, because a workspace has one user."""

    def __init__(self, src: str | None = None) -> None:
        """Take the argument that websockify has for all plugins; this one needs none."""

    def authenticate(self, headers: Mapping[str, str], target_host: str, target_port: int) -> None:
        """Let a request in or not.

        :raises AuthenticationError: 401 without the password, 403 if another site's page has sent the request.
        """
        _refuse_other_sites(headers)
        given = _password_in(headers.get("Authorization") or "")
        if given is None:
            raise AuthenticationError("no password", 401, CHALLENGE)
        if not hmac.compare_digest(given, _password()):
            time.sleep(SECONDS_AFTER_A_WRONG_PASSWORD)
            raise AuthenticationError("wrong password", 401, CHALLENGE)


def _password() -> bytes:
    """The password as it is now, so that a new one counts at once."""
    password = PASSWORD.read_bytes().rstrip(b"\r\n")
    if not password:
        raise AuthenticationError(f"{PASSWORD} is empty", 401, CHALLENGE)
    return password


def _password_in(authorization: str) -> bytes | None:
    """The password of an Authorization header, if it has one."""
    scheme, _space, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return password if colon else None


def _refuse_other_sites(headers: Mapping[str, str]) -> None:
    """A browser sends the password along with whatever any page opens: what counts is whose page it was."""
    origin = headers.get("Origin")
    if origin is None:
        return
    # A page without a site of its own, such as one in a sandbox, says "null", which has no host.
    host = urlsplit(origin).netloc
    if not host or host not in (headers.get("Host"), headers.get("X-Forwarded-Host")):
        raise AuthenticationError(f"a page of {origin} is not this workspace's", 403, {"Content-Length": "0"})
