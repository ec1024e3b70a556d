"""Tests and intervals for the mean of bounded values that stay valid however often one looks.

A bet stakes a part of its capital on "the mean is above the null". Under the null the capital is
a supermartingale, so it reaches 1/alpha with a probability of at most alpha, at any time, after
any number of looks (Ville). A bound is the largest null whose bet is won.

A value that was sampled with probability p counts with weight 1/p, scaled by the least
probability there is, so that the capital stays positive.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
JRSS B 86 (2024), sections 3-4; read 2026-11-24.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import msgspec

__all__ = [
    "STAKE_MOST",
    "Bet",
    "FreshBets",
    "Interval",
    "Observed",
    "exceeds",
    "interval",
    "lower_bound",
]

STAKE_MOST: Final = 0.75  # of what could be lost on one value
_BISECTIONS: Final = 24


class Interval(msgspec.Struct, frozen=True):
    """Where the mean lies, in the values' own unit, with the confidence it was asked for."""

    low: float
    high: float


class Observed(msgspec.Struct, frozen=True, gc=False):
    """A value and the probability with which it was sampled; the least of them bounds weights."""

    value: float
    probability: float = 1.0


class _Stakes:
    """How much to stake on the next value, from the spread of those seen (0..1, before it)."""

    def __init__(self, alpha: float, expected: int | None) -> None:
        self._budget = 2 * math.log(1 / alpha)
        self._expected = expected
        self._count = 0
        self._sum = 0.5
        self._squares = 0.25

    def next(self) -> float:
        count = self._count + 1
        spread = self._squares / count
        # A known number of values is staked for at its end; an open one for all times alike.
        length = self._expected or count * math.log(1 + count)
        return math.sqrt(self._budget / (spread * length))

    def see(self, value: float) -> None:
        self._count += 1
        self._sum += value
        mean = self._sum / (self._count + 1)
        self._squares += (value - mean) ** 2


class Bet:
    """Tests "the mean is at most `null`" on values in [low, high]; won at 1/alpha, for good.

    `expected` is how many values there will be, where it is known; the test stays valid if
    there are more or fewer.
    """

    def __init__(
        self,
        *,
        null: float,
        alpha: float,
        bounds: tuple[float, float] = (0.0, 1.0),
        expected: int | None = None,
        least_probability: float = 1.0,
    ) -> None:
        low, high = bounds
        if not low <= null <= high or not 0 < alpha < 1 or not 0 < least_probability <= 1:
            raise ValueError(f"no bet on {null} in [{low}, {high}] at alpha {alpha}")
        self._low, self._width = low, high - low
        self._null = (null - low) / self._width
        self._stake_most = STAKE_MOST / self._null if self._null > 0 else math.inf
        self._stakes = _Stakes(alpha, expected)
        self._goal = math.log(1 / alpha)
        self._least_probability = least_probability
        self._log_capital = 0.0
        self._log_most = 0.0

    def see(self, value: float, probability: float = 1.0) -> None:
        """Stake on one more value.

        Raises:
            ValueError: the value or its sampling probability is out of bounds.
        """
        scaled = _scaled(value, self._low, self._width)
        weight = _weight(probability, self._least_probability)
        stake = min(self._stakes.next(), self._stake_most)
        self._log_capital += math.log1p(stake * weight * (scaled - self._null))
        self._log_most = max(self._log_most, self._log_capital)
        self._stakes.see(scaled)

    @property
    def is_won(self) -> bool:
        """Whether the null was ever rejected; it then stays so."""
        return self._log_most >= self._goal

    @property
    def p_value(self) -> float:
        """An anytime-valid p-value: the inverse of the largest capital so far."""
        return math.exp(-self._log_most)


class FreshBets:
    """A bet begun anew every `every` values, for a mean that may change after a long good time.

    What was seen before cannot hold back a bet that begins after it. The k-th bet is given
    alpha / (k (k + 1)); these add up to alpha, so that any of them is won under the null with a
    probability of at most alpha, however many are begun. The latest `running_most` go on.
    """

    def __init__(
        self,
        *,
        null: float,
        alpha: float,
        bounds: tuple[float, float] = (0.0, 1.0),
        least_probability: float = 1.0,
        every: int = 50,
        running_most: int = 20,
    ) -> None:
        self._begin = partial(Bet, null=null, bounds=bounds, least_probability=least_probability)
        self._alpha = alpha
        self._every = every
        self._running: deque[Bet] = deque(maxlen=running_most)
        self._count = 0
        self.is_won = False

    def see(self, value: float, probability: float = 1.0) -> None:
        """Stake on one more value, in each bet that runs."""
        if self._count % self._every == 0:
            number = self._count // self._every + 1
            self._running.append(self._begin(alpha=self._alpha / (number * (number + 1))))
        self._count += 1
        for bet in self._running:
            bet.see(value, probability)
        self.is_won = self.is_won or any(bet.is_won for bet in self._running)


