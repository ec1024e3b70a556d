"""Output that was seen but not counted by its provider, estimated from its length.

Four characters make about a token of English or code; tool arguments are JSON and a little
denser, which the same figure covers. An estimate is always flagged.
Source: https://ai.google.dev/gemini-api/docs/tokens (read 2026-11-24).
"""

from __future__ import annotations

from typing import Final

from farthing.usage import Usage

__all__ = ["CHARACTERS_PER_TOKEN", "estimate", "tokens_of"]

CHARACTERS_PER_TOKEN: Final = 4


def tokens_of(characters: int) -> int:
    """The tokens that so many characters may be, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def estimate(input_estimate: int, visible: int, hidden: int) -> Usage:
    """The usage of an answer of which only lengths are known; `hidden` is reasoning."""
    return Usage(
        input=input_estimate,
        output=tokens_of(visible),
        reasoning=tokens_of(hidden),
        is_estimated=True,
    )
