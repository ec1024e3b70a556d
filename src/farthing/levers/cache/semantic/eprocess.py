"""Evidence that may be looked at after every label: betting e-processes and exact intervals.

An e-process is the wealth of a bettor who bets against a claim at fair odds. If the claim is true,
the chance that the wealth ever reaches 1/alpha is at most alpha (Ville's inequality), so one may
look after every label and stop when one likes. Bets here are fixed in advance (a mixture over
stakes), so wealth depends on counts alone and can be worked out again from what was recorded.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B
2024. Read 2026-11-25.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from farthing.evidence import binomial_lower, binomial_upper

__all__ = ["Tally", "breach_wealth", "exact_bounds", "labels_needed", "proof_wealth", "sums"]

_LABELS_MAX = 1_000_000
# Share of the wealth on each stake, as a share of the largest stake that can't go bankrupt.
_STAKES = ((0.95, 0.5), (0.7, 0.2), (0.45, 0.15), (0.2, 0.1), (0.05, 0.05))
_RATIOS = ((1.25, 0.25), (1.5, 0.25), (2.0, 0.25), (4.0, 0.25))


@dataclass(frozen=True, slots=True)
class Tally:
    """Labels that were drawn with the same chance: how many, and how many said wrong.

    `weight` is the smallest chance then in use divided by this chance, so at most 1: bets on labels
    of lookups that are sampled often are made small, for they stand for few.
    """

    labels: int
    wrong: int
    weight: float = 1.0


def sums(tallies: Sequence[Tally]) -> tuple[int, int]:
    """All labels, and how many of them said wrong."""
    return sum(one.labels for one in tallies), sum(one.wrong for one in tallies)


def proof_wealth(tallies: Sequence[Tally], limit: float) -> float:
    """The wealth of betting that the error rate is below `limit`; proof at 1/alpha."""
    return sum(
        share * math.exp(min(600.0, _log_wealth(tallies, stake / (1 - limit), limit, 1)))
        for stake, share in _STAKES
    )


def breach_wealth(tallies: Sequence[Tally], limit: float) -> float:
    """The wealth of betting that the error rate is above `limit`; a breach at 1/alpha."""
    total = 0.0
    for ratio, share in _RATIOS:
        rival = min(ratio * limit, (1 + limit) / 2)
        stake = (rival - limit) / (limit * (1 - limit))
        total += share * math.exp(min(600.0, _log_wealth(tallies, stake, limit, -1)))
    return total


def _log_wealth(tallies: Sequence[Tally], stake: float, limit: float, sign: int) -> float:
    """The logarithm of Π (1 + sign·stake·weight·(limit - x)) over labels x of 0 or 1."""
    total = 0.0
    for tally in tallies:
        right = 1 + sign * stake * tally.weight * limit
        wrong = 1 - sign * stake * tally.weight * (1 - limit)
        total += (tally.labels - tally.wrong) * math.log(right) + tally.wrong * math.log(wrong)
    return total


def labels_needed(limit: float, alpha: float, *, wrong: int = 0) -> int:
    """Labels until `wrong` errors among them still prove a rate below `limit`."""
    low, high = wrong, wrong + 1
    while proof_wealth([Tally(high, wrong)], limit) < 1 / alpha:
        low, high = high, 2 * high
        if high > _LABELS_MAX:
            return _LABELS_MAX
    while high - low > 1:
        middle = (low + high) // 2
        if proof_wealth([Tally(middle, wrong)], limit) < 1 / alpha:
            low = middle
        else:
            high = middle
    return high


def exact_bounds(wrong: int, labels: int, alpha: float) -> tuple[float, float]:
    """One-sided Clopper-Pearson bounds of a rate, each at confidence 1 - alpha; (0, 1) if none."""
    if labels == 0:
        return 0.0, 1.0
    return binomial_lower(wrong, labels, alpha=alpha), binomial_upper(wrong, labels, alpha=alpha)
