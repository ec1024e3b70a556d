"""Pricing again what stands in the ledger: at another date, or as another model.

Tokens are the record, so money can always be derived from them anew. With neither a date nor
another model each attempt is priced at the instant its call began, which gives back what was booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from farthing.call import Attempt, Pricing
from farthing.ledger.entry import Entry
from farthing.money import Money
from farthing.pricing.cost import Cost, Priced, Unpriced
from farthing.usage import Terms, Usage

__all__ = ["Book", "Card", "Repriced", "RepricedRow", "reprice"]


class Card(Protocol):
    """A rate card, as far as the ledger needs one."""

    def cost(self, usage: Usage, terms: Terms) -> Cost:
        """What the usage costs on these terms, line by line."""
        ...


class Book(Protocol):
    """A price book, as far as the ledger needs one."""

    def card(self, provider: str, model: str, at_us: int) -> Card | Unpriced:
        """The card valid at an instant."""
        ...

    def served_card(self, provider: str, served: str, sent: str, at_us: int) -> Card | Unpriced:
        """The card of the model that served where another was sent."""
        ...


class RepricedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model: what was booked, and what the same tokens come to.

    `unpriced_booked` and `unpriced_now` count attempts that have no price. What those that have
    none now were booked at, `left_out`, is in `booked` and has nothing in `repriced` to stand
    beside: the difference leaves it out.
    """

    provider: str
    model: str
    repriced_as: str
    attempts: int
    booked: Money
    repriced: Money
    left_out: Money
    unpriced_booked: int
    unpriced_now: int

    @property
    def difference(self) -> Money:
        """What the attempts that have a price now come to, less what they were booked at."""
        return self.repriced - (self.booked - self.left_out)


class Repriced(msgspec.Struct, frozen=True, kw_only=True):
    """The rows and their sums; `replaced` are the models that were to be replaced and were there."""

    rows: tuple[RepricedRow, ...]
    replaced: frozenset[str] = frozenset()

    @property
    def booked(self) -> Money:
        """What was booked."""
        return Money(sum(row.booked.nanodollars for row in self.rows))

    @property
    def repriced(self) -> Money:
        """What the same tokens come to."""
        return Money(sum(row.repriced.nanodollars for row in self.rows))

    @property
    def left_out(self) -> Money:
        """What attempts were booked at that have no price now."""
        return Money(sum(row.left_out.nanodollars for row in self.rows))

    @property
    def difference(self) -> Money:
        """What the attempts that have a price now come to, less what they were booked at."""
        return Money(sum(row.difference.nanodollars for row in self.rows))

    def document(self) -> dict[str, Any]:
        """The rows as one JSON document; money as decimal strings in USD."""
        return {
            "booked_usd": str(self.booked),
            "repriced_usd": str(self.repriced),
            "left_out_usd": str(self.left_out),
            "difference_usd": str(self.difference),
            "rows": [
                {
                    "provider": row.provider,
                    "model": row.model,
                    "repriced_as": row.repriced_as,
                    "attempts": row.attempts,
                    "booked_usd": str(row.booked),
                    "repriced_usd": str(row.repriced),
                    "left_out_usd": str(row.left_out),
                    "difference_usd": str(row.difference),
                    "unpriced_booked": row.unpriced_booked,
                    "unpriced_now": row.unpriced_now,
                }
                for row in self.rows
            ],
        }


class _Sums:
    def __init__(self) -> None:
        self.attempts = self.booked = self.repriced = self.left_out = 0
        self.unpriced_booked = self.unpriced_now = 0

    def add(self, booked: Money | None, repriced: Money | None) -> None:
        self.attempts += 1
        self.booked += 0 if booked is None else booked.nanodollars
        self.unpriced_booked += booked is None
        self.repriced += 0 if repriced is None else repriced.nanodollars
        self.unpriced_now += repriced is None
        if repriced is None and booked is not None:
            self.left_out += booked.nanodollars


def reprice(
    entries: Iterable[Entry],
    book: Book,
    *,
    at_us: int | None = None,
    models: Mapping[str, str] | None = None,
    price_as: Mapping[str, str] | None = None,
) -> Repriced:
    """Price every attempt again, at `at_us` and with models replaced as `models` says.

    A replacement may name its provider (`openai/gpt-4o`); else the attempt's provider is tried,
    then the model's maker. Corrections keep their sums: they are facts, not tokens. What the
    provider billed itself stays where neither date nor model changes; an estimate stays until a
    price is known. `price_as` says under which names providers stand in the book.
    """
    models, price_as = models or {}, price_as or {}
    sums: dict[tuple[str, str, str], _Sums] = {}
    replaced: set[str] = set()
    for entry in entries:
        for attempt in entry.attempts:
            old = attempt.model if attempt.model in models else entry.model
            wanted = models.get(old, attempt.model)
            if old in models:
                replaced.add(old)
            stays = at_us is None and wanted == attempt.model
            key = (attempt.provider, attempt.model, wanted)
            if _is_fact(entry, attempt, stays=stays):
                now = attempt.cost
            else:
                provider = price_as.get(attempt.provider, attempt.provider)
                now = _price(book, attempt, (provider, wanted), at_us or entry.started_us)
            sums.setdefault(key, _Sums()).add(attempt.cost, now)
    rows = (
        RepricedRow(
            provider=provider,
            model=model,
            repriced_as=wanted,
            attempts=found.attempts,
            booked=Money(found.booked),
            repriced=Money(found.repriced),
            left_out=Money(found.left_out),
            unpriced_booked=found.unpriced_booked,
            unpriced_now=found.unpriced_now,
        )
        for (provider, model, wanted), found in sums.items()
    )
    ordered = sorted(rows, key=lambda row: (-row.booked.nanodollars, row.model))
    return Repriced(rows=tuple(ordered), replaced=frozenset(replaced))


def _is_fact(entry: Entry, attempt: Attempt, *, stays: bool) -> bool:
    """Whether a sum does not follow from a card: free, a correction, or the provider's own."""
    if attempt.pricing is Pricing.FREE or entry.corrects:
        return True
    return stays and attempt.pricing is Pricing.PROVIDER


def _price(book: Book, attempt: Attempt, place: tuple[str, str], at_us: int) -> Money | None:
    """The price at a provider of the model that served, or of the one that is to take its place."""
    provider, wanted = place
    if wanted == attempt.model:
        served = attempt.model_served or wanted
        found = _cost(book.served_card(provider, served, wanted, at_us), attempt)
        return attempt.cost if found is None and attempt.pricing is Pricing.ESTIMATED else found
    named, slash, model = wanted.partition("/")
    for who, name in ((provider, wanted), (named, model) if slash else ("", wanted), ("", wanted)):
        card = book.card(who, name, at_us)
        if not isinstance(card, Unpriced):
            return _cost(card, attempt)
    return None


def _cost(card: Card | Unpriced, attempt: Attempt) -> Money | None:
    cost = card if isinstance(card, Unpriced) else card.cost(attempt.usage, attempt.terms)
    return cost.total if isinstance(cost, Priced) else None
