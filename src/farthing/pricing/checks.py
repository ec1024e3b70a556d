"""What in the price book deserves a look before a bill is bet on it.

Each finding is a signal, not a verdict: it says which model, what was seen, and by when.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

from farthing.money import Money
from farthing.pricing.book import PriceBook
from farthing.pricing.compose import overtakes
from farthing.pricing.names import maker_of
from farthing.pricing.price import exact_text
from farthing.pricing.rows import Layer, Row, day_us

__all__ = ["CostGap", "Finding", "Signal", "check_prices", "cost_gap"]

_DAY_US: Final = 86_400_000_000
DAYS_AHEAD: Final = 90  # how far ahead announced changes are told
DAYS_UNCHECKED: Final = 90  # how long a price may stand without a look
_TOLERANCE: Final = Fraction(1, 100)
_JUMP: Final = 8
_HOSTS_LEAST: Final = 3
_ROWS_LEAST: Final = 3
_COMPARED: Final = ("input", "output", "cache_read")


class Signal(enum.StrEnum):
    """What a finding is about."""

    UNIT_SLIP = "unit_slip"  # in quarantine: no model ever cost that
    HALF_PRICE = "half_price"  # exactly half of the maker's price: a batch price or a promotion
    DISAGREEMENT = "disagreement"  # two catalogues differ by more than 1 %
    JUMP = "jump"  # more than 8x from what the model costs elsewhere, or used to cost
    SCHEDULED = "scheduled"  # an announced change within 90 days
    PROMO_END = "promo_end"  # an introductory price that ends within 90 days
    CONTRACT_END = "contract_end"  # a price of your own that ends within 90 days
    RETIREMENT = "retirement"  # the model goes away within 90 days
    STALE = "stale"  # nobody looked at the price for 90 days


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One signal about one model; an empty model: about all of a source's. `day` may be empty."""

    signal: Signal
    provider: str
    model: str
    detail: str
    day: str
    source: str


