"""Makes the card for one instant out of rows: the most trusted source wins, rate by rate.

Within a layer the latest row stands. Layers are laid over one another, lowest first, with two
exceptions that keep a price from being put together of pieces that never held together:

- A source speaks for the time up to the day it was last checked. Where a lower layer has a price
  that begins after that day, the higher layer is out of date and drops out.
- A layer whose standard price differs from the one that wins has an old or a wrong price list;
  its tiers, batch and cache rates drop out with it, and only its fees per search or request stay.

The user's own rates come last, and neither discounts nor peak hours touch them. Every set of a
card is complete: a rate that no source gives is filled in only where providers bill so; each rule
names its source. Whatever remains unknown stays None, and is never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from farthing.pricing.card import RateCard, RateSet
from farthing.pricing.price import UNITS, Price, price_of
from farthing.pricing.regions import regions_of
from farthing.pricing.rows import Layer, Row, day_us
from farthing.usage import TOKEN_UNITS, Unit

__all__ = ["View", "compose", "overtakes"]

_Key = tuple[str, bool, str]
_Rates = dict[Unit, Price]
_Sets = dict[tuple[_Key, int], _Rates]
_STANDARD: _Key = ("default", False, "")
_BATCH: _Key = ("default", True, "")

# Both publish their batch price as half of the standard one, for all token rates.
# Source: https://developers.openai.com/api/docs/guides/batch and
# https://platform.claude.com/docs/en/build-with-claude/batch-processing (2026-11).
_HALF_PRICE_BATCH = frozenset({"openai", "anthropic"})


_CACHED = (Unit.CACHE_READ, Unit.CACHE_WRITE_5M, Unit.CACHE_WRITE_1H)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a card is made of beside rows: factors on list prices, and what is known when.

    `rush` multiplies the list rates of tokens (peak hours), `discount` all list rates.
    """

    known_us: int | None = None
    rush: Fraction = Fraction(1)
    discount: Fraction = Fraction(1)


def compose(provider: str, model: str, rows: Sequence[Row], view: View) -> RateCard | None:
    """The card from rows that hold and are known; None where none prices the model."""
    listed = [row for row in rows if row.quotes and row.layer is not Layer.CONTRACT]
    own = sorted((r for r in rows if r.layer is Layer.CONTRACT), key=lambda row: row.age)
    sets: _Sets = {}
    standing = _standing(listed, view.known_us)
    for row, is_whole in standing:
        _lay(sets, row, is_whole=is_whole)
    sets = {key: _listed(rates, view) for key, rates in sets.items()}
    for row in own:
        _lay(sets, row, is_whole=True)
    if not sets.get((_STANDARD, 0)):
        return None
    if provider in _HALF_PRICE_BATCH and (_BATCH, 0) not in sets:
        halves = {over: rates for (key, over), rates in sets.items() if key == _STANDARD}
        sets |= {(_BATCH, over): _halved(rates) for over, rates in halves.items()}
    sets |= _long_tiers(sets)
    top = _top(standing, own)
    return RateCard(
        id="",
        provider=provider,
        model=model,
        layer=top.layer.name.lower(),
        source=top.source,
        kind=top.kind,
        since=top.valid_from,
        sets=_complete(model, sets),
        regions=regions_of(provider, model.lower()),
    )


def _standing(rows: Sequence[Row], known_us: int | None) -> list[tuple[Row, bool]]:
    """The rows that count, lowest layer first, and whether they count for all their rates."""
    leaders: dict[tuple[Layer, _Key], Row] = {}
    for row in sorted(rows, key=lambda row: row.age):
        leaders[row.layer, row.terms] = row
    standard = {layer: row for (layer, key), row in leaders.items() if key == _STANDARD}
    dropped = {
        layer
        for layer, row in standard.items()
        if any(low < layer and overtakes(other, row, known_us) for low, other in standard.items())
    }
    kept = [layer for layer in standard if layer not in dropped]
    head = standard[max(kept)] if kept else None
    return [
        (row, head is None or _agrees(standard.get(layer), head))
        for (layer, _), row in sorted(leaders.items(), key=lambda item: item[0])
        if layer not in dropped
    ]


def overtakes(lower: Row, higher: Row, known_us: int | None = None) -> bool:
    """Whether the lower layer's row begins after the higher one was last seen to stand."""
    if not higher.checked or not lower.valid_from:
        return False
    checked = day_us(higher.checked)
    return day_us(lower.valid_from) > (checked if known_us is None else min(checked, known_us))


def _agrees(row: Row | None, head: Row) -> bool:
    """Whether a layer's standard price is that of the winning one, where both give it."""
    if row is None:
        return True
    ours, theirs = row.rates(), head.rates()
    return all(
        price_of(unit, ours[unit.value]) == price_of(unit, theirs[unit.value])
        for unit in (Unit.INPUT, Unit.OUTPUT)
        if unit.value in ours and unit.value in theirs
    )


def _lay(sets: _Sets, row: Row, *, is_whole: bool) -> None:
    """Lay a row's rates over those below it; a row without rates withdraws its terms."""
    for quote in row.quotes:
        key = (row.terms, quote.context_over)
        if not quote.rates:
            sets.pop(key, None)
            continue
        rates = {Unit(unit): price_of(Unit(unit), amount) for unit, amount in quote.rates.items()}
        if not is_whole:
            rates = {unit: price for unit, price in rates.items() if unit not in TOKEN_UNITS}
        if rates:
            sets.setdefault(key, {}).update(rates)


