"""Usage as Anthropic's Messages API reports it.

input_tokens excludes everything cached; cache_creation_input_tokens is all that was written, the
one-hour share included; output_tokens includes thinking.
Source: the types of anthropic 2.12.0, usage.py, beta/beta_usage.py and output_tokens_details.py
(read 2026-11-24).
"""

from __future__ import annotations

import msgspec

from farthing.codecs.codec import BilledPart
from farthing.codecs.counts.overlap import Count, remainder
from farthing.usage import Terms, Usage

__all__ = ["MessageCounts", "merge", "read_messages", "read_parts", "read_terms"]


class _CacheCreation(msgspec.Struct, frozen=True, gc=False):
    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class _ServerTools(msgspec.Struct, frozen=True, gc=False):
    web_search_requests: Count | None = None


class _OutputDetails(msgspec.Struct, frozen=True, gc=False):
    thinking_tokens: Count | None = None


class _Iteration(msgspec.Struct, frozen=True):
    """One sampling pass of a server-side loop, compaction, advisor or fallback."""

    type: str = ""
    model: str | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _CacheCreation | None = None


class MessageCounts(msgspec.Struct, frozen=True):
    """The `usage` object of a message, of message_start or of message_delta."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _CacheCreation | None = None
    server_tool_use: _ServerTools | None = None
    output_tokens_details: _OutputDetails | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    iterations: tuple[_Iteration, ...] | None = None

    def rough(self) -> Usage:
        """The headline counts as they stand, for when the details contradict them."""
        return Usage(
            input=self.input_tokens or 0,
            cache_read=self.cache_read_input_tokens or 0,
            cache_write_5m=self.cache_creation_input_tokens or 0,
            output=self.output_tokens or 0,
            is_estimated=True,
        )


_NO_CREATION = _CacheCreation()
_NO_TOOLS = _ServerTools()
_NO_OUTPUT = _OutputDetails()


def merge(start: MessageCounts, delta: MessageCounts) -> MessageCounts:
    """The counts of message_start, revised by what message_delta states (both are cumulative)."""
    revised: dict[str, object] = {}
    for name in MessageCounts.__struct_fields__:
        before, after = getattr(start, name), getattr(delta, name)
        if isinstance(before, int) and isinstance(after, int):
            revised[name] = max(before, after)  # some translations state 0 in the second
        elif after is not None:
            revised[name] = after
    return msgspec.structs.replace(start, **revised)


def _writes(total: int | None, creation: _CacheCreation | None, write_ttl: str) -> tuple[int, int]:
    """Five-minute and one-hour writes.

    The breakdown decides. What it leaves open (message_delta revises only the total) was written
    with the longest lifetime the request asked for.

    Raises:
        UsageError: the breakdown exceeds the total.
    """
    parts = creation or _NO_CREATION
    short, long = parts.ephemeral_5m_input_tokens or 0, parts.ephemeral_1h_input_tokens or 0
    if total is None:
        return short, long
    rest = remainder(
        "cache_creation_input_tokens",
        total,
        "ephemeral_5m_input_tokens + ephemeral_1h_input_tokens",
        short + long,
    )
    return (short, long + rest) if write_ttl == "1h" else (short + rest, long)


def read_messages(counts: MessageCounts, *, write_ttl: str = "") -> Usage:
    """The usage of the attempt that produced the message (see `read_parts` for the others).

    Raises:
        UsageError: the cache breakdown exceeds its total, or thinking exceeds the output.
    """
    short, long = _writes(counts.cache_creation_input_tokens, counts.cache_creation, write_ttl)
    thinking = (counts.output_tokens_details or _NO_OUTPUT).thinking_tokens or 0
    return Usage(
        input=counts.input_tokens or 0,
        cache_read=counts.cache_read_input_tokens or 0,
        cache_write_5m=short,
        cache_write_1h=long,
        output=remainder("output_tokens", counts.output_tokens or 0, "thinking_tokens", thinking),
        reasoning=thinking,
        web_search=(counts.server_tool_use or _NO_TOOLS).web_search_requests or 0,
    )


def read_parts(counts: MessageCounts, model: str, *, write_ttl: str = "") -> tuple[BilledPart, ...]:
    """What else was billed within this answer, beside the attempt that produced the message.

    The top-level counts describe only that attempt. usage.iterations records every attempt that
    is billed: a compaction's tokens and an advisor's are not in the top-level counts; a model that
    declined after it had begun to answer is billed at its own rates; one that declined before any
    output is not billed.
    Source: the types of anthropic 2.12.0, beta/beta_usage.py;
    https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback as quoted in
    https://github.com/QuantumNous/new-api/pull/7162 (both read 2026-11-24).

    Raises:
        UsageError: an iteration's cache breakdown exceeds its total.
    """
    iterations = counts.iterations or ()
    by_fallback = any(item.type == "fallback_message" for item in iterations)
    parts: list[BilledPart] = []
    for item in iterations:
        ran_on = item.model or model
        if item.type == "fallback_message" or (item.type == "message" and ran_on == model):
            continue  # counted at the top level
        if item.type == "message" and by_fallback and not item.output_tokens:
            continue  # declined before any output: not billed
        short, long = _writes(item.cache_creation_input_tokens, item.cache_creation, write_ttl)
        usage = Usage(
            input=item.input_tokens or 0,
            cache_read=item.cache_read_input_tokens or 0,
            cache_write_5m=short,
            cache_write_1h=long,
            output=item.output_tokens or 0,
        )
        parts.append(BilledPart(kind=item.type, model=ran_on, usage=usage))
    return tuple(parts)


def read_terms(counts: MessageCounts) -> Terms:
    """What the answer says about the terms it is billed on.

    Tiers: standard, priority, batch. "global" and "not_available" carry no regional price.
    Source: the types of anthropic 2.12.0, usage.py, for tiers and speeds (read 2026-11-24); the
    values of inference_geo are from memory, not checked against
    https://platform.claude.com/docs/en/build-with-claude/data-residency.
    """
    tier = counts.service_tier or ""
    region = counts.inference_geo or ""
    speed = counts.speed or ""
    return Terms(
        service_tier="default" if tier in {"", "standard", "batch"} else tier,
        is_batch=tier == "batch",
        region="" if region in {"global", "not_available"} else region,
        speed="" if speed == "standard" else speed,
    )
