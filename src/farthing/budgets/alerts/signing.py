"""Signatures of webhooks, so that a receiver knows who sent them.

Standard Webhooks 1.0.0: three headers, `webhook-id`, `webhook-timestamp` (whole seconds) and
`webhook-signature`; signed is `ID.TIMESTAMP.BODY` with HMAC-SHA256. A secret is base64 of 24 to
64 random bytes, written `whsec_...`. While a secret is being replaced, both sign.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(version 1.0.0, read 2026-11-24).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final

from farthing.errors import ConfigError
from farthing.secret import Secret

__all__ = ["signing_key", "verify", "webhook_headers"]

_PREFIX: Final = "whsec_"
_BYTES_LEAST: Final = 24
_BYTES_MOST: Final = 64
_TOLERANCE_S: Final = 300


def signing_key(secret: Secret) -> bytes:
    """The key that a written secret stands for.

    Raises:
        ConfigError: it is no base64, or too short or long; the secret is not shown.
    """
    try:
        key = base64.b64decode(secret.reveal().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _BYTES_LEAST <= len(key) <= _BYTES_MOST:
        raise ConfigError(
            "A webhook's signing secret must be base64 of 24 to 64 random bytes, with or without"
            " the prefix whsec_. Nothing was sent. Make one with:"
            " echo whsec_$(openssl rand -base64 32)"
        )
    return key


def webhook_headers(
    keys: Sequence[bytes], message_id: str, now_us: int, body: bytes
) -> list[tuple[bytes, bytes]]:
    """The headers that sign `body` as sent at `now_us`, one signature for each key."""
    seconds = now_us // 1_000_000
    signatures = " ".join(_signature(key, message_id, seconds, body) for key in keys)
    return [
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", b"%d" % seconds),
        (b"webhook-signature", signatures.encode()),
    ]


def verify(key: bytes, headers: dict[bytes, bytes], body: bytes, now_us: int) -> bool:
    """Whether a webhook is signed with `key` and was sent within five minutes of `now_us`.

    What a receiver does; here so that a Python receiver can import it.
    """
    try:
        message_id = headers[b"webhook-id"].decode()
        seconds = int(headers[b"webhook-timestamp"])
        given = headers[b"webhook-signature"].decode().split(" ")
    except (KeyError, ValueError):
        return False
    if abs(now_us // 1_000_000 - seconds) > _TOLERANCE_S:
        return False
    expected = _signature(key, message_id, seconds, body)
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)


def _signature(key: bytes, message_id: str, seconds: int, body: bytes) -> str:
    signed = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
