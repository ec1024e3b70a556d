"""Amounts said in words: `twenty five`, `half`, `7 in the evening`, `first`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from farthing.levers.cache.semantic.fractions import with_fractions
from farthing.levers.cache.semantic.lexicon import Lexicon
from farthing.levers.cache.semantic.quantity import clock_time, quantity, unit_of
from farthing.levers.cache.semantic.token import Token

__all__ = ["amounts"]

_ASKING = frozenset(["what", "where", "who", "how", "when", "why", "which", "could", "would", "if"])
_HALF_OF_DAY: Mapping[str, str] = MappingProxyType(
    {"morning": "am", "afternoon": "pm", "evening": "pm", "night": "pm"}
)


def amounts(tokens: Sequence[Token], lexicon: Lexicon) -> list[Token]:
    """The tokens with number words as numbers, and numbers with the unit behind them as one."""
    tokens = with_fractions(tokens, lexicon)
    found: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind != "quantity" and token.raw not in lexicon.counting:
            found.append(token)
            index += 1
            continue
        value, taken = _number_words(tokens, index, lexicon)
        if value is None and tokens[index].kind == "quantity" and tokens[index].text[0] == "#":
            value, taken = _bare_number(tokens[index]), 1
        if value is None:
            found.append(_ordinal_word(tokens, index, found, lexicon))
            index += 1
            continue
        unit, more = _unit_after(tokens, index + taken)
        half = _half_after(tokens, index + taken)
        if unit is None and half is not None and value.isdigit():
            found.append(Token(clock_time(int(value), 0, half[0]), value, "quantity"))
            taken += half[1]
        else:
            found.append(Token(quantity(value, unit), value, "quantity"))
            taken += more
        index += taken
    return found


def _bare_number(token: Token) -> str | None:
    return token.text[1:] if " " not in token.text and "/" not in token.text else None


def _number_words(tokens: Sequence[Token], index: int, lexicon: Lexicon) -> tuple[str | None, int]:
    """The number that the words from `index` on say, in digits, and how many words that takes."""
    total: int | None = None
    at = index
    while at < len(tokens) and tokens[at].kind == "word":
        raw = tokens[at].raw
        if raw in lexicon.numbers:
            total = (total or 0) + int(lexicon.numbers[raw])
        elif total is not None and raw in lexicon.scales:
            total = max(total, 1) * int(lexicon.scales[raw])
        elif not (
            raw == "and"
            and total is not None
            and total >= 100
            and _is_number(tokens, at + 1, lexicon)
        ):
            break
        at += 1
    if total is None:
        if tokens[index].raw in lexicon.scales:
            return lexicon.scales[tokens[index].raw], 1
        if tokens[index].raw in lexicon.fractions:
            return lexicon.fractions[tokens[index].raw], 1
        return None, 0
    if tokens[index].raw == "one" and at == index + 1 and not _counts(tokens, at):
        return None, 0
    return str(total), at - index


def _is_number(tokens: Sequence[Token], at: int, lexicon: Lexicon) -> bool:
    return at < len(tokens) and tokens[at].raw in lexicon.numbers


def _counts(tokens: Sequence[Token], at: int) -> bool:
    """Whether `one` before this place counts something: `one egg`, not `which one is`."""
    following = tokens[at].raw if at < len(tokens) else ""
    return following not in {
        "",
        "is",
        "are",
        "of",
        "do",
        "does",
        "can",
        "should",
        "to",
        "i",
        "that",
        *_ASKING,
    }


def _unit_after(tokens: Sequence[Token], at: int) -> tuple[str | None, int]:
    if at < len(tokens) and tokens[at].kind in {"word", "mark"} and unit_of(tokens[at].raw):
        return tokens[at].raw, 1
    return None, 0


def _half_after(tokens: Sequence[Token], at: int) -> tuple[str, int] | None:
    """`in the morning`, `at night`, `pm` after a number: which half of the day it means."""
    words = [token.raw for token in tokens[at : at + 3]]
    for skip, lead in ((0, []), (2, ["in", "the"]), (1, ["at"])):
        if words[:skip] == lead and len(words) > skip:
            half = _HALF_OF_DAY.get(words[skip]) if skip else None
            if half is not None:
                return half, skip + 1
    return None


def _ordinal_word(
    tokens: Sequence[Token], index: int, before: Sequence[Token], lexicon: Lexicon
) -> Token:
    token = tokens[index]
    if (
        token.kind == "word"
        and token.raw in lexicon.ordinals
        and not (before and before[-1].kind == "quantity")
    ):
        return Token(f"#{lexicon.ordinals[token.raw]} th", token.raw, "quantity")
    return token
