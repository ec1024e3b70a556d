"""How many comparisons it takes to decide, told before money is spent on them."""

from __future__ import annotations

import math
from statistics import NormalDist

from farthing.evidence.betting import STAKE_MOST
from farthing.money import Money

__all__ = [
    "comparisons_needed",
    "days_needed",
    "evidence_price",
    "labels_needed",
    "margin_needed",
]

_LABELS_MOST = 10**9
_MARGIN_LEAST = 1e-9  # anything below is what rounding left


def comparisons_needed(
    margin: float, spread: float, *, confidence: float = 0.95, power: float = 0.8
) -> int | None:
    """Comparisons after which a true `margin` above the floor is shown, with probability `power`.

    `spread` is the standard deviation of one comparison's margin; for right-or-wrong scores the
    square root of the share of calls on which the answers differ in score. An estimate (normal
    approximation of a bet). None where the margin is not positive, or so small that no number of
    comparisons would do that anyone could make.
    """
    if margin <= _MARGIN_LEAST:
        return None
    # A bet is won, on average, this many standard errors above the null.
    goal = math.log(1 / (1 - confidence))
    width = math.sqrt(2 * goal) + NormalDist().inv_cdf(power)
    # However little the values scatter, a stake is bounded by what could be lost.
    needed = math.ceil(max((width * spread / margin) ** 2, goal / (STAKE_MOST * margin)))
    return needed if needed <= _LABELS_MOST else None


def labels_needed(
    margin: float,
    spread: float,
    *,
    confidence: float = 0.95,
    power: float = 0.8,
    horizon: int | None = None,
) -> int | None:
    """Labels, all looked at once, after which a true `margin` is shown with probability `power`.

    For a test that counts wins and losses, which asks for about half of what a bet does; with a
    `horizon`, the mean over that many calls to come is to hold the floor too. An estimate (normal
    approximation). None where no number would do.
    """
    if margin <= 0:
        return None
    wide = spread * NormalDist().inv_cdf(power)
    few, many = 0, 1
    while many < _LABELS_MOST and not _suffices(many, margin, spread, wide, confidence, horizon):
        few, many = many, 2 * many
    if many >= _LABELS_MOST:
        return None
    while many - few > 1:
        middle = (few + many) // 2
        if _suffices(middle, margin, spread, wide, confidence, horizon):
            many = middle
        else:
            few = middle
    return many


def _suffices(
    count: int, margin: float, spread: float, wide: float, confidence: float, horizon: int | None
) -> bool:
    needed = margin_needed(spread, count, confidence=confidence, horizon=horizon)
    return margin >= needed + wide / math.sqrt(count)


def margin_needed(
    spread: float, count: float, *, confidence: float = 0.95, horizon: int | None = None
) -> float:
    """The mean margin over `count` comparisons that shows the floor is held.

    With a `horizon`, so large that the mean over that many calls to come holds it too.
    """
    width = NormalDist().inv_cdf(confidence) * spread
    return width * math.sqrt(1 / count + (1 / horizon if horizon else 0.0))


def evidence_price(comparisons: int, per_call: Money, sampled: int, judged: Money) -> Money:
    """What it costs to gather them, where `sampled` answers of `per_call` stood for a judged one."""
    return Money(comparisons * (per_call.nanodollars * sampled + judged.nanodollars))


def days_needed(comparisons: int, calls_a_day: int, share_percent: int) -> int | None:
    """How many days of traffic hold that many comparisons at a sampling share; None for none."""
    daily = calls_a_day * share_percent
    return None if daily <= 0 else max(1, -(-comparisons * 100 // daily))
