"""Certificates: P(wrong | served) is at most delta, with 95 % confidence, from labels.

Nested sets of lookups, from the surest scores down, are tried at looks that are fixed beforehand
(`looks`), so that the chance that *any* set whose error rate is above delta is ever certified is at
most alpha.

While serving, lookups below the certified score are still called for, so the next bands go on being
tried, by themselves (the union of sets below delta is below delta) and pooled with what is served,
with what is kept of alpha for that, by an e-process that may be looked at after every label. Another
one watches the labels of served answers; it trips when they contradict the certificate, and the
namespace goes back to shadow. A certificate is bound to a stamp (embedder, guards, scorer, model):
change one, and it is void.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from farthing.errors import FarthingBug
from farthing.levers.cache.semantic.eprocess import (
    Tally,
    breach_wealth,
    exact_bounds,
    proof_wealth,
    sums,
)
from farthing.levers.cache.semantic.looks import WAITED, Looks

__all__ = [
    "PROOF_VERSION",
    "SHARES",
    "BandReport",
    "Certifier",
    "JudgeCalibration",
    "Stamp",
    "thresholds_of",
]

PROOF_VERSION = "3"  # labels taken while another proof decided what is served do not count
# Of lookups, in the sets that are tried: small steps cost nothing, for each waits for the one before.
SHARES = tuple(percent / 100 for percent in range(6, 97, 3))
_PROOF_SHARE = 0.98  # of alpha for the looks; the rest is for growth while serving
_GROWTH_SETS = 8
_GROWTH_EVERY = 10  # labels while serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a certificate holds for; any change voids it."""

    embedder: str
    guards: str
    scorer: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCalibration:
    """What a judge said of pairs that people had labelled: how often it errs, either way."""

    wrong_seen: int
    wrong_caught: int
    right_seen: int
    right_flagged: int

    def observed_limit(self, delta: float, alpha: float) -> float:
        """The rate of verdicts "wrong" below which the true rate is below `delta`; 0: none is.

        A judge that misses wrong answers lowers it; one that flags right answers raises it, by no
        more than it surely does (Rogan and Gladen, with exact bounds at alpha / 3 each). One that may
        flag right answers as often as wrong ones tells nothing.
        """
        catches, flags = self._least(alpha)
        _, flags_most = exact_bounds(self.right_flagged, self.right_seen, alpha / 3)
        return delta * catches + (1 - delta) * flags if catches > flags_most else 0.0

    def observed_at(self, delta: float) -> float:
        """The rate of verdicts "wrong" to be expected where the true rate is `delta`."""
        catches = (self.wrong_caught + 1) / (self.wrong_seen + 2)
        flags = self.right_flagged / self.right_seen if self.right_seen else 0.0
        return delta * catches + (1 - delta) * flags

    def error_most(self, observed: float, alpha: float) -> float:
        """The highest true rate at which verdicts "wrong" are so frequent."""
        catches, flags = self._least(alpha)
        if catches <= flags:
            return 1.0
        return min(1.0, max(0.0, (observed - flags) / (catches - flags)))

    def _least(self, alpha: float) -> tuple[float, float]:
        """The least share of wrong answers that is caught, and of right ones that is flagged."""
        catches, _ = exact_bounds(self.wrong_caught, self.wrong_seen, alpha / 3)
        flags, _ = exact_bounds(self.right_flagged, self.right_seen, alpha / 3)
        return catches, flags


@dataclass(frozen=True, slots=True, kw_only=True)
class BandReport:
    """One nested set: lookups scored at `threshold` or above."""

    threshold: float
    labels: int
    wrong: int
    upper95: float
    wealth: float
    is_certified: bool


@dataclass(slots=True)
class _Count:
    labels: int = 0
    wrong: int = 0


