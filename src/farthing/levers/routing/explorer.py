"""Explores within what is certified: which of a class's certified steps is cheapest on live traffic.

A share of calls goes to all of the class's steps alike, the rest to the step that has cost least so
far. What a call costs is known at once and needs no judge, and that every step keeps the floor is
certified beforehand for any way of choosing among them. So nothing is risked but a little money.

Every draw tells the probability with which it came, so that means over what was drawn can be
weighted back to what any other way of choosing would have seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

import msgspec

from farthing.levers.routing.step import Step, describe
from farthing.money import Money, round_half_even

__all__ = ["Drawn", "Explorer", "Weighted", "weighted"]

_LEAST: Final = 30  # calls of a step before its mean cost says anything
_MEMORY: Final = 2_000  # calls of a step after which the older half of them counts no more
_KEYS_MAX: Final = 10_000
_ONE: Final = 1_000_000  # parts of a probability

Key = tuple[str, str]  # policy, class


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
    """Draws steps; one worker's. `share` of the draws are even, of 0..1."""

    def __init__(self, random: Random, share: float) -> None:
        self._random = random
        self._share = share
        self._seen: dict[Key, dict[str, list[int]]] = {}

    def draw(self, key: Key, steps: Sequence[Step]) -> tuple[Step, float]:
        """One of `steps`, of which the first is the policy's own, and how likely it was."""
        if len(steps) == 1 or not self._share:
            return steps[0], 1.0
        best = self._best(key, steps)
        even = self._share / len(steps)
        taken = best
        if self._random.random() < self._share:
            taken = steps[self._random.randrange(len(steps))]
        return taken, even + (1 - self._share if taken == best else 0.0)

    def learn(self, key: Key, step: str, cost: Money) -> None:
        """What a call cost that a step, by its description, served."""
        if key not in self._seen and len(self._seen) >= _KEYS_MAX:
            self._seen.clear()
        tally = self._seen.setdefault(key, {}).setdefault(step, [0, 0])
        tally[0] += 1
        tally[1] += cost.nanodollars
        if tally[0] >= _MEMORY:
            tally[:] = [tally[0] // 2, tally[1] // 2]

    def _best(self, key: Key, steps: Sequence[Step]) -> Step:
        """The step with the least mean cost; the policy's own until each has been seen enough."""
        seen = self._seen.get(key, {})
        tallies = [seen.get(describe(step), (0, 0)) for step in steps]
        if any(count < _LEAST for count, _ in tallies):
            return steps[0]
        means = [total / count for count, total in tallies]
        return steps[means.index(min(means))]


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