class CostGap(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's own cost beside ours: `provider - card`, and as a share of the card's."""

    provider: Money
    card: Money
    difference: Money
    ratio: str


def cost_gap(provider: Money, card: Money, tolerance: Fraction = _TOLERANCE) -> CostGap | None:
    """The gap between a provider's own cost and the card's where it exceeds the tolerance.

    The tolerance is a share of the card's cost; a charge where the card says nothing always
    exceeds it. `ratio` is provider / card, exactly; empty where the card's cost is zero.
    """
    difference = provider - card
    if abs(difference.nanodollars) <= tolerance * abs(card.nanodollars):
        return None
    ratio = exact_text(Fraction(provider.nanodollars, card.nanodollars)) if card else ""
    return CostGap(provider=provider, card=card, difference=difference, ratio=ratio)


def check_prices(book: PriceBook, at_us: int, query: str = "", provider: str = "") -> list[Finding]:
    """All findings about the prices that stand at an instant, by signal, provider and model."""
    found = [
        Finding(
            signal=Signal(held.reason),
            provider=held.provider,
            model=held.model,
            detail=f"{held.detail}: in quarantine",
            day=held.row.valid_from[:10],
            source=held.row.source,
        )
        for held in book.quarantined(query, provider)
    ]
    listings = list(book.listings(query, provider))
    everywhere = _elsewhere(list(book.listings()), at_us)
    for who, model, rows in listings:
        known = [row for row in rows if not row.superseded]
        found += _disagreements(who, model, known, at_us)
        found += _jumps(who, model, known, at_us, everywhere)
        found += _halves(who, model, known, at_us, everywhere)
        found += _ahead(who, model, known, at_us)
    found += _stale(listings, at_us)
    found += _contracts_ending(book, at_us, query, provider)
    return sorted(found, key=lambda f: (list(Signal).index(f.signal), f.provider, f.model, f.day))


def _standard(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.terms == ("default", False, "")]


def _standing(rows: Sequence[Row], at_us: int) -> dict[Layer, Row]:
    """Each layer's standard price at an instant."""
    held = [row for row in _standard(rows) if row.rates() and row.holds(at_us)]
    return {row.layer: row for row in sorted(held, key=lambda row: row.age)}


def _winner(standing: dict[Layer, Row]) -> Row:
    """The price that counts: of the highest layer that no change since has overtaken."""
    layers = sorted(standing, reverse=True)
    return next(
        standing[layer]
        for layer in layers
        if not any(low < layer and overtakes(standing[low], standing[layer]) for low in layers)
    )


def _bare(model: str) -> str:
    """A model's name without its maker's folder."""
    return model.rsplit("/", 1)[-1]


def _input(row: Row) -> Fraction | None:
    amount = row.rates().get("input")
    return None if amount is None else Fraction(amount)


class _Elsewhere(msgspec.Struct, frozen=True):
    """What models cost in general: input's median at three hosts or more, and at their makers."""

    typical: dict[str, Fraction]
    makers: dict[str, Row]


def _elsewhere(listings: Sequence[tuple[str, str, tuple[Row, ...]]], at_us: int) -> _Elsewhere:
    hosts: dict[str, list[Fraction]] = {}
    makers: dict[str, Row] = {}
    for who, model, rows in listings:
        standing = _standing([row for row in rows if not row.superseded], at_us)
        if not standing:
            continue
        row, name = _winner(standing), _bare(model)
        amount = _input(row)
        if amount is not None:
            hosts.setdefault(name, []).append(amount)
        if who == maker_of(name):
            makers[name] = row
    typical = {name: median(found) for name, found in hosts.items() if len(found) >= _HOSTS_LEAST}
    return _Elsewhere(typical, makers)


def _disagreements(who: str, model: str, rows: Sequence[Row], at_us: int) -> list[Finding]:
    standing = _standing(rows, at_us)
    found: list[Finding] = []
    layers = sorted(standing)
    for lower, higher in pairwise(layers):
        if overtakes(standing[lower], standing[higher]):
            continue  # a change since, not a disagreement
        ours, theirs = standing[higher].rates(), standing[lower].rates()
        differing = [
            f"{unit} ${ours[unit]} and ${theirs[unit]}"
            for unit in _COMPARED
            if unit in ours and unit in theirs and _differ(ours[unit], theirs[unit])
        ]
        if differing:
            detail = f"{', '.join(differing)} per million (the latter: {standing[lower].source})"
            found.append(_finding(Signal.DISAGREEMENT, who, model, detail, standing[higher]))
    return found


def _differ(one: str, other: str) -> bool:
    a, b = Fraction(one), Fraction(other)
    return abs(a - b) > _TOLERANCE * max(a, b)


def _jumps(
    who: str, model: str, rows: Sequence[Row], at_us: int, elsewhere: _Elsewhere
) -> list[Finding]:
    """Prices more than 8x from what the model costs elsewhere, or from what it used to cost."""
    standing = _standing(rows, at_us)
    amount = _input(_winner(standing)) if standing else None
    if amount is None:
        return []
    past = [_input(row) for row in _standard(rows) if row.holds(at_us)]
    begun = [found for found in past if found is not None]
    usual = {
        "elsewhere": elsewhere.typical.get(_bare(model)),
        "in its own past": median(begun) if len(begun) >= _ROWS_LEAST else None,
    }
    return [
        _finding(
            Signal.JUMP,
            who,
            model,
            f"input ${exact_text(amount)} per million; {where} ${exact_text(middle)} (median)",
            _winner(standing),
        )
        for where, middle in usual.items()
        if middle is not None and not middle / _JUMP <= amount <= middle * _JUMP
    ]


def _halves(
    who: str, model: str, rows: Sequence[Row], at_us: int, elsewhere: _Elsewhere
) -> list[Finding]:
    """Hosts that ask exactly half of the maker's price, where that did not put them in quarantine."""
    standing, maker = _standing(rows, at_us), elsewhere.makers.get(_bare(model))
    if not standing or maker is None or who == maker_of(_bare(model)):
        return []
    row = _winner(standing)
    ours, theirs = row.rates(), maker.rates()
    is_half = all(
        unit in ours and unit in theirs and Fraction(ours[unit]) * 2 == Fraction(theirs[unit])
        for unit in ("input", "output")
    )
    detail = f"{_pair(row)} is exactly half of the maker's {_pair(maker)}"
    return [_finding(Signal.HALF_PRICE, who, model, detail, row)] if is_half else []


def _ahead(who: str, model: str, rows: Sequence[Row], at_us: int) -> list[Finding]:
    """Announced changes and retirements."""
    standing = _standing(rows, at_us)
    current = _winner(standing) if standing else None
    found: list[Finding] = []
    for row in rows:
        if not row.valid_from or not _is_near(row.valid_from, at_us):
            continue
        if row.kind == "retired":
            detail = "will no longer be served"
            found.append(_finding(Signal.RETIREMENT, who, model, detail, row))
        elif row.rates() and row.terms == ("default", False, ""):
            is_promo = any(held.kind == "promo" for held in standing.values())
            detail = f"input and output {_pair(current)} now, {_pair(row)} then"
            signal = Signal.PROMO_END if is_promo else Signal.SCHEDULED
            found.append(_finding(signal, who, model, detail, row))
    return found


def _pair(row: Row | None) -> str:
    rates = Row(source="", quotes=()).rates() if row is None else row.rates()
    return "/".join(f"${rates.get(unit, '?')}" for unit in ("input", "output"))


def _is_near(day: str, at_us: int) -> bool:
    return at_us < day_us(day) <= at_us + DAYS_AHEAD * _DAY_US


def _stale(listings: Sequence[tuple[str, str, tuple[Row, ...]]], at_us: int) -> list[Finding]:
    """Sources that nobody read for too long, each once."""
    unread: dict[tuple[str, str], list[str]] = {}
    for who, model, rows in listings:
        standing = _standing([row for row in rows if not row.superseded], at_us)
        row = _winner(standing) if standing else None
        if row and row.checked and at_us - day_us(row.checked) > DAYS_UNCHECKED * _DAY_US:
            source = row.source.partition(":")[0] if row.layer < Layer.VERIFIED else "verified rows"
            unread.setdefault((row.checked[:10], source), []).append(f"{who}/{model}")
    return [
        Finding(
            signal=Signal.STALE,
            provider="",
            model="",
            detail=f"{len(models)} prices stand unread since, {models[0]} among them",
            day=day,
            source=source,
        )
        for (day, source), models in unread.items()
    ]


def _contracts_ending(book: PriceBook, at_us: int, query: str, provider: str) -> list[Finding]:
    return [
        Finding(
            signal=Signal.CONTRACT_END,
            provider=given.provider,
            model=given.model,
            detail="a price of your own ends; the list price follows",
            day=given.valid_to,
            source=given.source,
        )
        for given in book.own_prices()
        if given.valid_to
        and _is_near(given.valid_to, at_us)
        and query.lower() in given.model.lower()
        and provider in ("", given.provider)
    ]


def _finding(signal: Signal, who: str, model: str, detail: str, row: Row) -> Finding:
    return Finding(
        signal=signal,
        provider=who,
        model=model,
        detail=detail,
        day=row.valid_from[:10] or row.recorded[:10],
        source=row.source,
    )
