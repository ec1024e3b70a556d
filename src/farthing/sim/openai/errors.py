"""OpenAI's error answers, statuses and words.

Source: https://platform.openai.com/docs/guides/error-codes and bodies quoted in public issue
threads, for example cursor/cursor#1293 (quota) and mxdkl/pls#4 (key); read 2026-11-24.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import msgspec

from farthing.sim.refused import Refused

__all__ = ["bad_key", "error_body", "error_event", "no_key", "of_status", "quota", "unknown_model"]

_MESSAGES: Final = MappingProxyType(
    {
        413: "The data value transmitted exceeds the capacity limit.",
        500: "The server had an error while processing your request. Sorry about that!",
        503: "The engine is currently overloaded, please try again later",
    }
)
_KEYS_PAGE: Final = "https://platform.openai.com/account/api-keys"


def _error(refused: Refused) -> dict[str, Any]:
    return {
        "error": {
            "message": refused.message,
            "type": refused.kind,
            "param": refused.param,
            "code": refused.error_code,
        }
    }


def error_body(refused: Refused) -> bytes:
    """The JSON body, indented as OpenAI sends it."""
    return msgspec.json.format(msgspec.json.encode(_error(refused)), indent=2) + b"\n"


def error_event(refused: Refused) -> bytes:
    """The event that ends a stream which fails midway."""
    return b"data: " + msgspec.json.encode(_error(refused)) + b"\n\n"


def no_key() -> Refused:
    """No key was sent."""
    return Refused(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password "
        "field (with blank username) if you're accessing the API from your browser and are "
        f"prompted for a username and password. You can obtain an API key from {_KEYS_PAGE}.",
    )


def bad_key(key: str) -> Refused:
    """A key that is not known; most of it is starred out."""
    shown = key if len(key) <= 12 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
    return Refused(
        401,
        f"Incorrect API key provided: {shown}. You can find your API key at {_KEYS_PAGE}.",
        code="invalid_api_key",
    )


def unknown_model(model: str) -> Refused:
    """A model that does not exist."""
    return Refused(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def quota() -> Refused:
    """The account's money is gone; waiting does not help."""
    return Refused(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        kind="insufficient_quota",
        code="insufficient_quota",
    )


def of_status(status: int, model: str, retry_after_s: float) -> Refused:
    """The error OpenAI gives with `status`."""
    match status:
        case 401:
            return bad_key("sk-sim-0000000000000000")
        case 404:
            return unknown_model(model)
        case 429:
            return _rate_limit(model, retry_after_s)
        case _ if status in _MESSAGES or status >= 500:
            kind = "server_error" if status >= 500 else "invalid_request_error"
            return Refused(status, _MESSAGES.get(status, _MESSAGES[500]), kind=kind)
        case _:
            return Refused(status, f"The request was refused with status {status}.")


def _rate_limit(model: str, retry_after_s: float) -> Refused:
    return Refused(
        429,
        f"Rate limit reached for {model} in organization org-simulated on tokens per min (TPM): "
        f"Limit 2000000, Used 2000000, Requested 1000. Please try again in "
        f"{max(retry_after_s, 0.02):g}s. Visit https://platform.openai.com/account/rate-limits "
        "to learn more.",
        kind="tokens",
        code="rate_limit_exceeded",
    )
