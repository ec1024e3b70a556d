"""What a provider says that a call cost, beside what our card makes of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from farthing.money import Money
from farthing.pricing.price import exact_text

__all__ = ["CostGap", "cost_gap"]

_TOLERANCE: Final = Fraction(1, 100)


class CostGap(msgspec.Struct, frozen=True, kw_only=True):
    """Two costs of the same calls that are too far apart: `difference` is provider - card.

    `ratio` is provider / card, exactly (see `price.exact_text`); empty where the card's is zero.
    """

    provider: Money
    card: Money
    difference: Money
    ratio: str


def cost_gap(provider: Money, card: Money, tolerance: Fraction = _TOLERANCE) -> CostGap | None:
    """The gap between a provider's own cost and the card's, where it exceeds the tolerance.

    The tolerance is a share of the card's cost. Where the card makes it nothing, any charge is a
    gap.
    """
    difference = provider - card
    if abs(difference.nanodollars) <= tolerance * abs(card.nanodollars):
        return None
    ratio = exact_text(Fraction(provider.nanodollars, card.nanodollars)) if card else ""
    return CostGap(provider=provider, card=card, difference=difference, ratio=ratio)
