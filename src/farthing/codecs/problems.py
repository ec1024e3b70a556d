"""Errors in the shapes of the two protocols.

OpenAI: {"error": {"message", "type", "param", "code"}}; a stream that fails sends that object as
data and no [DONE].
Anthropic: {"type": "error", "error": {"type", "message"}}; a stream that fails sends it as an
`error` event and no message_stop.
Source: the types of openai 3.54.0 (shared/error_object.py) and of anthropic 2.12.0
(types/shared/error_response.py), read 2026-11-24.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from farthing.codecs.codec import Problem
from farthing.money import Money

__all__ = [
    "anthropic_error",
    "anthropic_error_event",
    "openai_error",
    "openai_error_event",
]

_ANTHROPIC_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _encode(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document, enc_hook=str)


def _details(problem: Problem) -> dict[str, Any]:
    """The details with sums as their exact text in USD."""
    return {k: str(v) if isinstance(v, Money) else v for k, v in problem.details.items()}


def openai_error(problem: Problem) -> bytes:
    """The body of an OpenAI error; details are further members of `error`."""
    own = {
        "message": problem.message,
        "type": problem.kind,
        "param": problem.param,
        "code": problem.code or None,
    }
    return _encode(
        {"error": {**own, **{k: v for k, v in _details(problem).items() if k not in own}}}
    )


def openai_error_event(problem: Problem) -> bytes:
    """The event that ends an OpenAI stream in failure."""
    return b"data: " + openai_error(problem) + b"\n\n"


def anthropic_error(problem: Problem) -> bytes:
    """The body of an Anthropic error; details are further members of `error`.

    A kind that Anthropic does not know becomes the one that goes with the status, so that its
    SDKs raise the class a caller expects; our code stays beside it.
    """
    kind = problem.kind
    if kind not in _ANTHROPIC_KINDS.values():
        kind = _ANTHROPIC_KINDS.get(
            problem.status, "api_error" if problem.status >= 500 else "invalid_request_error"
        )
    own: dict[str, Any] = {"type": kind, "message": problem.message}
    further = {"code": problem.code, "param": problem.param} | _details(problem)
    details = {k: v for k, v in further.items() if k not in own and v not in (None, "")}
    return _encode({"type": "error", "error": {**own, **details}})


def anthropic_error_event(problem: Problem) -> bytes:
    """The event that ends an Anthropic stream in failure."""
    return b"event: error\ndata: " + anthropic_error(problem) + b"\n\n"
