"""How often the judge errs, by the words of people on pairs that were drawn for them.

Whether the same people's words are a fair sample is everything here: a quarter of all compared pairs
is drawn by a hash, whatever the judge said of them, and only their words count. Looked at are the
first so many of them from the first word on, in the order in which they were compared; where a
person left one out between others, the worst is taken of it. At each of the sizes below the rates are bounded anew, each time
with half of what is kept of alpha, so that all bounds hold together however often one looks.

What is taken for granted: within a namespace the judge errs alike on the pairs that would be served
and on all that are near.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from farthing.levers.cache.semantic.certificate import JudgeCalibration

__all__ = ["WORDS_NEEDED", "Calibration", "Judged", "calibrated", "is_drawn"]

WORDS_NEEDED: Final = 200  # of people, until the judge's errors are corrected for
_SIZES: Final = tuple(WORDS_NEEDED << step for step in range(6))
_DRAWN_OF_256: Final = 64


@dataclass(frozen=True, slots=True)
class Judged:
    """A compared pair: what the judge said, and a person where one did."""

    is_wrong: bool
    is_wrong_to_person: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A judge's errors, and the share of alpha that this look at them may use."""

    judge: JudgeCalibration
    share: float


def is_drawn(call_id: str) -> bool:
    """Whether a call's comparison is one that a person is asked about."""
    return hashlib.blake2b(call_id.encode(), digest_size=1).digest()[0] < _DRAWN_OF_256


def calibrated(drawn: Iterable[Judged]) -> Calibration | None:
    """What people's words say of the judge; None while there are too few.

    `drawn` are all pairs that were drawn, in order, with or without a person's word.
    """
    pairs = list(drawn)
    words = sum(pair.is_wrong_to_person is not None for pair in pairs)
    reached = [size for size in _SIZES if words >= size]
    if not reached:
        return None
    spoken = [at for at, pair in enumerate(pairs) if pair.is_wrong_to_person is not None]
    wrong_seen = wrong_caught = right_seen = right_flagged = 0
    for pair in pairs[spoken[0] : spoken[reached[-1] - 1] + 1]:
        if pair.is_wrong_to_person is None:  # the worst: missed if wrong, passed if right
            wrong_seen += not pair.is_wrong
            right_seen += not pair.is_wrong
        elif pair.is_wrong_to_person:
            wrong_seen += 1
            wrong_caught += pair.is_wrong
        else:
            right_seen += 1
            right_flagged += pair.is_wrong
    judge = JudgeCalibration(
        wrong_seen=wrong_seen,
        wrong_caught=wrong_caught,
        right_seen=right_seen,
        right_flagged=right_flagged,
    )
    return Calibration(judge=judge, share=0.5 ** len(reached))
