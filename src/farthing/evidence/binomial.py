"""Exact bounds for a share: how often something happens, given how often it did.

Source: Clopper and Pearson, Biometrika 26 (1934); the tails are summed, nothing is approximated.
"""

from __future__ import annotations

import math
from typing import Final

from farthing.evidence.betting import Interval

__all__ = ["binomial_at_most", "binomial_interval", "binomial_lower", "binomial_upper"]

_BISECTIONS: Final = 50


def binomial_upper(hits: int, count: int, *, alpha: float) -> float:
    """The largest share under which `hits` or fewer of `count` happen with probability alpha."""
    _check(hits, count, alpha)
    if hits == count:
        return 1.0
    ways = _ways(hits, count)
    low, high = hits / count, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _at_most(ways, count, middle) > alpha:
            low = middle
        else:
            high = middle
    return high


def binomial_lower(hits: int, count: int, *, alpha: float) -> float:
    """The smallest share under which `hits` or more of `count` happen with probability alpha."""
    _check(hits, count, alpha)
    if hits == 0:
        return 0.0
    ways = _ways(hits - 1, count)
    low, high = 0.0, hits / count
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if 1.0 - _at_most(ways, count, middle) > alpha:
            high = middle
        else:
            low = middle
    return low


def binomial_interval(hits: int, count: int, *, alpha: float) -> Interval:
    """The share's exact interval with confidence 1 - alpha; [0, 1] where nothing was counted."""
    if count == 0:
        return Interval(0.0, 1.0)
    return Interval(
        binomial_lower(hits, count, alpha=alpha / 2), binomial_upper(hits, count, alpha=alpha / 2)
    )


def binomial_at_most(hits: int, count: int, share: float) -> float:
    """The probability of `hits` or fewer of `count`, where each happens with probability `share`."""
    if not 0 <= hits <= count or not 0 < share < 1:
        raise ValueError(f"no share: {hits} of {count} at {share}")
    return min(1.0, _at_most(_ways(hits, count), count, share))


def _ways(hits: int, count: int) -> list[float]:
    """The logarithm of how many ways there are for 0, 1, ... `hits` of `count`."""
    base = math.lgamma(count + 1)
    return [base - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(hits + 1)]


def _at_most(ways: list[float], count: int, share: float) -> float:
    """The probability of as many hits as `ways` go to, or fewer, for a share within (0, 1)."""
    yes, no = math.log(share), math.log1p(-share)
    return math.fsum(math.exp(way + k * yes + (count - k) * no) for k, way in enumerate(ways))


def _check(hits: int, count: int, alpha: float) -> None:
    if not 0 <= hits <= count or count < 1 or not 0 < alpha < 1:
        raise ValueError(f"no share: {hits} of {count} at alpha {alpha}")