@dataclass(slots=True, kw_only=True)
class Certifier:
    """The labels of one namespace under one stamp, and what they prove.

    Where a `judge` was calibrated, verdicts are held against a limit that allows for its errors, and
    `share` of alpha is used, half of it for the calibration; a calibration with more words is
    another certifier, with another share. Without one the certificate is of the judge's word.

    `thresholds` go from the surest set down. A lookup is labelled with a known chance, never less
    than `shadow_sampling` while nothing is served, and than `sampling` while something is: a label
    weighs that floor divided by its chance. The floor depends on the mode alone, so weights are
    known before a label is, as the proofs require.
    """

    stamp: Stamp
    delta: float
    thresholds: tuple[float, ...]
    sampling: float = 0.05
    shadow_sampling: float = 1.0
    alpha: float = 0.05
    judge: JudgeCalibration | None = None
    share: float = 1.0
    _limit: float = field(init=False)
    _labels: int = 0
    _looks: Looks = field(init=False)
    _counts: dict[tuple[int, float], _Count] = field(
        default_factory=dict[tuple[int, float], _Count]
    )
    _served: dict[float, _Count] = field(default_factory=dict[float, _Count])
    _proven: int = -1
    _breach: float = 1.0
    _growths: int = 0
    _since_growth: int = 0
    _fresh: dict[tuple[int, float], _Count] = field(default_factory=dict[tuple[int, float], _Count])

    def __post_init__(self) -> None:
        if list(self.thresholds) != sorted(self.thresholds, reverse=True):
            raise FarthingBug("thresholds of a certificate go from the surest down")
        if self.judge is not None:
            self._limit = self.judge.observed_limit(self.delta, self._alpha)
        else:
            self._limit = self.delta
        self._looks = Looks(self._limit, _PROOF_SHARE * self._alpha)

    @property
    def limit(self) -> float:
        """The rate of verdicts "wrong" that the proofs are held against; 0: none can prove it."""
        return self._limit

    @property
    def watched_limit(self) -> float:
        """The rate of verdicts "wrong" above which the certificate is contradicted."""
        return self.delta if self.judge is None else self.judge.observed_at(self.delta)

    @property
    def _alpha(self) -> float:
        """For the proofs; as much goes to the calibration where there is one."""
        return self.alpha if self.judge is None else self.alpha * self.share / 2

    @property
    def threshold(self) -> float | None:
        """Scores from here on may be served; None while nothing is certified, or after a breach."""
        if self._proven < 0 or self.is_breached:
            return None
        return self.thresholds[self._proven]

    @property
    def is_breached(self) -> bool:
        """Whether served answers have contradicted the certificate; it stays so."""
        return self._breach >= 1 / self.alpha

    @property
    def labels_needed(self) -> int:
        """Labels without any error that a set needs to be certified: stated before any are paid.

        0 where no number of them would do, for the judge tells too little.
        """
        if not self.limit:
            return 0
        return self._looks.needed

    def is_void(self, stamp: Stamp) -> bool:
        """Whether something that the certificate is bound to has changed."""
        return stamp != self.stamp

    def observe(self, score: float, *, is_wrong: bool, propensity: float, is_serving: bool) -> None:
        """Count one label. `propensity` is the chance with which this lookup was labelled.

        After a breach labels say nothing more; a new certificate needs a new certifier.
        """
        if self.is_breached:
            return
        threshold = self.threshold
        is_served = is_serving and threshold is not None and score >= threshold
        floor = self.sampling if is_served else self.shadow_sampling
        if not floor <= propensity <= 1:
            raise FarthingBug(f"A label drawn with chance {propensity} is rarer than agreed")
        band = next((at for at, low in enumerate(self.thresholds) if score >= low), None)
        if band is None:
            return
        weight = floor / propensity
        if is_served:
            _count(self._served, weight, is_wrong=is_wrong)
            watched = breach_wealth(_tallies(self._served), self.watched_limit)
            self._breach = max(self._breach, watched)
        if not self.limit:
            return
        if is_serving:
            _count(self._fresh, (band, weight), is_wrong=is_wrong)
            self._since_growth += 1
            if self._since_growth % _GROWTH_EVERY == 0:
                self._grow()
        else:
            _count(self._counts, (band, weight), is_wrong=is_wrong)
            self._labels += 1
            if self._looks.is_due(self._labels):
                sets = [self._nested(at) for at in range(len(self.thresholds))]
                self._proven = max(self._proven, self._looks.look(sets, self._labels))

    def _grow(self) -> None:
        """Certify more bands by the labels since the last growth, where these suffice.

        Tried are the next bands by themselves, and all that would then be served, pooled: there a
        label of a lookup that is not served yet weighs little, for its like are all labelled.
        """
        share = (1 - _PROOF_SHARE) * self._alpha / ((self._growths + 1) * (self._growths + 2))
        last = min(self._proven + _GROWTH_SETS, len(self.thresholds) - 1)
        for at in range(last, self._proven, -1):
            if max(self._fresh_wealth(at)) >= 2 * _GROWTH_SETS / share:
                self._proven = at
                self._growths += 1
                self._fresh.clear()
                return

    def _fresh_wealth(self, at: int) -> tuple[float, float]:
        """Of the bands beyond what is served, and of all up to `at`, pooled."""
        alone: dict[float, _Count] = {}
        pooled: dict[float, _Count] = {}
        for (band, weight), count in self._fresh.items():
            if band > at:
                continue
            if band > self._proven:
                _merge(alone, weight, count)
            like = self.sampling / self.shadow_sampling if band > self._proven else 1.0
            _merge(pooled, weight * like, count)
        return (
            proof_wealth(_tallies(alone), self.limit),
            proof_wealth(_tallies(pooled), self.limit),
        )

    def _nested(self, at: int) -> list[Tally]:
        merged: dict[float, _Count] = {}
        for (band, weight), count in self._counts.items():
            if band <= at:
                _merge(merged, weight, count)
        return _tallies(merged)

    def is_growing(self) -> bool:
        """Whether a larger set may be proven at the next look, so that serving is better put off."""
        following = self._proven + 1
        if following >= len(self.thresholds) or self._looks.taken >= WAITED:
            return False
        if not self.limit:
            return False
        labels, wrong = sums(self._nested(following))
        return labels == 0 or wrong / labels <= self.limit

    def report(self) -> list[BandReport]:
        """Every nested set with its labels, its exact upper bound and whether it is certified.

        The bound is for reading (exact, at a fixed count, the judge's errors allowed for where they
        are known); what certifies is the wealth.
        """
        found: list[BandReport] = []
        for at, threshold in enumerate(self.thresholds):
            tallies = self._nested(at)
            labels, wrong = sums(tallies)
            found.append(
                BandReport(
                    threshold=threshold,
                    labels=labels,
                    wrong=wrong,
                    upper95=self._error_most(wrong, labels),
                    wealth=min(1e12, proof_wealth(tallies, self.limit)) if self.limit else 0.0,
                    is_certified=at <= self._proven and not self.is_breached,
                )
            )
        return found

    def served_bound(self) -> float:
        """The upper 95 % bound of the error among served answers that were checked."""
        labels, wrong = sums(_tallies(self._served))
        return self._error_most(wrong, labels)

    def _error_most(self, wrong: int, labels: int) -> float:
        if self.judge is None:
            return exact_bounds(wrong, labels, self.alpha)[1]
        observed = exact_bounds(wrong, labels, self.alpha / 2)[1]
        return self.judge.error_most(observed, self.alpha / 2)


_Key = TypeVar("_Key")


def _count(counts: dict[_Key, _Count], key: _Key, *, is_wrong: bool) -> None:
    count = counts.setdefault(key, _Count())
    count.labels += 1
    count.wrong += is_wrong


def _merge(counts: dict[float, _Count], weight: float, count: _Count) -> None:
    into = counts.setdefault(weight, _Count())
    into.labels += count.labels
    into.wrong += count.wrong


def _tallies(counts: dict[float, _Count]) -> list[Tally]:
    return [Tally(count.labels, count.wrong, weight) for weight, count in counts.items()]


def thresholds_of(scores: Sequence[float], shares: Sequence[float]) -> tuple[float, ...]:
    """The scores that the surest `shares` of lookups reach, without repeats, surest first."""
    ranked = sorted(scores, reverse=True)
    cut = {ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)))] for share in shares}
    return tuple(sorted(cut, reverse=True))
