"""Usage as Google's Gemini reports it in usageMetadata.

promptTokenCount includes the cached content; thoughts and tool-use prompts stand beside prompt and
candidates: totalTokenCount is the sum of the four.
Source: https://firebase.google.com/docs/reference/js/ai.usagemetadata and
https://docs.langchain4j.dev/apidocs/dev/langchain4j/model/google/genai/GoogleGenAiTokenUsage.html
(read 2026-11-24).
"""

from __future__ import annotations

import msgspec

from farthing.codecs.counts.overlap import Count, UsageError, remainder, split_prompt
from farthing.usage import Usage

__all__ = ["GeminiCounts", "read_gemini"]


class _Modality(msgspec.Struct, frozen=True, rename="camel", gc=False):
    modality: str = ""
    token_count: Count | None = None


class GeminiCounts(msgspec.Struct, frozen=True, rename="camel"):
    """The `usageMetadata` object of a Gemini answer."""

    prompt_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    total_token_count: Count | None = None
    prompt_tokens_details: tuple[_Modality, ...] | None = None
    cache_tokens_details: tuple[_Modality, ...] | None = None
    candidates_tokens_details: tuple[_Modality, ...] | None = None


# Video frames and document pages are tokenised as images and billed like them.
_SEEN = frozenset({"IMAGE", "VIDEO", "DOCUMENT"})


def _tokens(details: tuple[_Modality, ...] | None, modalities: frozenset[str]) -> int:
    return sum(d.token_count or 0 for d in details or () if d.modality in modalities)


def read_gemini(counts: GeminiCounts) -> Usage:
    """The usage of a generateContent answer.

    Where cacheTokensDetails names the cached modalities it is exact, else cached tokens count
    against text first. Tool-use prompts are billed as input. Image output has no bucket of its
    own and stands in `output`.

    Raises:
        UsageError: a part exceeds its whole, or the four counts do not add up to the total.
    """
    prompt, cached = counts.prompt_token_count or 0, counts.cached_content_token_count or 0
    candidates, thoughts = counts.candidates_token_count or 0, counts.thoughts_token_count or 0
    tools = counts.tool_use_prompt_token_count or 0
    summed = prompt + candidates + thoughts + tools
    if counts.total_token_count not in (None, summed):
        raise UsageError(
            f"The provider's usage contradicts itself: totalTokenCount ="
            f" {counts.total_token_count}, yet its parts add up to {summed}."
        )
    audio, seen = frozenset({"AUDIO"}), _SEEN
    named = counts.cache_tokens_details
    cached_audio, cached_seen = _tokens(named, audio), _tokens(named, seen)
    split = split_prompt(
        prompt=remainder(
            "promptTokenCount", prompt, "cacheTokensDetails", cached_audio + cached_seen
        ),
        in_cache=remainder(
            "cachedContentTokenCount", cached, "cacheTokensDetails", cached_audio + cached_seen
        ),
        audio=max(0, _tokens(counts.prompt_tokens_details, audio) - cached_audio),
        image=max(0, _tokens(counts.prompt_tokens_details, seen) - cached_seen),
        whole="promptTokenCount",
    )
    spoken = _tokens(counts.candidates_tokens_details, audio)
    return Usage(
        input=split.text + tools,
        cache_read=cached,
        output=remainder("candidatesTokenCount", candidates, "candidatesTokensDetails", spoken),
        reasoning=thoughts,
        audio_input=split.audio,
        audio_output=spoken,
        image_input=split.image,
    )