def _listed(rates: _Rates, view: View) -> _Rates:
    """List rates with the hour's factor and the user's discount on them."""
    tokens, fees = view.rush * view.discount, view.discount
    return {
        unit: price.times(*(tokens if unit in TOKEN_UNITS else fees).as_integer_ratio())
        for unit, price in rates.items()
    }


def _top(standing: Sequence[tuple[Row, bool]], own: Sequence[Row]) -> Row:
    """The row that a card names: the highest that gives standard rates."""
    rows = [row for row, is_whole in standing if is_whole] + list(own)
    return next(row for row in reversed(rows) if row.terms == _STANDARD and row.rates())


def _halved(rates: _Rates) -> _Rates:
    return {
        unit: price.times(1, 2) if unit in TOKEN_UNITS else price for unit, price in rates.items()
    }


def _long_tiers(known: _Sets) -> _Sets:
    """Long-context rates for terms whose table has none: the standard ones times their share.

    A batch at half of the standard price is half of the long price too, not of the short one.
    Source: https://developers.openai.com/api/docs/pricing (2026-10-14), whose batch table halves
    both; BerriAI/litellm #39861 has what comes of leaving it out.
    """
    made: _Sets = {}
    base = known[_STANDARD, 0]
    longs = [over for key, over in known if key == _STANDARD and over]
    for terms in {key for key, _ in known if key != _STANDARD}:
        if (terms, 0) not in known or any(key == terms and over for key, over in known):
            continue
        own = known[terms, 0]
        for over in longs:
            made[terms, over] = {
                unit: price.times(*_ratio(own[unit], base[unit])) if unit in own else price
                for unit, price in known[_STANDARD, over].items()
                if unit in base
            }
    return made


def _ratio(price: Price, base: Price) -> tuple[int, int]:
    if not base.nanodollars:
        return 1, 1
    return price.nanodollars * base.per, base.nanodollars * price.per


def _complete(model: str, known: _Sets) -> tuple[RateSet, ...]:
    """Sets with every rate that can be known, by terms and rising context."""
    sets: list[RateSet] = []
    for key in sorted({key for key, _ in known}, key=lambda key: (key != _STANDARD, key)):
        for over in sorted({over for terms, over in known if terms == key} | {0}):
            rates = _filled(model, _inherited(model, known, key, over))
            sets.append(
                RateSet(
                    rates=tuple(rates.get(unit) for unit in UNITS),
                    service_tier=key[0],
                    is_batch=key[1],
                    speed=key[2],
                    context_over=over,
                )
            )
    return tuple(sets)


def _inherited(model: str, known: _Sets, key: _Key, over: int) -> _Rates:
    """The rates of a tier: its own, else those of lower tiers, else the standard ones.

    Tables of batch and tier prices leave out what keeps its standard price; Claude's leave out
    that its cache rates stay in proportion to the input's, in batches and long prompts too.
    Source: https://developers.openai.com/api/docs/pricing (2026-10-14: the batch table gives no
    cached rate for gpt-4o), https://ai.google.dev/gemini-api/docs/pricing (2026-10-14),
    https://platform.claude.com/docs/en/about-claude/pricing (2026-11).
    """
    found: _Rates = {}
    chain: Iterable[tuple[_Key, int]] = (
        *((_STANDARD, o) for o in sorted({o for k, o in known if k == _STANDARD}) if o <= over),
        *((key, o) for o in sorted({o for k, o in known if k == key}) if o <= over),
    )
    for step in chain:
        if "claude" in model.lower():
            found.update(_in_proportion(found, known[step]))
        found.update(known[step])
    return found


def _in_proportion(lower: _Rates, given: _Rates) -> _Rates:
    """The cache rates that `given` leaves out, moved as its input price moves from `lower`'s."""
    if Unit.INPUT not in given or Unit.INPUT not in lower:
        return {}
    ratio = _ratio(given[Unit.INPUT], lower[Unit.INPUT])
    return {
        unit: lower[unit].times(*ratio) for unit in _CACHED if unit in lower and unit not in given
    }


def _filled(model: str, rates: _Rates) -> _Rates:
    """What providers bill where they publish no rate of its own.

    Reasoning is billed as output, images as input, a cache read or a five-minute write without a
    price as plain input. Claude writes cache for 1.25x (5 m) and 2x (1 h) of input, wherever it
    is served; nobody else writes for an hour.
    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing,
    https://developers.openai.com/api/docs/guides/reasoning (2026-11).
    """
    full = dict(rates)
    if Unit.OUTPUT in full:
        full.setdefault(Unit.REASONING, full[Unit.OUTPUT])
    if Unit.INPUT in full:
        plain = full[Unit.INPUT]
        full.setdefault(Unit.IMAGE_INPUT, plain)
        full.setdefault(Unit.CACHE_READ, plain)
        if "claude" in model.lower():
            full.setdefault(Unit.CACHE_WRITE_5M, plain.times(5, 4))
            full.setdefault(Unit.CACHE_WRITE_1H, plain.times(2, 1))
        full.setdefault(Unit.CACHE_WRITE_5M, plain)
    return full
