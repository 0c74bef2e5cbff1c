# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the gateway: each knows its HTTP status and its code in the answer."""

from __future__ import annotations


class GatewayError(Exception):
    """An error that a client of the gateway is told."""

    status = 500
    code = "internal_error"


class ConfigError(GatewayError):
    """The settings do not allow the gateway to start."""

    code = "bad_settings"


class BadRequestError(GatewayError):
    """The request's body, query or headers are not as expected; the message names the key."""

    status = 400
    code = "bad_request"


class UnauthorizedError(GatewayError):
    """No credentials, or wrong ones."""

    status = 401
    code = "unauthorized"


class UnsupportedMediaTypeError(GatewayError):
    """The body is not declared to be JSON."""

    status = 415
    code = "unsupported_media_type"


class UnknownSessionError(GatewayError):
    """No session has this id."""

    status = 404
    code = "unknown_session"


class UnknownPermissionError(GatewayError):
    """No permission request with this id waits for an answer."""

    status = 404
    code = "unknown_permission_request"


class PromptRunningError(GatewayError):
    """The session still works on an earlier prompt."""

    status = 409
    code = "prompt_running"


class SessionEndedError(GatewayError):
    """The session's agent is gone; only its events can still be read."""

    status = 410
    code = "session_ended"


class AgentError(GatewayError):
    """The agent answered with an error."""

    status = 502
    code = "agent_error"


class AgentDiedError(GatewayError):
    """The agent ended while it was asked something."""

    status = 502
    code = "agent_died"


class AgentUnavailableError(GatewayError):
    """The agent could not be started."""

    status = 503
    code = "agent_unavailable"


class PasswordUnavailableError(GatewayError):
    """The password file cannot be read, so nobody can be let in."""

    status = 503
    code = "password_unavailable"
