"""Usage as OpenAI and the providers that speak its protocol report it.

`read_chat` tells the dialects apart by the members only they send, else by the provider's own
total. Where a dialect counts reasoning outside completion_tokens, the total says so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farthing.codecs.counts.overlap import Count, UsageError, remainder, split_prompt
from farthing.usage import Usage

__all__ = [
    "ChatCounts",
    "EmbeddingCounts",
    "ResponseCounts",
    "read_chat",
    "read_deepseek",
    "read_embeddings",
    "read_mistral",
    "read_openai_chat",
    "read_openrouter",
    "read_responses",
    "read_total_outside",
    "read_xai",
]


class _PromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class _CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None


class _ServerTools(msgspec.Struct, frozen=True, gc=False):
    web_search_requests: Count | None = None


class ChatCounts(msgspec.Struct, frozen=True, gc=False):
    """The `usage` object of a chat completion, over all dialects."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: Count | None = None  # DeepSeek
    prompt_cache_miss_tokens: Count | None = None  # DeepSeek
    num_cached_tokens: Count | None = None  # Mistral
    prompt_audio_seconds: Any = None  # Mistral
    cost_in_usd_ticks: Count | None = None  # xAI
    server_tool_use: _ServerTools | None = None  # OpenRouter

    def rough(self) -> Usage:
        """The two headline counts as they stand, for when the details contradict them."""
        return Usage(
            input=self.prompt_tokens or 0, output=self.completion_tokens or 0, is_estimated=True
        )


class _Chat(msgspec.Struct, frozen=True, gc=False):
    """A `ChatCounts` with every absent count as 0."""

    prompt: int
    completion: int
    cached: int
    written: int
    audio_in: int
    image_in: int
    reasoning: int
    audio_out: int
    searches: int


_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()
_NO_TOOLS = _ServerTools()


def _plain(counts: ChatCounts) -> _Chat:
    prompt = counts.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = counts.completion_tokens_details or _NO_COMPLETION_DETAILS
    return _Chat(
        prompt=counts.prompt_tokens or 0,
        completion=counts.completion_tokens or 0,
        cached=prompt.cached_tokens or 0,
        written=prompt.cache_write_tokens or 0,
        audio_in=prompt.audio_tokens or 0,
        image_in=prompt.image_tokens or 0,
        reasoning=completion.reasoning_tokens or 0,
        audio_out=completion.audio_tokens or 0,
        searches=(counts.server_tool_use or _NO_TOOLS).web_search_requests or 0,
    )


def _disjoint(chat: _Chat, *, output: int) -> Usage:
    split = split_prompt(
        prompt=chat.prompt,
        in_cache=chat.cached + chat.written,
        audio=chat.audio_in,
        image=chat.image_in,
        whole="prompt_tokens",
    )
    return Usage(
        input=split.text,
        cache_read=chat.cached,
        cache_write_5m=chat.written,
        output=output,
        reasoning=chat.reasoning,
        audio_input=split.audio,
        audio_output=chat.audio_out,
        image_input=split.image,
        web_search=chat.searches,
    )


def read_chat(counts: ChatCounts) -> Usage:
    """The usage of a chat completion from whichever provider sent it.

    Raises:
        UsageError: the counts contradict each other.
    """
    if counts.prompt_cache_hit_tokens is not None:
        return read_deepseek(counts)
    if counts.cost_in_usd_ticks is not None:
        return read_xai(counts)
    if counts.num_cached_tokens is not None or counts.prompt_audio_seconds:
        return read_mistral(counts)
    return _by_total(counts)


def _by_total(counts: ChatCounts) -> Usage:
    """Tell by the total whether reasoning lies within completion_tokens or beside it.

    Raises:
        UsageError: the total is less than prompt and completion.
    """
    prompt = counts.prompt_tokens or 0
    completion = counts.completion_tokens or 0
    if counts.total_tokens == prompt + completion and counts.server_tool_use is None:
        usage = _of_text(prompt, completion, counts)
        if usage is not None:
            return usage
    if counts.total_tokens:
        surplus = remainder(
            "total_tokens",
            counts.total_tokens,
            "prompt_tokens + completion_tokens",
            (counts.prompt_tokens or 0) + (counts.completion_tokens or 0),
        )
        if surplus:
            return read_total_outside(counts, surplus)
    return read_openai_chat(counts)


