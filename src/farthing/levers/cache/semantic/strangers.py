"""Which wordings are alike enough to take an answer from somebody else's question.

A question is the one part of an entry that its writer chooses. Whoever plants one needs room in it
for what the answer is to say; these rules leave none: hardly a word that the other side lacks,
about the same length, mostly the same letters. They know no synonyms that the lexicon does not
know, so they cost hits; they hold between principals only.
"""

from __future__ import annotations

from farthing.levers.cache.semantic.guards import Comparison
from farthing.levers.cache.semantic.signature import Signature

__all__ = ["are_alike"]

_WORDS_MAX = 1  # on each side, that the other does not say
_LONGER_MAX = 1.5  # times, and
_LONGER_CHARS = 10  # so many characters more: short texts differ by a word
_DICE_MIN = 0.5


def are_alike(one: Signature, other: Signature, comparison: Comparison) -> bool:
    """Whether an answer may go from one's asker to the other's, as far as the words tell."""
    if any(len(words) > _WORDS_MAX for words in comparison.unmatched):
        return False
    shorter, longer = sorted((len(one.plain), len(other.plain)))
    if longer > _LONGER_MAX * shorter + _LONGER_CHARS:
        return False
    return _dice(_trigrams(one.plain), _trigrams(other.plain)) >= _DICE_MIN


def _trigrams(text: str) -> set[str]:
    padded = f"  {' '.join(text.casefold().split())} "
    return {padded[at : at + 3] for at in range(len(padded) - 2)}


def _dice(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other) or 1)
