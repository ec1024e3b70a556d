"""The hidden multipliers of a request: regenerations, agent steps and turns, up to a month."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from farthing.money import Money, round_half_even

__all__ = ["DAYS_PER_MONTH", "Projection", "Volume", "project"]

DAYS_PER_MONTH = 30


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """How a request multiplies; decimal texts. `per_day` counts requests as the user makes them."""

    per_day: str = "0"
    regenerations: str = "1"
    steps: str = "1"
    turns: str = "1"


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """What one call grows to; each sum is rounded once, from the exact product."""

    per_call: Money
    per_request: Money
    per_conversation: Money
    per_day: Money
    per_month: Money


def project(call: Money, volume: Volume) -> Projection:
    """A request is a call times its regenerations and steps; a conversation, `turns` requests.

    Raises:
        ValueError: a factor is no number or negative, or a multiplier is below 1.
    """
    request = call.nanodollars * _multiplier("regenerations", volume) * _multiplier("steps", volume)
    day = request * _factor(volume.per_day)
    return Projection(
        per_call=call,
        per_request=_sum(request),
        per_conversation=_sum(request * _multiplier("turns", volume)),
        per_day=_sum(day),
        per_month=_sum(day * DAYS_PER_MONTH),
    )


def _multiplier(name: str, volume: Volume) -> Fraction:
    """Calls an answer, steps a request, requests a conversation: there is at least one of each."""
    text: str = getattr(volume, name)
    factor = _factor(text)
    if factor < 1:
        raise ValueError(f"{name} must be at least 1, not {text}")
    return factor


def _factor(text: str) -> Fraction:
    try:
        factor = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{text!r} is no number") from error
    if factor < 0:
        raise ValueError(f"{text} must not be negative")
    return factor


def _sum(exact: Fraction) -> Money:
    return Money(round_half_even(exact.numerator, exact.denominator))
