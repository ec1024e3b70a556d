"""Parts of a whole said in words: half a pound, a pound and a half, two and a half, three quarters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from farthing.levers.cache.semantic.lexicon import Lexicon
from farthing.levers.cache.semantic.quantity import unit_of
from farthing.levers.cache.semantic.token import Token

__all__ = ["with_fractions"]

_PARTS: Final[Mapping[str, Fraction]] = MappingProxyType(
    {
        **dict.fromkeys(("half", "halves"), Fraction(1, 2)),
        **dict.fromkeys(("quarter", "quarters", "fourths"), Fraction(1, 4)),
        **dict.fromkeys(("third", "thirds"), Fraction(1, 3)),
        **dict.fromkeys(("fifth", "fifths"), Fraction(1, 5)),
        **dict.fromkeys(("sixth", "sixths"), Fraction(1, 6)),
        **dict.fromkeys(("eighth", "eighths"), Fraction(1, 8)),
        **dict.fromkeys(("tenth", "tenths"), Fraction(1, 10)),
    }
)
_PLAIN: Final = frozenset(["half", "quarter"])  # parts by themselves; a third may be an ordinal
_ONE: Final = frozenset(["a", "an", "one"])


def with_fractions(tokens: Sequence[Token], lexicon: Lexicon) -> Sequence[Token]:
    """The tokens with each part, and the number that it adds to, as one number."""
    if not any(token.raw in _PARTS for token in tokens):
        return tokens
    found: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        share = _PARTS.get(token.raw) if token.kind == "word" else None
        taken = None if share is None else _folded(tokens, index, share, found, lexicon)
        if taken is None:
            found.append(token)
            taken = 1
        index += taken
    return found


def _folded(
    tokens: Sequence[Token], at: int, share: Fraction, found: list[Token], lexicon: Lexicon
) -> int | None:
    """Puts the number in `found` that ends in the part at `at`; how many tokens that takes."""
    count = _whole(found[-1], lexicon) if found else None
    if count is None and tokens[at].raw not in _PLAIN:
        return None
    if count is not None and count > 1 and tokens[at].raw in _PLAIN | {"third"}:
        return None  # the plural would be said: three quarters
    before = len(found) - (count is not None)
    value = share * (count or 1)
    if before and found[before - 1].raw == "and":
        base = next(
            (one for one in (before - 2, before - 3) if one >= 0 and _is_base(found, one, lexicon)),
            None,
        )
        said = found[base + 1 : before - 1] if base is not None else []
        whole = 0 if base is None else _whole(found[base], lexicon) or 1
        text = f"#+{_text(value)}" if base is None else f"#{_text(whole + value)}"
        del found[before - 1 if base is None else base :]
        found += [Token(text, text[1:], "quantity"), *said]
        return 1
    of = 1 if _raw(tokens, at + 1) == "of" else 0
    article = 1 if _raw(tokens, at + 1 + of) in _ONE else 0
    has_unit = unit_of(_raw(tokens, at + 1 + of + article)) is not None
    if count is None and not has_unit:
        return None
    del found[before:]
    found.append(Token(f"#{_text(value)}", _text(value), "quantity"))
    return 1 + (of + article if has_unit else 0)


def _is_base(found: Sequence[Token], at: int, lexicon: Lexicon) -> bool:
    is_followed = at + 2 == len(found) or found[at + 1].kind == "word"
    return is_followed and _whole(found[at], lexicon) is not None


def _whole(token: Token, lexicon: Lexicon) -> int | None:
    """The whole number that one token says; an article says one."""
    if token.kind == "word":
        said = "1" if token.raw in _ONE else lexicon.numbers.get(token.raw, "")
        return int(said) if said.isdigit() else None
    digits = token.text[1:]
    return int(digits) if token.kind == "quantity" and digits.isdigit() else None


def _raw(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].raw if at < len(tokens) else ""


def _text(value: Fraction) -> str:
    """In decimals where they end, else as a fraction."""
    decimal = f"{float(value):g}"
    return decimal if Fraction(decimal) == value else f"{value.numerator}/{value.denominator}"
