"""Money: exact sums as integer nanodollars.

One nanodollar is 1e-9 USD; a signed 64-bit column holds 9.2 billion dollars. Floats never mean
money: amounts come in as integers, decimal strings or `Decimal`, and go out as decimal strings.
Rounding to nanodollars happens in `round_half_even` and nowhere else.  # ADR-0001
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

__all__ = ["NANODOLLARS_PER_USD", "ZERO", "Money", "round_half_even", "total"]

NANODOLLARS_PER_USD: Final = 1_000_000_000
_NANODOLLARS_PER_CENT: Final = 10_000_000


def round_half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator/denominator; a tie goes to the even neighbour.

    Raises:
        ValueError: the denominator is not positive.
    """
    if denominator <= 0:
        raise ValueError(f"denominator must be positive, not {denominator}")
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


class Money(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """An exact sum in nanodollars; negative for a correction or a saving given back."""

    nanodollars: int

    @classmethod
    def usd(cls, amount: str | int | Decimal) -> Money:
        """The sum for an amount in USD, for example `Money.usd("0.0025")`.

        Raises:
            ValueError: the amount is no number, or finer than a nanodollar.
        """
        if isinstance(amount, float):
            raise TypeError("a float never means money: pass a decimal string or an int")
        try:
            value = Decimal(amount)
            scaled = value.scaleb(9)
            nanodollars = int(scaled)
        except (ArithmeticError, ValueError) as error:
            raise ValueError(f"{amount!r} is not an amount in USD") from error
        if nanodollars != scaled:
            raise ValueError(f"{amount} USD is finer than one nanodollar (1e-9 USD)")
        return cls(nanodollars)

    def __add__(self, other: Money) -> Money:
        return Money(self.nanodollars + other.nanodollars)

    def __sub__(self, other: Money) -> Money:
        return Money(self.nanodollars - other.nanodollars)

    def __neg__(self) -> Money:
        return Money(-self.nanodollars)

    def __bool__(self) -> bool:
        return self.nanodollars != 0

    def __str__(self) -> str:
        """The amount in USD as a plain decimal string, exact, at least two decimals."""
        whole, rest = divmod(abs(self.nanodollars), NANODOLLARS_PER_USD)
        cents, finer = divmod(rest, _NANODOLLARS_PER_CENT)
        shown = f"{whole}.{rest:09d}".rstrip("0") if finer else f"{whole}.{cents:02d}"
        return f"-{shown}" if self.nanodollars < 0 else shown


ZERO: Final = Money(0)


def total(sums: list[Money] | tuple[Money, ...]) -> Money:
    """The exact sum of the given sums; zero for none."""
    return Money(sum(item.nanodollars for item in sums))
