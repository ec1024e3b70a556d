"""The simulator's token rule: four ASCII characters are one token, any other character is 3/4 of one.

Four characters a token is the rule of thumb OpenAI gives for English text.
Source: https://help.openai.com/en/articles/4936856 (read 2026-11-24). Characters outside ASCII
take more; 3/4 of a token each stands between accented Latin (about 1/2) and CJK (about 1).
A text is streamed in pieces of four characters, so ASCII text has as many pieces as tokens.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CHARACTERS_PER_TOKEN", "count_tokens", "first_tokens", "pieces"]

CHARACTERS_PER_TOKEN: Final = 4


def count_tokens(text: str) -> int:
    """How many tokens `text` has by the rule, rounded up."""
    if text.isascii():
        return (len(text) + 3) // 4
    plain = len(text.encode("ascii", "ignore"))
    return (plain + 3 * (len(text) - plain) + 3) // 4


def first_tokens(text: str, tokens: int) -> str:
    """The longest beginning of `text` that has at most `tokens` tokens."""
    if text.isascii():
        return text[: tokens * 4]
    room = tokens * 4
    for index, character in enumerate(text):
        room -= 1 if character.isascii() else 3
        if room < 0:
            return text[:index]
    return text


def pieces(text: str) -> list[str]:
    """`text` in the pieces it is streamed in."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]
