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

from farthing.pricing.book import PriceBook
from farthing.pricing.catalogue import Quarantined
from farthing.pricing.compose import overtakes
from farthing.pricing.names import maker_of
from farthing.pricing.price import exact_text
from farthing.pricing.rows import Layer, Row, day_us
from farthing.pricing.settings import PriceOverride

__all__ = ["Finding", "Signal", "check_prices"]

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


def check_prices(book: PriceBook, at_us: int, query: str = "", provider: str = "") -> list[Finding]:
    """All findings about the prices that stand at an instant, by signal, provider and model."""
    listings = [_Listing.at(at_us, *found) for found in book.listings(query, provider)]
    usual = _usual([_Listing.at(at_us, *found) for found in book.listings()])
    found = [_held(held) for held in book.quarantined(query, provider)]
    for listing in listings:
        found += _disagreements(listing)
        found += _jumps(listing, usual)
        found += _halves(listing, usual)
        found += _ahead(listing, at_us)
    found += _stale(listings, at_us)
    found += [
        _ending(own)
        for own in book.own_prices()
        if own.valid_to and _is_near(own.valid_to, at_us)
        if query.lower() in own.model.lower() and provider in ("", own.provider)
    ]
    return sorted(found, key=lambda f: (list(Signal).index(f.signal), f.provider, f.model, f.day))


class _Listing(msgspec.Struct, frozen=True):
    """One provider's model: its rows of today's knowledge, and the standard prices that stand.

    `begun` are all standard prices up to now; `standing` the last of each layer; `price` the one
    that counts.
    """

    provider: str
    model: str
    rows: tuple[Row, ...]
    begun: tuple[Row, ...]
    standing: dict[Layer, Row]
    price: Row | None

    @classmethod
    def at(cls, at_us: int, provider: str, model: str, rows: tuple[Row, ...]) -> _Listing:
        known = tuple(row for row in rows if not row.superseded)
        begun = [row for row in known if _is_standard(row) and row.holds(at_us)]
        begun.sort(key=lambda row: row.age)
        standing = {row.layer: row for row in begun}
        return cls(provider, model, known, tuple(begun), standing, _winner(standing))

    @property
    def bare(self) -> str:
        """The model's name without its maker's folder."""
        return self.model.rsplit("/", 1)[-1]

    def finding(self, signal: Signal, detail: str, row: Row) -> Finding:
        """A finding about it, for which a row is the reason."""
        return Finding(
            signal=signal,
            provider=self.provider,
            model=self.model,
            detail=detail,
            day=row.valid_from[:10] or row.recorded[:10],
            source=row.source,
        )


class _Usual(msgspec.Struct, frozen=True):
    """What models cost in general: input's median at three hosts or more, and at their makers."""

    medians: dict[str, Fraction]
    makers: dict[str, Row]


def _usual(listings: Sequence[_Listing]) -> _Usual:
    hosts: dict[str, list[Fraction]] = {}
    makers: dict[str, Row] = {}
    for listing in listings:
        if listing.price is None:
            continue
        amount = _amount(listing.price, "input")
        if amount is not None:
            hosts.setdefault(listing.bare, []).append(amount)
        if listing.provider == maker_of(listing.bare):
            makers[listing.bare] = listing.price
    medians = {name: median(found) for name, found in hosts.items() if len(found) >= _HOSTS_LEAST}
    return _Usual(medians, makers)


def _is_standard(row: Row) -> bool:
    return bool(row.rates()) and row.terms == ("default", False, "")


def _winner(standing: dict[Layer, Row]) -> Row | None:
    """The price that counts: of the highest layer that no change since has overtaken."""
    for layer in sorted(standing, reverse=True):
        below = [row for low, row in standing.items() if low < layer]
        if not any(overtakes(row, standing[layer]) for row in below):
            return standing[layer]
    return None


def _amount(row: Row, unit: str) -> Fraction | None:
    amount = row.rates().get(unit)
    return None if amount is None else Fraction(amount)


def _held(held: Quarantined) -> Finding:
    return Finding(
        signal=Signal(held.reason),
        provider=held.provider,
        model=held.model,
        detail=f"{held.detail}: in quarantine",
        day=held.row.valid_from[:10],
        source=held.row.source,
    )


