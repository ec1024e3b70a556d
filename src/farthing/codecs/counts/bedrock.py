"""Usage as Amazon Bedrock's Converse reports it.

inputTokens excludes what was read from or written to the cache; cacheDetails splits the writes by
lifetime. totalTokens is the sum of input, output, cache reads and cache writes.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html and
API_runtime_CacheDetail.html (read 2026-11-24).
"""

from __future__ import annotations

import msgspec

from farthing.codecs.counts.overlap import Count, remainder
from farthing.usage import Usage

__all__ = ["ConverseCounts", "read_converse"]


class _CacheDetail(msgspec.Struct, frozen=True, rename="camel", gc=False):
    ttl: str = ""
    input_tokens: Count | None = None


class ConverseCounts(msgspec.Struct, frozen=True, rename="camel"):
    """The `usage` object of a Converse answer."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None
    cache_details: tuple[_CacheDetail, ...] | None = None


def read_converse(counts: ConverseCounts) -> Usage:
    """The usage of a Converse answer.

    Raises:
        UsageError: the one-hour writes exceed all writes.
    """
    written = counts.cache_write_input_tokens or 0
    long = sum(d.input_tokens or 0 for d in counts.cache_details or () if d.ttl == "1h")
    return Usage(
        input=counts.input_tokens or 0,
        cache_read=counts.cache_read_input_tokens or 0,
        cache_write_5m=remainder("cacheWriteInputTokens", written, "cacheDetails[1h]", long),
        cache_write_1h=long,
        output=counts.output_tokens or 0,
    )
