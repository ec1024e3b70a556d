"""Rate limits as response headers, in the words of the provider whose protocol the caller speaks.

OpenAI: `x-ratelimit-limit-requests`, `-remaining-`, `-reset-`, the same for tokens; a reset is a
length of time as Go writes it (`12ms`, `6m0s`).
Source: https://platform.openai.com/docs/guides/rate-limits (known 2026-11-24).

Anthropic: `anthropic-ratelimit-requests-limit`, `-remaining`, `-reset`, the same for tokens; a
reset is an instant in RFC 3339, in whole seconds.
Source: https://docs.anthropic.com/en/api/rate-limits (known 2026-11-24).

A refusal says `retry-after` in whole seconds, rounded up, as RFC 9110 (10.2.3) has it, and
`retry-after-ms`, which the official SDKs prefer where it stands.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from farthing.limits.limiter import Gauge, Limits, TooMany

__all__ = ["anthropic_headers", "go_duration", "openai_headers", "retry_headers"]

Header = tuple[bytes, bytes]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US: Final = 1_000_000


def openai_headers(limits: Limits) -> list[Header]:
    """The `x-ratelimit-*` headers of an answer; none for limits that are not set."""
    made: list[Header] = []
    for name, gauge in _named(limits):
        said = (
            ("limit", str(gauge.limit)),
            ("remaining", str(gauge.remaining)),
            ("reset", go_duration(gauge.reset_us)),
        )
        made += [(f"x-ratelimit-{word}-{name}".encode(), text.encode()) for word, text in said]
    return made


def anthropic_headers(limits: Limits, now_us: int) -> list[Header]:
    """The `anthropic-ratelimit-*` headers; `now_us` is the wall clock, UTC."""
    made: list[Header] = []
    for name, gauge in _named(limits):
        said = (
            ("limit", str(gauge.limit)),
            ("remaining", str(gauge.remaining)),
            ("reset", _instant(now_us + gauge.reset_us)),
        )
        made += [
            (f"anthropic-ratelimit-{name}-{word}".encode(), text.encode()) for word, text in said
        ]
    return made


def retry_headers(refused: TooMany) -> list[Header]:
    """When to try again, and whether to: SDKs must not retry what never fits.

    Source of `x-should-retry` and `retry-after-ms`: the official Python SDKs' `_base_client.py`
    (openai 3.52, anthropic 2.9).
    """
    if refused.is_never:
        return [(b"x-should-retry", b"false")]
    wait_us = refused.wait_us or _SECOND_US  # nobody knows when a running call ends
    return [
        (b"retry-after", b"%d" % -(-wait_us // _SECOND_US)),
        (b"retry-after-ms", b"%d" % -(-wait_us // 1000)),
    ]


def go_duration(length_us: int) -> str:
    """A length of time as Go's `Duration.String` writes it, to the millisecond, rounded up.

    Source: https://pkg.go.dev/time#Duration.String (known 2026-11-24).
    """
    whole_ms = -(-length_us // 1000)
    if whole_ms == 0:
        return "0s"
    if whole_ms < 1000:
        return f"{whole_ms}ms"
    seconds, ms = divmod(whole_ms, 1000)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    tail = f"{seconds}.{ms:03d}".rstrip("0").rstrip(".") if ms else str(seconds)
    if hours:
        return f"{hours}h{minutes}m{tail}s"
    return f"{minutes}m{tail}s" if minutes else f"{tail}s"


def _named(limits: Limits) -> list[tuple[str, Gauge]]:
    both = (("requests", limits.requests), ("tokens", limits.tokens))
    return [(name, gauge) for name, gauge in both if gauge is not None]


def _instant(at_us: int) -> str:
    up = -(-at_us // _SECOND_US) * _SECOND_US
    return (_EPOCH + timedelta(microseconds=up)).strftime("%Y-%m-%dT%H:%M:%SZ")
