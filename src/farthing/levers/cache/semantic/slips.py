"""Slips of the pen: `chnage` is `change`; `trial` is not `trail`, `employee` not `employer`."""

from __future__ import annotations

from farthing.levers.cache.semantic.lexicon import stem
from farthing.levers.cache.semantic.wordpiece import is_known_word

__all__ = ["is_english", "is_slip"]


def is_slip(one: str, other: str) -> bool:
    """Whether exactly one of two lower-case words is a common word and the other a slip of it.

    Two common words that look alike are two words; of two rare ones nobody can tell.
    """
    if is_english(one) == is_english(other):
        return False
    short, long = sorted((one, other), key=len)
    if len(short) < 4 or short[0] != long[0] or any(map(str.isdigit, one + other)):
        return False
    if long.startswith(short) or long.endswith(short):
        return len(long) - len(short) == 1 and long[-1] in "aeiourstl"
    return _edits(one, other) <= (2 if len(short) >= 8 else 1)


def is_english(word: str) -> bool:
    """Whether a lower-case word, or its stem, is a common English one."""
    return is_known_word(word) or is_known_word(stem(word)) or is_known_word(stem(word) + "e")


def _edits(one: str, other: str) -> int:
    """Insertions, deletions, replacements and exchanges of neighbours between two words."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, left in enumerate(one, 1):
        current = [index]
        for place, right in enumerate(other, 1):
            cost = min(row[place] + 1, current[place - 1] + 1, row[place - 1] + (left != right))
            if index > 1 and place > 1 and left == other[place - 2] and one[index - 2] == right:
                cost = min(cost, before[place - 2] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1]
