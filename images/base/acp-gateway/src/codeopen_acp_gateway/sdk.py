# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is used of the protocol's SDK.

Its import takes longer than the whole start of the gateway, so it is done when something of it is first needed.
"""

from __future__ import annotations

from acp import PROTOCOL_VERSION, RequestError, spawn_agent_process
from acp.schema import (
    AllowedOutcome,
    AudioContentBlock,
    ClientCapabilities,
    DeniedOutcome,
    EmbeddedResourceContentBlock,
    ImageContentBlock,
    Implementation,
    RequestPermissionResponse,
    ResourceContentBlock,
    TextContentBlock,
)
from pydantic import TypeAdapter, ValidationError

__all__ = [
    "PROTOCOL_VERSION",
    "AllowedOutcome",
    "AudioContentBlock",
    "ClientCapabilities",
    "DeniedOutcome",
    "EmbeddedResourceContentBlock",
    "ImageContentBlock",
    "Implementation",
    "RequestError",
    "RequestPermissionResponse",
    "ResourceContentBlock",
    "TextContentBlock",
    "TypeAdapter",
    "ValidationError",
    "spawn_agent_process",
]
