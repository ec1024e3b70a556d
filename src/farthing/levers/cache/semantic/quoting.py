"""Quotes that only mark a name: who wrote "Jane Eyre" is who wrote Jane Eyre."""

from __future__ import annotations

import re
from typing import Final

from farthing.levers.cache.semantic.signature import Signature, sign

__all__ = ["unquoted"]

_QUOTED: Final = re.compile(r"""`[^`]+`|"[^"]+"|«[^»]+»|(?<!\w)'[^']+'(?!\w)""")
_WORDS: Final = re.compile(r"\w+")
_INDENT: Final = "“indent"


def unquoted(one: Signature, other: Signature) -> Signature:
    """`one` without the quotes around words that `other` says without quotes."""
    if any(part.startswith(_INDENT) for part in one.exact):
        return one  # its lines are not in `plain`
    spoken = f" {' '.join(_WORDS.findall(_QUOTED.sub(' ', other.plain).lower()))} "
    bare = one.plain
    for quote in {match.group() for match in _QUOTED.finditer(one.plain)}:
        words = _WORDS.findall(quote.lower())
        if words and f" {' '.join(words)} " in spoken:
            bare = bare.replace(quote, quote[1:-1])
    return one if bare == one.plain else sign(bare)
