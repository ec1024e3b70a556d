"""Explores within what is certified: which of a class's certified steps is cheapest on live traffic.

Thompson sampling: a step is drawn as often as it is likely to be the cheapest, by the costs seen so
far, and a share of the calls is spread evenly besides, so that no probability falls below that.
What a call costs is known at once and needs no judge, and that every step keeps the floor is
certified beforehand for any way of choosing among them. So nothing is risked but a little money.

The probabilities are worked out and the step drawn by them, so each draw tells the one with which
it came, and means over what was drawn can be weighted back to what any other way of choosing would
have seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

import msgspec

from farthing.levers.routing.step import Step, describe
from farthing.money import Money, round_half_even

__all__ = ["Drawn", "Explorer", "Weighted", "weighted"]

_LEAST: Final = 5  # calls of a step before its mean cost says anything
_ANEW: Final = 10  # of this many parts one more, and the probabilities are worked out anew
_SPREAD_LEAST: Final = 0.05  # of the mean: a few equal costs are no proof that all are equal
_MEMORY: Final = 2_000  # calls of a step after which the older half of them counts no more
_KEYS_MAX: Final = 10_000
_ONE: Final = 1_000_000  # parts of a probability
_HALF_ROOT: Final = math.sqrt(0.5)
_POINTS: Final = 24

Key = tuple[str, str]  # policy, class


def _normal() -> tuple[tuple[float, float], ...]:
    """Points of the standard normal with their weights: the midpoints of -4.5 to 4.5."""
    points = [9 * (index + 0.5) / _POINTS - 4.5 for index in range(_POINTS)]
    weights = [math.exp(-point * point / 2) for point in points]
    whole = math.fsum(weights)
    return tuple((point, weight / whole) for point, weight in zip(points, weights, strict=True))


_NORMAL: Final = _normal()


class _Tally(msgspec.Struct):
    """The calls of a step: how many, what they cost (nanodollars), and the squares of that."""

    count: int = 0
    total: int = 0
    squares: int = 0

    @property
    def error(self) -> float:
        """The standard error of the mean cost."""
        mean = self.total / self.count
        spread = max(self.squares / self.count - mean * mean, (_SPREAD_LEAST * mean) ** 2, 1.0)
        return math.sqrt(spread / (self.count - 1))


class _Known(msgspec.Struct):
    """The probabilities of a class's steps, and how many more costs they are good for."""

    steps: tuple[str, ...]
    chances: tuple[float, ...]
    left: int


class Drawn(msgspec.Struct, frozen=True):
    """One drawn step: what it is, the probability of drawing it, what the call then cost."""

    step: str
    probability: float
    cost: Money


class Weighted(msgspec.Struct, frozen=True, kw_only=True):
    """A step's mean cost a call, had it served all calls: an estimate, weighted by 1/probability."""

    step: str
    calls: int
    cost: Money


class Explorer:
    """Draws steps; one worker's. `share` of the draws, of 0..1, is even: none is drawn less."""

    def __init__(self, random: Random, share: float) -> None:
        self._random = random
        self._share = share
        self._seen: dict[Key, dict[str, _Tally]] = {}
        self._known: dict[Key, _Known] = {}

    def draw(self, key: Key, steps: Sequence[Step]) -> tuple[Step, float]:
        """One of `steps`, of which the first is the policy's own, and how likely it was."""
        if len(steps) == 1 or not self._share:
            return steps[0], 1.0
        chances = self._chances(key, tuple(map(describe, steps)))
        (taken,) = self._random.choices(range(len(steps)), chances)
        return steps[taken], chances[taken]

    def learn(self, key: Key, step: str, cost: Money) -> None:
        """What a call cost that a step, by its description, served."""
        if key not in self._seen and len(self._seen) >= _KEYS_MAX:
            self._seen.clear()
            self._known.clear()
        tally = self._seen.setdefault(key, {}).setdefault(step, _Tally())
        tally.count += 1
        tally.total += cost.nanodollars
        tally.squares += cost.nanodollars**2
        if tally.count >= _MEMORY:
            tally.count, tally.total, tally.squares = (
                tally.count // 2,
                tally.total // 2,
                tally.squares // 2,
            )
        known = self._known.get(key)
        if known is not None:
            known.left -= 1

    def _chances(self, key: Key, steps: tuple[str, ...]) -> tuple[float, ...]:
        """How likely each step is to be drawn; worked out anew with every tenth more costs."""
        known = self._known.get(key)
        if known is None or known.left <= 0 or known.steps != steps:
            seen = self._seen.get(key, {})
            tallies = [seen.get(step) or _Tally() for step in steps]
            even = self._share / len(steps)
            best = _cheapest(tallies)
            chances = tuple(even + (1 - self._share) * one for one in best)
            left = max(1, sum(tally.count for tally in tallies) // _ANEW)
            known = self._known[key] = _Known(steps, chances, left)
        return known.chances


def _cheapest(tallies: Sequence[_Tally]) -> list[float]:
    """How likely each step is to be the one of the least mean cost, by what was seen.

    While some were seen too little for that, these share it.
    """
    few = [tally.count < _LEAST for tally in tallies]
    if any(few):
        return [is_few / sum(few) for is_few in few]
    means = [tally.total / tally.count for tally in tallies]
    spreads = [tally.error for tally in tallies]
    found = [
        math.fsum(
            weight * _all_above(mean + spread * point, index, means, spreads)
            for point, weight in _NORMAL
        )
        for index, (mean, spread) in enumerate(zip(means, spreads, strict=True))
    ]
    whole = math.fsum(found)
    return [one / whole for one in found]


def _all_above(cost: float, index: int, means: Sequence[float], spreads: Sequence[float]) -> float:
    """How likely all steps but one are to cost more than this on average."""
    chance = 1.0
    for other, (mean, spread) in enumerate(zip(means, spreads, strict=True)):
        if other != index:
            chance *= math.erfc((cost - mean) / spread * _HALF_ROOT) / 2
    return chance


def weighted(drawn: Iterable[Drawn]) -> list[Weighted]:
    """What each step costs a call over all calls that were drawn for, cheapest first.

    Each call weighs by the inverse of its probability (self-normalised), so that a step that was
    drawn when calls happened to be short is not flattered by that.
    """
    calls: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for one in drawn:
        weight = round_half_even(_ONE**2, max(1, round(one.probability * _ONE)))
        calls[one.step] += 1
        weights[one.step] += weight
        sums[one.step] += weight * one.cost.nanodollars
    found = [
        Weighted(
            step=step,
            calls=count,
            cost=Money(round_half_even(sums[step], weights[step])),
        )
        for step, count in calls.items()
    ]
    return sorted(found, key=lambda one: one.cost)
