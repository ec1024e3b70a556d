"""Rows of the price book: what one source says that a model costs, since when, and who said so.

Rows are only ever added. Two times count: when a price is valid, and when we came to know it.
A row that proved wrong is superseded by another of the kind `correction`.
"""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import msgspec

from farthing.pricing.card import UNITS, Price
from farthing.usage import Unit

__all__ = ["Layer", "Quote", "Row", "Window", "day_us", "price_of"]

_DAY_US = 86_400_000_000
_PER = {Unit.WEB_SEARCH: 1000, Unit.REQUEST: 1}


class Layer(enum.IntEnum):
    """How far a source is trusted; the highest wins, rate by rate."""

    CATALOGUE = 1
    HISTORY = 2
    VERIFIED = 3
    CONTRACT = 4


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hours of the day, UTC, in minutes from midnight; `weekdays` Monday to Friday only."""

    start_minute: int
    end_minute: int
    weekdays: bool = False
    holidays: tuple[str, ...] = ()

    def holds(self, at_us: int) -> bool:
        """Whether the instant lies within the window."""
        when = datetime.fromtimestamp(at_us / 1_000_000, UTC)
        minute = when.hour * 60 + when.minute
        inside = (
            self.start_minute <= minute < self.end_minute
            if self.start_minute < self.end_minute
            else minute >= self.start_minute or minute < self.end_minute
        )
        is_off = self.weekdays and (when.weekday() >= 5 or when.date().isoformat() in self.holidays)
        return inside and not is_off

    def edges_us(self, at_us: int) -> tuple[int, int]:
        """The last edge up to the instant, and the next after it, midnights included."""
        day = at_us - at_us % _DAY_US
        minutes = sorted({0, self.start_minute, self.end_minute, 1440})
        edges = [day + minute * 60_000_000 for minute in minutes]
        return (
            max(edge for edge in edges if edge <= at_us),
            min(edge for edge in edges if edge > at_us),
        )


class Quote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rates on one set of terms: USD per million tokens (per thousand searches, per request)."""

    rates: dict[str, str]
    service_tier: str = "default"
    is_batch: bool = False
    speed: str = ""
    context_over: int = 0


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a source says. Days are ISO dates, UTC; `valid_to` is the first day no longer."""

    source: str
    quotes: tuple[Quote, ...]
    layer: Layer = Layer.CATALOGUE
    kind: str = "price"
    valid_from: str = ""
    valid_to: str = ""
    recorded: str = ""
    superseded: str = ""
    windows: tuple[Window, ...] = ()

    def is_valid(self, at_us: int, known_us: int | None) -> bool:
        """Whether it holds at an instant, as far as was known at another."""
        if self.valid_from and at_us < day_us(self.valid_from):
            return False
        if self.valid_to and at_us >= day_us(self.valid_to):
            return False
        if known_us is None:
            is_known = not self.superseded
        else:
            is_known = (not self.recorded or day_us(self.recorded) <= known_us) and not (
                self.superseded and day_us(self.superseded) <= known_us
            )
        return is_known and (not self.windows or any(w.holds(at_us) for w in self.windows))

    def edges_us(self, at_us: int) -> list[int]:
        """The instants at which it begins or ceases to hold, near `at_us`."""
        edges = [day_us(day) for day in (self.valid_from, self.valid_to) if day]
        for window in self.windows:
            edges += window.edges_us(at_us)
        return edges


def day_us(day: str) -> int:
    """The first instant of a day, UTC; a longer text is an RFC 3339 time."""
    if len(day) > 10:
        return round(datetime.fromisoformat(day).timestamp()) * 1_000_000
    midnight = datetime.combine(date.fromisoformat(day), time(), UTC)
    return (midnight - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def price_of(unit: Unit, amount: str) -> Price:
    """A price in the vendor's form from a decimal text: `2.5` per million is 2.5e9 per 1e6.

    An amount finer than a nanodollar keeps its digits: both sides grow by ten.
    """
    value = Decimal(amount).scaleb(9)
    per = _PER.get(unit, 1_000_000)
    while value != value.to_integral_value():
        value, per = value.scaleb(1), per * 10
    return Price(int(value), per)


NO_RATES: tuple[None, ...] = (None,) * len(UNITS)
