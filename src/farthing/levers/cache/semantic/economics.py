"""What a semantic cache earns, in four terms, and the error rate at which it stops to pay.

Per lookup: h·[c(1 - s) + v - s·j - e·L] - l, with h the share of lookups served, c the cost of a
call avoided, s the share of hits that are checked, j what a check costs, v what the time saved is
worth, e the error among served, L the loss per wrong answer, l the cost of a lookup. Money is in
nanodollars; shares are floats and are applied once, at the end of each term, half to even.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from farthing.errors import CallerError
from farthing.money import ZERO, Money

__all__ = [
    "LOOKUP_COST",
    "Account",
    "Assumptions",
    "account_of",
    "price_factor_limit",
    "serve_limit",
]

# 8 ms of CPU at $0.04 per vCPU-hour is $0.09 per million lookups: 89 nanodollars each. Estimate.
LOOKUP_COST = Money(89)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What the account is made from. `error` is the upper bound of P(wrong | served)."""

    lookups: int
    hit_share: float
    error: float
    call_cost: Money
    loss_per_wrong: Money
    sampling: float = 0.05
    judge_cost: Money = ZERO
    time_value: Money = ZERO
    lookup_cost: Money = LOOKUP_COST

    def at_price(self, factor: float) -> Assumptions:
        """The same at `factor` times today's token prices: calls and checks, not losses."""
        return replace(
            self,
            call_cost=_times(self.call_cost, factor),
            judge_cost=_times(self.judge_cost, factor),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The four terms and their sum; never a gross saving alone."""

    saved: Money
    checking: Money
    wrong_answers: Money
    lookups: Money
    time_saved: Money
    error_max: float

    @property
    def net(self) -> Money:
        """What is left."""
        return self.saved + self.time_saved - self.checking - self.wrong_answers - self.lookups

    @property
    def pays(self) -> bool:
        """Whether anything is."""
        return self.net > ZERO


def account_of(said: Assumptions) -> Account:
    """The account over all lookups. A hit that is checked costs the call after all.

    Raises:
        CallerError: a share is not between 0 and 1.
    """
    for name, share in (
        ("hit share", said.hit_share),
        ("error", said.error),
        ("sampling", said.sampling),
    ):
        if not 0 <= share <= 1:
            raise CallerError(
                f"The {name} is {share}; it must be between 0 and 1. Nothing was done."
            )
    hits = said.lookups * Fraction(said.hit_share)
    checked = hits * Fraction(said.sampling)
    return Account(
        saved=_money(hits * said.call_cost.nanodollars),
        time_saved=_money(hits * said.time_value.nanodollars),
        checking=_money(checked * (said.call_cost.nanodollars + said.judge_cost.nanodollars)),
        wrong_answers=_money(hits * Fraction(said.error) * said.loss_per_wrong.nanodollars),
        lookups=_money(Fraction(said.lookups * said.lookup_cost.nanodollars)),
        error_max=serve_limit(said),
    )


def serve_limit(said: Assumptions) -> float:
    """The error among served at which a lookup earns nothing; 0 where none is low enough, at most 1."""
    earned = (
        said.call_cost.nanodollars * (1 - said.sampling)
        + said.time_value.nanodollars
        - said.sampling * said.judge_cost.nanodollars
    )
    if said.hit_share > 0:
        earned -= said.lookup_cost.nanodollars / said.hit_share
    loss = said.loss_per_wrong.nanodollars
    if earned <= 0:
        return 0.0
    return min(1.0, earned / loss) if loss else 1.0


def price_factor_limit(said: Assumptions) -> float | None:
    """The factor on today's prices below which the cache stops to pay; None if it never pays."""
    if not account_of(said).pays:
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if account_of(said.at_price(middle)).pays:
            high = middle
        else:
            low = middle
    return high


def _times(sum_: Money, factor: float) -> Money:
    return _money(sum_.nanodollars * Fraction(factor))


def _money(exact: Fraction) -> Money:
    return Money(round(exact))