def _of_text(prompt: int, completion: int, counts: ChatCounts) -> Usage | None:
    """What `read_openai_chat` gives where only text was read and nothing written to a cache.

    None: there is more to it.
    """
    cached = reasoning = 0
    into = counts.prompt_tokens_details
    if into is not None:
        if into.audio_tokens or into.image_tokens or into.cache_write_tokens:
            return None
        cached = into.cached_tokens or 0
    out = counts.completion_tokens_details
    if out is not None:
        if out.audio_tokens:
            return None
        reasoning = out.reasoning_tokens or 0
    if cached > prompt or reasoning > completion:
        return None
    return Usage(
        input=prompt - cached,
        cache_read=cached,
        output=completion - reasoning,
        reasoning=reasoning,
    )


def read_openai_chat(counts: ChatCounts) -> Usage:
    """OpenAI chat completions.

    prompt_tokens includes cached_tokens and cache_write_tokens (each billed in place of the input
    rate), audio and images; completion_tokens includes reasoning, audio and rejected predictions.
    Writes live 30 minutes; they stand in the bucket of the shorter-lived writes.
    Source: https://developers.openai.com/api/docs/guides/prompt-caching and the types of openai
    3.54.0, completion_usage.py (both read 2026-11-24).
    """
    chat = _plain(counts)
    output = remainder(
        "completion_tokens",
        chat.completion,
        "reasoning_tokens + audio_tokens",
        chat.reasoning + chat.audio_out,
    )
    return _disjoint(chat, output=output)


def read_openrouter(counts: ChatCounts) -> Usage:
    """OpenRouter: OpenAI's shape and rules, whichever model serves.

    prompt_tokens includes cached_tokens and cache_write_tokens.
    Source: https://openrouter.ai/docs/use-cases/usage-accounting and the live figures in
    https://github.com/aplisay/llm-agent/pull/345 (both read 2026-11-24).
    """
    return read_openai_chat(counts)


def read_total_outside(counts: ChatCounts, surplus: int) -> Usage:
    """A dialect whose total exceeds prompt + completion: the surplus is unseen reasoning.

    Google's OpenAI-compatible endpoint leaves thoughts out of completion_tokens and names them
    nowhere but in the total; others name them in reasoning_tokens, outside completion_tokens.
    Source: https://discuss.ai.google.dev/t/question-with-usage-in-openai-compatibility/98760, with
    its figures (read 2026-11-24).

    Raises:
        UsageError: the surplus is not the reasoning that is named.
    """
    chat = _plain(counts)
    if chat.reasoning not in (0, surplus):
        raise UsageError(
            f"The provider's usage contradicts itself: total_tokens exceeds prompt_tokens +"
            f" completion_tokens by {surplus}, yet reasoning_tokens = {chat.reasoning}."
        )
    output = remainder("completion_tokens", chat.completion, "audio_tokens", chat.audio_out)
    return _disjoint(msgspec.structs.replace(chat, reasoning=surplus), output=output)


def read_xai(counts: ChatCounts) -> Usage:
    """xAI: reasoning_tokens stand outside completion_tokens; total_tokens is the sum of all three.

    text_tokens includes cached tokens, and a cached image is counted in image_tokens and in
    cached_tokens alike, so the overlap is resolved by `split_prompt`.
    Source: https://docs.x.ai/developers/cost-tracking,
    https://docs.x.ai/developers/advanced-api-usage/prompt-caching/usage-and-pricing and
    https://github.com/UKGovernmentBEIS/inspect_ai/issues/5528 (all read 2026-11-24).
    """
    if counts.total_tokens:
        return _by_total(counts)
    chat = _plain(counts)
    output = remainder("completion_tokens", chat.completion, "audio_tokens", chat.audio_out)
    return _disjoint(chat, output=output)


