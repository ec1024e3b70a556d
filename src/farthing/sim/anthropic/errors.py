"""Anthropic's error answers, statuses and words.

Source: https://docs.claude.com/en/api/errors (read 2026-11-24).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import msgspec

from farthing.sim.refused import Refused

__all__ = ["bad_key", "error_body", "error_event", "no_key", "of_status", "unknown_model"]

_KINDS: Final = MappingProxyType(
    {
        400: ("invalid_request_error", "The request was refused."),
        401: ("authentication_error", "invalid x-api-key"),
        402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
        403: ("permission_error", "Your API key does not have permission to use this resource."),
        404: ("not_found_error", "Not found"),
        413: ("request_too_large", "Request exceeds the maximum size"),
        429: (
            "rate_limit_error",
            (
                "This request would exceed your organization's rate limit of 2,000,000 input "
                "tokens per minute. For details, refer to: "
                "https://docs.claude.com/en/api/rate-limits."
            ),
        ),
        500: ("api_error", "Internal server error"),
        503: ("api_error", "Service temporarily unavailable"),
        504: ("timeout_error", "Request timed out"),
        529: ("overloaded_error", "Overloaded"),
    }
)


def error_body(refused: Refused, request_id: str) -> bytes:
    """The JSON body."""
    return msgspec.json.encode(
        {
            "type": "error",
            "error": {"type": refused.kind, "message": refused.message},
            "request_id": request_id,
        }
    )


def error_event(refused: Refused) -> bytes:
    """The event that ends a stream which fails midway."""
    error = {"type": "error", "error": {"type": refused.kind, "message": refused.message}}
    return b"event: error\ndata: " + msgspec.json.encode(error) + b"\n\n"


def no_key() -> Refused:
    """No key was sent."""
    return Refused(401, "x-api-key header is required", kind="authentication_error")


def bad_key() -> Refused:
    """A key that is not known."""
    return of_status(401)


def unknown_model(model: str) -> Refused:
    """A model that does not exist."""
    return Refused(404, f"model: {model}", kind="not_found_error")


def of_status(status: int) -> Refused:
    """The error Anthropic gives with `status`."""
    kind, message = _KINDS.get(status) or _KINDS[500 if status >= 500 else 400]
    return Refused(status, message, kind=kind)