def _disagreements(listing: _Listing) -> list[Finding]:
    """Neighbouring layers that differ, where the lower one is no change since."""
    standing = listing.standing
    found: list[Finding] = []
    for low, high in pairwise(sorted(standing)):
        ours, theirs = standing[high], standing[low]
        if overtakes(theirs, ours):
            continue
        differing = [
            f"{unit} ${ours.rates()[unit]} and ${theirs.rates()[unit]}"
            for unit in _COMPARED
            if _differ(_amount(ours, unit), _amount(theirs, unit))
        ]
        if differing:
            detail = f"{', '.join(differing)} per million (the latter: {theirs.source})"
            found.append(listing.finding(Signal.DISAGREEMENT, detail, ours))
    return found


def _differ(one: Fraction | None, other: Fraction | None) -> bool:
    if one is None or other is None:
        return False
    return abs(one - other) > _TOLERANCE * max(one, other)


def _jumps(listing: _Listing, usual: _Usual) -> list[Finding]:
    """Prices more than 8x from what the model costs elsewhere, or from what it used to cost."""
    price = listing.price
    amount = None if price is None else _amount(price, "input")
    if price is None or amount is None:
        return []
    past = [found for row in listing.begun if (found := _amount(row, "input")) is not None]
    medians = {
        "elsewhere": usual.medians.get(listing.bare),
        "in its own past": median(past) if len(past) >= _ROWS_LEAST else None,
    }
    return [
        listing.finding(
            Signal.JUMP,
            f"input ${exact_text(amount)} per million; {where} ${exact_text(middle)} (median)",
            price,
        )
        for where, middle in medians.items()
        if middle is not None and not middle / _JUMP <= amount <= middle * _JUMP
    ]


def _halves(listing: _Listing, usual: _Usual) -> list[Finding]:
    """Hosts that ask exactly half of the maker's price, where that is not in quarantine."""
    price, maker = listing.price, usual.makers.get(listing.bare)
    if price is None or maker is None or listing.provider == maker_of(listing.bare):
        return []
    pairs = [(_amount(price, unit), _amount(maker, unit)) for unit in ("input", "output")]
    if not all(ours is not None and ours * 2 == theirs for ours, theirs in pairs):
        return []
    detail = f"{_pair(price)} is exactly half of the maker's {_pair(maker)}"
    return [listing.finding(Signal.HALF_PRICE, detail, price)]


def _ahead(listing: _Listing, at_us: int) -> list[Finding]:
    """Announced changes and retirements."""
    is_promo = any(row.kind == "promo" for row in listing.standing.values())
    change = Signal.PROMO_END if is_promo else Signal.SCHEDULED
    now = _pair(listing.price) if listing.price else "nothing"
    found: list[Finding] = []
    for row in listing.rows:
        if not row.valid_from or not _is_near(row.valid_from, at_us):
            continue
        if row.kind == "retired":
            found.append(listing.finding(Signal.RETIREMENT, "will no longer be served", row))
        elif _is_standard(row):
            detail = f"input and output {now} now, {_pair(row)} then"
            found.append(listing.finding(change, detail, row))
    return found


def _pair(row: Row) -> str:
    return "/".join(f"${row.rates().get(unit, '?')}" for unit in ("input", "output"))


def _is_near(day: str, at_us: int) -> bool:
    return at_us < day_us(day) <= at_us + DAYS_AHEAD * _DAY_US


def _stale(listings: Sequence[_Listing], at_us: int) -> list[Finding]:
    """Sources that nobody read for too long, each once."""
    unread: dict[tuple[str, str], list[str]] = {}
    for listing in listings:
        row = listing.price
        if row and row.checked and at_us - day_us(row.checked) > DAYS_UNCHECKED * _DAY_US:
            source = row.source.partition(":")[0] if row.layer < Layer.VERIFIED else "verified rows"
            name = f"{listing.provider}/{listing.model}"
            unread.setdefault((row.checked[:10], source), []).append(name)
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


def _ending(own: PriceOverride) -> Finding:
    return Finding(
        signal=Signal.CONTRACT_END,
        provider=own.provider,
        model=own.model,
        detail="a price of your own ends; the list price follows",
        day=own.valid_to,
        source=own.source,
    )
