# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients send: checks bodies and parameters, and names the key that is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Union

from .errors import BadRequestError

if TYPE_CHECKING:
    from . import sdk

    ContentBlock = Union[
        sdk.TextContentBlock,
        sdk.ImageContentBlock,
        sdk.AudioContentBlock,
        sdk.ResourceContentBlock,
        sdk.EmbeddedResourceContentBlock,
    ]


def parse_object(text: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    """Return the JSON object in `text` (empty text: an empty object) whose keys are all in `allowed`.

    Raises BadRequestError.
    """
    if not text.strip():
        return {}
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadRequestError(
            f"body: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise BadRequestError("body: nested too deeply") from None
    if not isinstance(body, dict):
        raise BadRequestError("body: expected a JSON object")
    for key in body:
        if key not in allowed:
            raise BadRequestError(f"{key}: unknown key, expected {' or '.join(allowed)}")
    return body


def parse_new_session(text: str) -> str | None:
    """Return the wished folder of a new session, if one is named."""
    cwd = parse_object(text, ("cwd",)).get("cwd")
    if cwd is not None and not isinstance(cwd, str):
        raise BadRequestError("cwd: expected a string")
    return cwd


def parse_prompt(text: str) -> list[ContentBlock]:
    """Return the content blocks of a prompt, given as `text` or as `content`."""
    from . import sdk

    body = parse_object(text, ("text", "content"))
    if len(body) != 1:
        raise BadRequestError("text, content: expected exactly one of the two keys")
    if "text" in body:
        if not isinstance(body["text"], str) or not body["text"].strip():
            raise BadRequestError("text: expected a string that is not empty")
        return [sdk.TextContentBlock(type="text", text=body["text"])]
    blocks = body["content"]
    if not isinstance(blocks, list) or not blocks:
        raise BadRequestError("content: expected a list of content blocks that is not empty")
    return [_parse_block(f"content[{index}]", block) for index, block in enumerate(blocks)]


def _parse_block(where: str, block: object) -> ContentBlock:
    from . import sdk

    models: Mapping[str, type[ContentBlock]] = {
        "text": sdk.TextContentBlock,
        "image": sdk.ImageContentBlock,
        "audio": sdk.AudioContentBlock,
        "resource_link": sdk.ResourceContentBlock,
        "resource": sdk.EmbeddedResourceContentBlock,
    }
    if not isinstance(block, dict):
        raise BadRequestError(f"{where}: expected an object")
    type_ = block.get("type")
    model = models.get(type_) if isinstance(type_, str) else None
    if model is None:
        raise BadRequestError(f"{where}.type: expected one of {', '.join(models)}")
    try:
        return sdk.TypeAdapter(model).validate_python(block)
    except sdk.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = ".".join([where, *(str(part) for part in first["loc"])])
        raise BadRequestError(f"{path}: {first['msg']}") from None


def parse_permission_answer(text: str) -> str | None:
    """Return the chosen option's id, or None for cancelled."""
    body = parse_object(text, ("optionId", "outcome"))
    if len(body) != 1:
        raise BadRequestError('optionId, outcome: expected either {"optionId": …} or {"outcome": "cancelled"}')
    if "outcome" in body:
        if body["outcome"] != "cancelled":
            raise BadRequestError("outcome: expected cancelled, or the key optionId instead")
        return None
    if not isinstance(body["optionId"], str):
        raise BadRequestError("optionId: expected a string")
    return body["optionId"]


def parse_wait(query: Mapping[str, str]) -> bool:
    """Return whether the client wants to wait for the prompt's end (?wait=true)."""
    value = query.get("wait", "false")
    if value not in ("true", "false"):
        raise BadRequestError("wait: expected true or false")
    return value == "true"


def parse_last_event_id(value: str | None) -> int:
    """Return the id of the last event that a reader saw; 0 if it saw none."""
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise BadRequestError("Last-Event-ID: expected the number that came as id with an event")
    return int(value)
