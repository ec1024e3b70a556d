"""The same words in another order: does Alice owe Bob, does Bob owe Alice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farthing.levers.cache.semantic.signature import Signature

__all__ = ["SYMMETRIC", "Reordered", "reordered"]

# What joins things that mean the same either way.
SYMMETRIC: Final = frozenset({"~and", "~or", "~vs", "~&", "~+", "!between", "!either", "!both"})
_TURNED_MOST: Final = 4  # words in a phrase turned round: change my order's delivery address


@dataclass(frozen=True, slots=True)
class Reordered:
    """What changed places; `is_certain`: nothing else can explain it."""

    detail: str
    is_certain: bool


def reordered(one: Signature, other: Signature) -> Reordered | None:
    """What changed places between two texts of the same words, if that may change the answer."""
    swap = _exchanged(one.row, other.row) or _recast(one.cast, other.cast)
    if swap is not None:
        return Reordered(" ".join(swap).replace("~", "").replace("=", ""), is_certain=True)
    mine, yours = _differing(_said(one), _said(other))
    is_moved = any(
        yours == mine[at:] + mine[:at] for at in range(len(mine)) if mine[at] == yours[0]
    )
    if len(mine) > _TURNED_MOST and not is_moved:
        return Reordered("more than one part has moved", is_certain=False)
    here = [word for word in one.row if word in one.names | other.names]
    there = [word for word in other.row if word in one.names | other.names]
    if len(here) > 1 and here != there and sorted(here) == sorted(there):
        return Reordered(" ".join(here), is_certain=False)
    return None


def _exchanged(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    """The part of `one` that becomes `other` when its two ends change places, if there is one.

    Ends that stand beside each other have only moved (`at the hotel, is there a pool`); ends
    joined by `and` or `or` mean the same either way.
    """
    mine, yours = _differing(one, other)
    size = len(mine)
    lefts = [end for end in range(1, size) if yours[size - end :] == mine[:end]]
    rights = [end for end in range(1, size) if yours[:end] == mine[size - end :]]
    for left in lefts:
        for right in (end for end in rights if left + end < size):
            between = mine[left : size - right]
            if yours[right : size - left] == between:
                return None if set(between) <= SYMMETRIC else mine
    return None


def _said(signature: Signature) -> tuple[str, ...]:
    """The row without its links, which come and go with the form of a sentence."""
    return tuple(word for word in signature.row if word[0] != "~")


def _recast(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    """Who changes places with whom: my sister calls me, I call her; A tells B, B tells A."""
    swap = _exchanged(one, other)
    if swap is None:
        return None
    is_person_moved = "~" in {swap[0][0], swap[-1][0]}
    is_verb_between = any(word[0] == "~" and word[1:].isalpha() for word in swap[1:-1])
    return swap if is_person_moved or is_verb_between else None


def _differing(
    one: tuple[str, ...], other: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The stretch in which two rows of the same words differ; nothing where the words differ."""
    if one == other or sorted(one) != sorted(other):
        return (), ()
    start = next(index for index in range(len(one)) if one[index] != other[index])
    end = next(index for index in range(len(one), 0, -1) if one[index - 1] != other[index - 1])
    return one[start:end], other[start:end]
