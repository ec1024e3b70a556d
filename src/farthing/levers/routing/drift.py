"""Drift watch: does the traffic still look like the labels that a certificate was won on?

A chart is a CUSUM of a share (of a class in the traffic, of escalated calls within a class). Each
call multiplies four likelihood ratios, for a share whose odds are twice or eight times what they
should be, or a half or an eighth, and none falls below 1; one that is above four times `calls`
raises an alarm. By Lorden's theorem each of them has a mean of at least that many calls up to a
false alarm, and all together a quarter of it: `calls`.

The share that is expected comes from finitely many labels: each side compares with the end of its
exact 99.9 % interval, so that an uncertain expectation does not look like a drift.

Source: Lorden, "Procedures for reacting to a change in distribution", 1971, theorem 2.
"""

from __future__ import annotations

import math
from typing import Final

from farthing.evidence import binomial_lower, binomial_upper

__all__ = ["Chart"]

_ODDS: Final = (2.0, 8.0)
_ALPHA: Final = 0.001
_LEAST: Final = 1e-4  # a share that was never seen may still come once in ten thousand calls


class Chart:
    """One share that is watched; `add` says whether it has drifted."""

    __slots__ = ("_steps", "_sums", "_threshold", "count", "hits")

    def __init__(self, hits: int, labels: int, *, calls: int) -> None:
        """`hits` of `labels` had it; `calls` is the mean number up to a false alarm, at least."""
        upper = max(_LEAST, min(1 - _LEAST, binomial_upper(hits, labels, alpha=_ALPHA)))
        lower = max(_LEAST, min(1 - _LEAST, binomial_lower(hits, labels, alpha=_ALPHA)))
        self._steps = (
            *(_logs(upper, times) for times in _ODDS),
            *(_logs(lower, 1 / times) for times in _ODDS),
        )
        self._threshold = math.log(len(self._steps) * calls)
        self._sums = [0.0] * len(self._steps)
        self.count = self.hits = 0

    def add(self, *, is_hit: bool) -> str:
        """Take one call; says which way the share has gone once it has drifted, else nothing."""
        self.count += 1
        self.hits += is_hit
        self._sums = [
            max(0.0, one + step[is_hit]) for one, step in zip(self._sums, self._steps, strict=True)
        ]
        return self._told()

    def add_many(self, hits: int, count: int) -> str:
        """Take a sum of calls at once, in no order of their own; says what `add` says.

        It is never quicker to alarm than the calls one by one would be.
        """
        self.count += count
        self.hits += hits
        misses = count - hits
        self._sums = [
            max(0.0, one + misses * miss + hits * hit)
            for one, (miss, hit) in zip(self._sums, self._steps, strict=True)
        ]
        return self._told()

    def _told(self) -> str:
        sums = self._sums
        if max(sums) <= self._threshold:
            return ""
        return "risen" if sums.index(max(sums)) < len(_ODDS) else "fallen"

    def reset(self) -> None:
        """Begin anew."""
        self._sums = [0.0] * len(self._steps)
        self.count = self.hits = 0


def _logs(share: float, times: float) -> tuple[float, float]:
    """What a miss and a hit add, where the odds may be `times` what they should be."""
    odds = share / (1 - share) * times
    other = odds / (1 + odds)
    return math.log((1 - other) / (1 - share)), math.log(other / share)