def exceeds(
    values: Sequence[float],
    *,
    null: float,
    alpha: float,
    bounds: tuple[float, float] = (0.0, 1.0),
    weights: Sequence[float] | None = None,
) -> bool:
    """Whether a bet on all these values shows their mean to be above `null`; stops once it does.

    `weights` are the least sampling probability over each value's own; equal where None.
    """
    low, high = bounds
    width = high - low
    middle = (null - low) / width
    most = STAKE_MOST / middle if middle > 0 else math.inf
    goal = math.log(1 / alpha)
    rate = 2 * goal / max(1, len(values))
    capital, sum_, squares = 0.0, 0.5, 0.25
    # `_Stakes` and `Bet.see` drawn together, for certificates ask this thousands of times.
    for count, value in enumerate(values, 1):
        scaled = (value - low) / width
        stake = math.sqrt(rate * count / squares)
        weight = 1.0 if weights is None else weights[count - 1]
        capital += math.log1p((most if stake > most else stake) * weight * (scaled - middle))  # noqa: FURB136 - a call costs a third of the loop
        if capital >= goal:
            return True
        sum_ += scaled
        error = scaled - sum_ / (count + 1)
        squares += error * error
    return False


def lower_bound(
    observed: Sequence[Observed],
    *,
    alpha: float,
    bounds: tuple[float, float] = (0.0, 1.0),
    expected: int | None = None,
    least_probability: float | None = None,
) -> float:
    """A number that the mean is above with confidence 1 - alpha, at all looks together.

    `least_probability` must be known before the values are; the least seen is taken otherwise.
    """
    low, high = bounds
    width = high - low
    least = min((one.probability for one in observed), default=1.0)
    least = least if least_probability is None else least_probability
    stakes = _Stakes(alpha, expected)
    rounds: list[tuple[float, float, float]] = []
    for one in observed:
        scaled = _scaled(one.value, low, width)
        rounds.append((stakes.next(), _weight(one.probability, least), scaled))
        stakes.see(scaled)
    goal = math.log(1 / alpha)
    won, lost = 0.0, 1.0
    if not _is_won(rounds, 1e-9, goal):
        return low
    for _ in range(_BISECTIONS):  # the capital falls as the null rises
        middle = (won + lost) / 2
        if _is_won(rounds, middle, goal):
            won = middle
        else:
            lost = middle
    return low + won * width


def interval(
    observed: Sequence[Observed],
    *,
    alpha: float,
    bounds: tuple[float, float] = (0.0, 1.0),
    least_probability: float | None = None,
) -> Interval:
    """Where the mean is with confidence 1 - alpha, at all looks together."""
    low, high = bounds
    mirrored = [Observed(low + high - one.value, one.probability) for one in observed]
    below, above = (
        lower_bound(side, alpha=alpha / 2, bounds=bounds, least_probability=least_probability)
        for side in (observed, mirrored)
    )
    return Interval(below, low + high - above)


def _is_won(rounds: Iterable[tuple[float, float, float]], null: float, goal: float) -> bool:
    stake_most = STAKE_MOST / null
    capital = 0.0
    log1p = math.log1p
    for stake, weight, value in rounds:
        capital += log1p(min(stake, stake_most) * weight * (value - null))
        if capital >= goal:
            return True
    return False


def _scaled(value: float, low: float, width: float) -> float:
    scaled = (value - low) / width
    if not -1e-9 <= scaled <= 1 + 1e-9:
        raise ValueError(f"{value} is outside [{low}, {low + width}]")
    return min(1.0, max(0.0, scaled))


def _weight(probability: float, least: float) -> float:
    if not least <= probability <= 1:
        raise ValueError(f"sampling probability {probability} is outside [{least}, 1]")
    return least / probability
