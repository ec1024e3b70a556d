"""A price in the vendor's form, the one place that rounds it, and its exact text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import gcd
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.money import Money, round_half_even
from farthing.usage import Unit

__all__ = ["UNITS", "Price", "exact_text", "price_of"]

UNITS = tuple(Unit)  # the order of a set's rates, and of the counts in a `Usage`
_PER: Mapping[Unit, int] = MappingProxyType({Unit.WEB_SEARCH: 1000, Unit.REQUEST: 1})
_MILLION: Final = 1_000_000
_NANODOLLARS: Final = 1_000_000_000


class Price(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An amount as the vendor quotes it: `nanodollars` for `per` units."""

    nanodollars: int
    per: int

    def of(self, count: int) -> Money:
        """What `count` units cost, rounded once, half to even."""
        return Money(round_half_even(count * self.nanodollars, self.per))

    def times(self, numerator: int, denominator: int) -> Price:
        """The price multiplied, exactly; `per` grows only where the amount does not divide."""
        amount = self.nanodollars * numerator
        shared = gcd(amount, denominator)
        return Price(amount // shared, self.per * (denominator // shared))

    @property
    def per_million(self) -> str:
        """USD for a million units, exactly: a decimal text, or `n/d` where no decimal is exact."""
        return exact_text(Fraction(self.nanodollars * _MILLION, self.per * _NANODOLLARS))


def exact_text(value: Fraction) -> str:
    """`value` as a decimal text where that is exact, else as `n/d`; `Fraction` reads both back."""
    rest, twos = _without(value.denominator, 2)
    rest, fives = _without(rest, 5)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def _without(number: int, factor: int) -> tuple[int, int]:
    """`number` divided by `factor` as often as it goes, and how often that was."""
    times = 0
    while number % factor == 0:
        number, times = number // factor, times + 1
    return number, times


def price_of(unit: Unit, amount: str) -> Price:
    """A price in the vendor's form from a decimal text: `2.5` per million is 2.5e9 per 1e6.

    `n/d` stands for an amount that no decimal can write. An amount finer than a nanodollar keeps
    its digits: both sides grow by ten.
    """
    per = _PER.get(unit, _MILLION)
    whole, slash, parts = amount.partition("/")
    if slash:
        return Price(int(whole) * _NANODOLLARS, per).times(1, int(parts))
    value = Decimal(amount).scaleb(9)
    while value != value.to_integral_value():
        value, per = value.scaleb(1), per * 10
    return Price(int(value), per)