def read_deepseek(counts: ChatCounts) -> Usage:
    """DeepSeek: prompt_tokens is prompt_cache_hit_tokens + prompt_cache_miss_tokens.

    Writing to its cache costs nothing extra; reasoning lies within completion_tokens.
    Source: https://github.com/prism-php/prism/pull/1021 (read 2026-11-24); that hits and misses add
    up is from memory, not checked against https://api-docs.deepseek.com/guides/kv_cache.

    Raises:
        UsageError: the hits exceed the prompt, or hits and misses do not add up to it.
    """
    chat = _plain(counts)
    hit = counts.prompt_cache_hit_tokens or 0
    missed = remainder("prompt_tokens", chat.prompt, "prompt_cache_hit_tokens", hit)
    if counts.prompt_cache_miss_tokens not in (None, missed):
        raise UsageError(
            f"The provider's usage contradicts itself: prompt_cache_hit_tokens = {hit} and"
            f" prompt_cache_miss_tokens = {counts.prompt_cache_miss_tokens} do not add up to"
            f" prompt_tokens = {chat.prompt}."
        )
    output = remainder("completion_tokens", chat.completion, "reasoning_tokens", chat.reasoning)
    return Usage(input=missed, cache_read=hit, output=output, reasoning=chat.reasoning)


def read_mistral(counts: ChatCounts) -> Usage:
    """Mistral: cached tokens (billed at a tenth) lie within prompt_tokens.

    Source: https://docs.mistral.ai/inference/conversations/advanced/prompt-caching for the price
    (read 2026-11-24); the member's name is from memory, not checked against the page.

    Raises:
        UsageError: audio is billed by the second, which no unit of ours counts.
    """
    if counts.prompt_audio_seconds:
        raise UsageError(
            f"The provider bills prompt_audio_seconds = {counts.prompt_audio_seconds}, beside"
            f" prompt_tokens = {counts.prompt_tokens}; no price by the second is known."
        )
    chat = _plain(counts)
    cached = max(chat.cached, counts.num_cached_tokens or 0)
    output = remainder("completion_tokens", chat.completion, "reasoning_tokens", chat.reasoning)
    return _disjoint(msgspec.structs.replace(chat, cached=cached), output=output)


class EmbeddingCounts(msgspec.Struct, frozen=True, gc=False):
    """The `usage` object of an embeddings answer."""

    prompt_tokens: Count | None = None
    total_tokens: Count | None = None

    def rough(self) -> Usage:
        """The larger of the two counts."""
        most = max(self.prompt_tokens or 0, self.total_tokens or 0)
        return Usage(input=most, is_estimated=True)


def read_embeddings(counts: EmbeddingCounts) -> Usage:
    """OpenAI embeddings: only input is billed, so both counts are the same; some send only one.

    Source: the types of openai 3.54.0, create_embedding_response.py (read 2026-11-24).

    Raises:
        UsageError: the two counts differ.
    """
    prompt, total = counts.prompt_tokens, counts.total_tokens
    if prompt and total and prompt != total:
        raise UsageError(
            f"The provider's usage contradicts itself: prompt_tokens = {prompt} and"
            f" total_tokens = {total} differ, though embeddings have no output."
        )
    return Usage(input=prompt or total or 0)


class _WriteDetails(msgspec.Struct, frozen=True, gc=False):
    ttl_30m_tokens: Count | None = None
    ttl_12h_tokens: Count | None = None


class _InputDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_tokens_details: _WriteDetails | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class ResponseCounts(msgspec.Struct, frozen=True, gc=False):
    """The `usage` object of the Responses API."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _CompletionDetails | None = None


_NO_INPUT_DETAILS = _InputDetails()
_NO_WRITES = _WriteDetails()


def read_responses(counts: ResponseCounts) -> Usage:
    """OpenAI Responses: the chat rules under other names; 12-hour writes are told apart.

    Source: the types of openai 3.54.0, responses/response_usage.py (read 2026-11-24).

    Raises:
        UsageError: a part exceeds its whole.
    """
    prompt = counts.input_tokens_details or _NO_INPUT_DETAILS
    reasoning = (counts.output_tokens_details or _NO_COMPLETION_DETAILS).reasoning_tokens or 0
    cached, written = prompt.cached_tokens or 0, prompt.cache_write_tokens or 0
    long = (prompt.cache_write_tokens_details or _NO_WRITES).ttl_12h_tokens or 0
    split = split_prompt(
        prompt=counts.input_tokens or 0,
        in_cache=cached + written,
        audio=prompt.audio_tokens or 0,
        image=prompt.image_tokens or 0,
        whole="input_tokens",
    )
    return Usage(
        input=split.text,
        cache_read=cached,
        cache_write_5m=remainder("cache_write_tokens", written, "ttl_12h_tokens", long),
        cache_write_1h=long,
        output=remainder("output_tokens", counts.output_tokens or 0, "reasoning_tokens", reasoning),
        reasoning=reasoning,
        audio_input=split.audio,
        image_input=split.image,
    )
