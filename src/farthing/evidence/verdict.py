"""The verdict on a lever for a feature, valid however often it is asked for.

The lever is *safe* when its mean quality is shown to be at least `floor` times the reference's,
*unsafe* when it is shown to be less, *undecided* before that. Each side errs with a probability
of at most alpha over the whole life of the watch, not per look: traffic that is as good as the
reference is demoted with a probability of at most alpha, however long it is watched.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import partial
from statistics import pstdev

import msgspec

from farthing.evidence.betting import Bet, FreshBets, Interval, Observed, interval
from farthing.evidence.comparison import Evidence, estimate, evidence_cost
from farthing.money import Money

__all__ = ["Finding", "Verdict", "Watch", "noise_floor"]


class Verdict(enum.StrEnum):
    """What the evidence says of a lever."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNDECIDED = "undecided"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a lever stands: `margin` is its mean score less `floor` times the reference's.

    `regret` is the mean loss of quality on a call; `spread` the standard deviation of one margin.
    """

    verdict: Verdict
    floor: float
    confidence: float
    comparisons: int
    margin: float
    margin_interval: Interval
    regret: float
    regret_interval: Interval
    spread: float
    cost: Money


class Watch:
    """Watches one lever on one feature; give it each comparison once, in the order they came.

    `least_probability` is the smallest sampling probability in use; comparisons sampled with
    less are refused, for their weight would have no bound. With `fresh_every`, harm is looked for
    anew after every so many comparisons: a lever that was good for long and breaks is noticed soon.
    """

    def __init__(
        self,
        *,
        floor: float,
        alpha: float = 0.05,
        least_probability: float = 1.0,
        fresh_every: int | None = None,
    ) -> None:
        self._floor = floor
        self._alpha = alpha
        self._least_probability = least_probability
        self._seen: list[Evidence] = []
        # "Safe" is won against a margin of at most 0, "unsafe" against one of at least 0.
        self._safe = Bet(
            null=0.0, alpha=alpha, bounds=(-floor, 1.0), least_probability=least_probability
        )
        bounds = (-1.0, floor)
        self._unsafe: Bet | FreshBets = (
            Bet(null=0.0, alpha=alpha, bounds=bounds, least_probability=least_probability)
            if fresh_every is None
            else FreshBets(
                null=0.0,
                alpha=alpha,
                bounds=bounds,
                least_probability=least_probability,
                every=fresh_every,
            )
        )

    def see(self, evidence: Evidence, noise: Interval | None = None) -> Verdict:
        """Take one more comparison into account; the verdict after it.

        `noise` is where the reference's score against itself lies, as known before this comparison:
        "safe" has to beat the upper end of it, "unsafe" to fall below the lower one.
        """
        repeated = noise or _SAME
        margin = evidence.score - self._floor * evidence.reference * repeated.high
        harm = self._floor * evidence.reference * repeated.low - evidence.score
        self._safe.see(margin, evidence.probability)
        self._unsafe.see(harm, evidence.probability)
        self._seen.append(evidence)
        return self.verdict

    @property
    def verdict(self) -> Verdict:
        """What is shown so far; harm that was shown outweighs what was shown before it."""
        if self._unsafe.is_won:
            return Verdict.UNSAFE
        return Verdict.SAFE if self._safe.is_won else Verdict.UNDECIDED

    def finding(self) -> Finding | None:
        """The figures behind the verdict; None while there are no comparisons."""
        if not self._seen:
            return None
        probabilities = [one.probability for one in self._seen]
        margins = [one.margin(self._floor) for one in self._seen]
        regrets = [one.regret for one in self._seen]
        of = partial(interval, alpha=self._alpha, least_probability=self._least_probability)
        return Finding(
            verdict=self.verdict,
            floor=self._floor,
            confidence=1 - self._alpha,
            comparisons=len(margins),
            margin=estimate(margins, probabilities).mean,
            margin_interval=of(_observed(margins, probabilities), bounds=(-self._floor, 1.0)),
            regret=estimate(regrets, probabilities).mean,
            regret_interval=of(_observed(regrets, probabilities), bounds=(-1.0, 1.0)),
            spread=pstdev(margins),
            cost=evidence_cost(self._seen),
        )


def _observed(values: list[float], probabilities: list[float]) -> list[Observed]:
    return [Observed(value, p) for value, p in zip(values, probabilities, strict=True)]


_SAME = Interval(1.0, 1.0)


def noise_floor(repeats: Iterable[Evidence], *, alpha: float = 0.05) -> Interval | None:
    """How much the reference differs from itself: the mean |regret| of reference against reference.

    No lever can be shown to lose less than this by the same judge; None without comparisons.
    """
    seen = [Observed(abs(one.regret), one.probability) for one in repeats]
    return interval(seen, alpha=alpha) if seen else None
