"""How many tokens images, audio and documents in a prompt may be, without decoding them.

Base64 is not text: a megabyte of it is one image of a few thousand tokens, not 350,000 tokens.
The figures are the most a single item costs, so that a reservation covers it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ANTHROPIC_IMAGE_TOKENS", "OPENAI_IMAGE_TOKENS", "OPENAI_LOW_DETAIL_TOKENS"]
__all__ += ["audio_tokens", "document_tokens"]

# ceil(width / 28) * ceil(height / 28), after scaling down to at most 4,784.
# Source: https://platform.claude.com/docs/en/build-with-claude/vision (read 2026-11-24).
ANTHROPIC_IMAGE_TOKENS: Final = 4_784

# 32 px patches, at most 1,536, times at most 2.46; tile-based models stay below (85 + 8 * 170).
# From memory, not checked against https://developers.openai.com/api/docs/guides/images-vision.
OPENAI_IMAGE_TOKENS: Final = 3_779
# detail: low is one base tile.
OPENAI_LOW_DETAIL_TOKENS: Final = 85

# A page costs 1,500 to 3,000 text tokens and one image.
# Source: https://jackin.tailrocks.com/research/token-optimization/42-multimodal-token-economics/
# (read 2026-11-24), which measured it.
_PAGE_TOKENS: Final = 3_000 + ANTHROPIC_IMAGE_TOKENS
# Ours: a page of a text PDF is seldom below 30 kB; 40,000 is that in base64.
_PAGE_BASE64_BYTES: Final = 40_000

# One token is 100 ms of input audio; ours: speech is seldom compressed below 4 kB/s, so 100 ms
# are at least 533 bytes of base64.
# From memory, not checked against https://developers.openai.com/api/docs/guides/realtime-costs.
_AUDIO_BASE64_BYTES_PER_TOKEN: Final = 533


def document_tokens(base64_bytes: int) -> int:
    """The most tokens a PDF of that many base64 bytes may be."""
    return _PAGE_TOKENS * (1 + base64_bytes // _PAGE_BASE64_BYTES)


def audio_tokens(base64_bytes: int) -> int:
    """The most tokens an audio clip of that many base64 bytes may be."""
    return 1 + base64_bytes // _AUDIO_BASE64_BYTES_PER_TOKEN
