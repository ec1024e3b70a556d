"""When a failed try is made again, and after how long."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from random import Random

from farthing.config import RetrySettings

__all__ = ["RETRIED_STATUSES", "is_provider_fault", "mends_by_waiting", "retry_after_s", "wait_s"]

# Transient by the providers' own word: OpenAI retries 408, 409, 429 and >= 500 in its SDKs;
# Anthropic adds 529 (overloaded).
RETRIED_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_QUOTA = b'"insufficient_quota"'


def is_provider_fault(status: int) -> bool:
    """Whether an HTTP status speaks against the provider's health; 4xx never does."""
    return status >= 500


def mends_by_waiting(status: int, body: bytes) -> bool:
    """Whether the same target may answer if it is asked again; not where its quota is used up.

    Source: OpenAI's error codes, "You exceeded your current quota" (page read 2026-11-25).
    """
    return status in RETRIED_STATUSES and not (status == 429 and _QUOTA in body)


def retry_after_s(headers: Sequence[tuple[bytes, bytes]], now_s: float) -> float | None:
    """The wait a provider asks for: `retry-after-ms`, else `retry-after` (seconds or a date)."""
    found = {name: value for name, value in headers if name in (b"retry-after-ms", b"retry-after")}
    try:
        if b"retry-after-ms" in found:
            return max(0.0, float(found[b"retry-after-ms"]) / 1000)
        if b"retry-after" in found:
            return _seconds(found[b"retry-after"].decode("latin-1"), now_s)
    except ValueError:
        return None
    return None


def _seconds(text: str, now_s: float) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)


def wait_s(
    settings: RetrySettings, retry: int, asked_s: float | None, random: Random
) -> float | None:
    """Seconds to wait before retry number `retry` (from 1); None: not worth waiting for.

    The provider's word counts; else the backoff doubles, less up to a quarter of jitter.
    """
    if asked_s is not None:
        return asked_s if asked_s <= settings.wait_s_max else None
    doubled = settings.backoff_s * 2 ** (retry - 1)
    return min(doubled, settings.wait_s_max) * (1 - 0.25 * random.random())
