"""Rows of the price book: what one source says that a model costs, since when, and who said so.

Rows are only ever added. Two times count: when a price is valid, and when it became known. A row
has no end of its own: it stands until a later row of its layer and terms begins, so that a book
asked for what it knew then lets it stand on. A row that proved wrong is superseded by another of
the kind `correction`.
"""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

__all__ = ["Layer", "Quote", "Row", "day_us"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Layer(enum.IntEnum):
    """How far a source is trusted; the highest wins, rate by rate."""

    CATALOGUE = 1
    HISTORY = 2
    VERIFIED = 3
    CONTRACT = 4


class Quote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rates on one set of terms: USD per million tokens (per thousand searches, per request)."""

    rates: dict[str, str]
    service_tier: str = "default"
    is_batch: bool = False
    speed: str = ""
    context_over: int = 0


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a source says about one model on one set of terms, one quote a context tier.

    `kind` is why it came to be: `price` (as first listed), `change`, `correction` (of a wrong
    entry), `promo`, `scheduled` (announced before it begins), `retired` (no longer served from
    `valid_from` on; the price stands). A quote without rates says that the terms are no longer
    offered.

    Days are ISO dates or RFC 3339 times, UTC; empty: open, or nobody noted it. `valid_to` is
    given only where the row itself announced its end. `recorded` is when the source came to
    say so, `superseded` when it was found to be wrong, `checked` when it was last seen to stand.
    `verified_by` says how we checked it ourselves (see `verified`); empty: we did not.
    """

    source: str
    quotes: tuple[Quote, ...]
    layer: Layer = Layer.CATALOGUE
    kind: str = "price"
    valid_from: str = ""
    valid_to: str = ""
    recorded: str = ""
    superseded: str = ""
    checked: str = ""
    verified_by: str = ""

    @property
    def terms(self) -> tuple[str, bool, str]:
        """The terms that all its quotes share: service tier, batch, speed."""
        if not self.quotes:
            return ("default", False, "")
        quote = self.quotes[0]
        return (quote.service_tier, quote.is_batch, quote.speed)

    @property
    def age(self) -> tuple[int, int]:
        """What orders the rows of a layer: when it begins, then when it became known."""
        return (_or_never(self.valid_from), _or_never(self.recorded))

    def is_known(self, known_us: int | None) -> bool:
        """Whether the row stood in the book at an instant; None: today."""
        if known_us is None:
            return not self.superseded
        return (not self.recorded or day_us(self.recorded) <= known_us) and (
            not self.superseded or known_us < day_us(self.superseded)
        )

    def holds(self, at_us: int) -> bool:
        """Whether it has begun, and not announced its end, at an instant."""
        return (not self.valid_from or day_us(self.valid_from) <= at_us) and (
            not self.valid_to or at_us < day_us(self.valid_to)
        )

    def edges_us(self) -> list[int]:
        """The instants at which it begins and ends, as far as it says."""
        return [day_us(day) for day in (self.valid_from, self.valid_to) if day]

    def rates(self) -> dict[str, str]:
        """Its rates for short prompts."""
        none: dict[str, str] = {}
        return next((quote.rates for quote in self.quotes if not quote.context_over), none)


def _or_never(day: str) -> int:
    return day_us(day) if day else -(2**62)


def day_us(day: str) -> int:
    """The first instant of a day, UTC; a longer text is an RFC 3339 time, UTC if it says no zone."""
    if len(day) == 10:
        instant = datetime.combine(date.fromisoformat(day), time(), UTC)
    else:
        instant = datetime.fromisoformat(day)
        instant = instant.replace(tzinfo=instant.tzinfo or UTC)
    return (instant - _EPOCH) // _MICROSECOND
