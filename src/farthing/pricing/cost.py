"""What pricing answers: a sum with its lines, or the reason why there is none."""

from __future__ import annotations

import enum

import msgspec

from farthing.money import Money
from farthing.pricing.price import Price
from farthing.usage import Unit

__all__ = ["Cost", "Line", "Priced", "Unpriced", "UnpricedReason"]


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One bucket of a bill: `count` units at `nanodollars` per `per` units.

    The line reproduces: count x nanodollars / per, rounded once, half to even, is its cost.
    """

    unit: Unit
    count: int
    nanodollars: int
    per: int
    cost: Money

    @property
    def usd_per_million(self) -> str:
        """The rate in USD per million units, exactly (see `Price.per_million`)."""
        return Price(self.nanodollars, self.per).per_million


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A sum, the lines it is made of, and the rate card behind them (`RateCard.id`)."""

    total: Money
    lines: tuple[Line, ...]
    card_id: str


class UnpricedReason(enum.StrEnum):
    """Why a usage has no price."""

    MODEL = "unpriced_model"  # no card for this provider, model and instant
    CONDITION = "unpriced_condition"  # the card does not cover the terms or a unit


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """No price is known; never zero."""

    provider: str
    model: str
    reason: UnpricedReason
    detail: str


Cost = Priced | Unpriced
