"""Makes the card for one instant out of rows: the most trusted source wins, rate by rate.

Every set of a card is complete. A rate that no source gives is filled in only where providers
bill so; each rule names its source. Whatever remains unknown stays None, and is never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import msgspec

from farthing.pricing.card import UNITS, Price, RateCard, RateSet, Region, card_id
from farthing.pricing.rows import Layer, Row, price_of
from farthing.usage import Unit

__all__ = ["compose"]

_Key = tuple[str, bool, str]
_STANDARD: _Key = ("default", False, "")
_BATCH: _Key = ("default", True, "")
_TOKENS = tuple(unit for unit in UNITS if unit not in (Unit.WEB_SEARCH, Unit.REQUEST))

# Both publish their batch price as half of the standard one, for all token rates.
# Source: https://developers.openai.com/api/docs/guides/batch and
# https://platform.claude.com/docs/en/build-with-claude/batch-processing (2026-11).
_HALF_PRICE_BATCH = frozenset({"openai", "anthropic"})
# US-only inference costs 1.1x from Claude Opus 4.6 on; older models have no such uplift.
# Source: https://platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing (2026-11).
_US_UPLIFT = (Region("us", 11, 10),)
_BEFORE_UPLIFT = (
    "claude-2*", "claude-3*", "claude-instant*", "claude-opus-4", "claude-opus-4-0*",
    "claude-opus-4-1*", "claude-opus-4-2*", "claude-opus-4-5*", "claude-sonnet-4",
    "claude-sonnet-4-0*", "claude-sonnet-4-2*", "claude-sonnet-4-5*", "claude-haiku-4-5*",
)  # fmt: skip


def compose(
    provider: str, model: str, rows: Sequence[Row], at_us: int, discount: tuple[int, int]
) -> RateCard | None:
    """The card at an instant from rows that hold then; None where none prices the model."""
    if not rows:
        return None
    best: dict[tuple[_Key, int], dict[Unit, Price]] = {}
    for row in sorted(rows, key=_rank):
        for quote in row.quotes:
            key = ((quote.service_tier, quote.is_batch, quote.speed), quote.context_over)
            known = best.setdefault(key, {})
            known.update({Unit(u): price_of(Unit(u), a) for u, a in quote.rates.items()})
    if (_STANDARD, 0) not in best:
        return None
    if provider in _HALF_PRICE_BATCH and (_BATCH, 0) not in best:
        for (key, over), rates in list(best.items()):
            if key == _STANDARD:
                best[_BATCH, over] = _halved(rates)
    top = max(rows, key=_rank)
    edges = [edge for row in rows for edge in row.edges_us(at_us)]
    card = RateCard(
        id="",
        provider=provider,
        model=model,
        layer=top.layer.name.lower(),
        source=top.source,
        kind=top.kind,
        sets=_complete(provider, best),
        valid_from_us=max((edge for edge in edges if edge <= at_us), default=None),
        valid_to_us=min((edge for edge in edges if edge > at_us), default=None),
        regions=_regions(provider, model),
        discount=discount,
    )
    return msgspec.structs.replace(card, id=card_id(card))


def _rank(row: Row) -> tuple[float, str]:
    """How much a row counts; a peak hour counts above any flat price of its own layers."""
    layer = max(float(row.layer), Layer.HISTORY + 0.5) if row.windows else float(row.layer)
    return (layer, row.recorded or row.valid_from)


def _halved(rates: dict[Unit, Price]) -> dict[Unit, Price]:
    return {
        unit: Price(price.nanodollars, price.per * 2) if unit in _TOKENS else price
        for unit, price in rates.items()
    }


def _regions(provider: str, model: str) -> tuple[Region, ...]:
    if provider != "anthropic" or any(fnmatchcase(model, old) for old in _BEFORE_UPLIFT):
        return ()
    return _US_UPLIFT


def _complete(
    provider: str, best: dict[tuple[_Key, int], dict[Unit, Price]]
) -> tuple[RateSet, ...]:
    """Sets with every rate that can be known, by terms and rising context."""
    sets: list[RateSet] = []
    for key in sorted({key for key, _ in best}, key=lambda key: (key != _STANDARD, key)):
        overs = sorted({over for known, over in best if known == key} | {0})
        for over in overs:
            inherited = _inherit(best, key, over)
            rates = _filled(provider, inherited)
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


def _inherit(
    best: dict[tuple[_Key, int], dict[Unit, Price]], key: _Key, over: int
) -> dict[Unit, Price]:
    """The rates of a tier: its own, else those of lower tiers, else the standard ones.

    Tables of batch and tier prices leave out what keeps its standard price.
    """
    found: dict[Unit, Price] = {}
    chain: Iterable[tuple[_Key, int]] = (
        *((_STANDARD, o) for o in sorted({o for k, o in best if k == _STANDARD}) if o <= over),
        *((key, o) for o in sorted({o for k, o in best if k == key}) if o <= over),
    )
    for step in chain:
        found.update(best[step])
    return found


def _filled(provider: str, rates: dict[Unit, Price]) -> dict[Unit, Price]:
    """What providers bill where they publish no rate of its own.

    Reasoning is billed as output, images as input, a cache read or write without a price as plain
    input. Anthropic writes cache for 1.25x (5 m) and 2x (1 h) of input.
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
        if provider == "anthropic":
            full.setdefault(Unit.CACHE_WRITE_5M, Price(plain.nanodollars * 5, plain.per * 4))
            full.setdefault(Unit.CACHE_WRITE_1H, Price(plain.nanodollars * 2, plain.per))
        full.setdefault(Unit.CACHE_WRITE_5M, plain)
        full.setdefault(Unit.CACHE_WRITE_1H, full[Unit.CACHE_WRITE_5M])
    return full
