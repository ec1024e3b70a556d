"""Usage normalisation: each provider's overlapping counts as our disjoint `Usage`.

One function per documented shape. A count that cannot be (a part larger than its whole) raises
`UsageError`, which names both fields and both numbers.
"""

from __future__ import annotations

from farthing.codecs.counts.anthropic import MessageCounts, read_messages
from farthing.codecs.counts.bedrock import ConverseCounts, read_converse
from farthing.codecs.counts.gemini import GeminiCounts, read_gemini
from farthing.codecs.counts.openai import (
    ChatCounts,
    EmbeddingCounts,
    ResponseCounts,
    read_chat,
    read_embeddings,
    read_responses,
)
from farthing.codecs.counts.overlap import UsageError

__all__ = [
    "ChatCounts",
    "ConverseCounts",
    "EmbeddingCounts",
    "GeminiCounts",
    "MessageCounts",
    "ResponseCounts",
    "UsageError",
    "read_chat",
    "read_converse",
    "read_embeddings",
    "read_gemini",
    "read_messages",
    "read_responses",
]
