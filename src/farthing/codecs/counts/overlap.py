"""How overlapping counts are made disjoint, and what happens when they cannot be."""

from __future__ import annotations

from typing import Annotated

import msgspec

from farthing.errors import ProviderError

__all__ = ["Count", "PromptSplit", "UsageError", "remainder", "split_prompt"]

# A count beyond 2**53 is no count: it would not survive JSON numbers in most languages.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class UsageError(ProviderError):
    """A provider's usage contradicts itself; the text names both fields and both numbers."""

    code = "bad_usage"


def remainder(whole_name: str, whole: int, part_name: str, part: int) -> int:
    """What of `whole` is left when `part`, which is said to lie within it, is taken out.

    Raises:
        UsageError: the part is larger than the whole.
    """
    if part > whole:
        raise UsageError(
            f"The provider's usage contradicts itself: {part_name} = {part} is part of"
            f" {whole_name} = {whole}, yet larger."
        )
    return whole - part


class PromptSplit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A prompt's tokens that were neither read from a cache nor written to one."""

    text: int
    audio: int
    image: int


def split_prompt(*, prompt: int, in_cache: int, audio: int, image: int, whole: str) -> PromptSplit:
    """Split a prompt counted by modality and by caching into disjoint parts.

    Two partitions of the same tokens overlap: audio and image tokens may have been cached too.
    Providers rarely say which. Cached tokens count against text first, because the cached prefix
    (instructions, tools, history) is text in practice; what exceeds the text was cached image,
    then cached audio. So a cached token is never billed again under its modality.
    Source: https://github.com/BerriAI/litellm/pull/37407, which compares this with xAI's own
    cost_in_usd_ticks (read 2026-11-24).

    Raises:
        UsageError: cached or modality tokens exceed the prompt.
    """
    text = remainder(whole, prompt, "audio_tokens + image_tokens", audio + image)
    remainder(whole, prompt, "cached_tokens + cache_write_tokens", in_cache)
    excess = max(0, in_cache - text)
    of_image = min(excess, image)
    return PromptSplit(
        text=max(0, text - in_cache), audio=audio - (excess - of_image), image=image - of_image
    )
