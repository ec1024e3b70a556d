"""`farthing models`: which models have a price, and who says so."""

from __future__ import annotations

from decimal import Decimal

import click

from farthing.cli.output import console, print_json, table
from farthing.cli.price import day_of, price_book
from farthing.clock import SystemClock
from farthing.ledger import instant_us
from farthing.pricing import RateCard
from farthing.pricing.card import UNITS

__all__ = ["models"]

_ROWS_MOST = 60


@click.command()
@click.argument("query", default="")
@click.option("--provider", default="", help="Only this provider.")
@click.option("--at", help="Date or RFC 3339 time [default: now].")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def models(
    config_path: str | None, query: str, provider: str, at: str | None, *, as_json: bool
) -> None:
    """List models whose name holds QUERY, with their standard prices in USD per million tokens."""
    now_us = SystemClock().now_us()
    at_us = now_us if at is None else instant_us(at, now_us)
    cards = price_book(config_path).models(at_us, query, provider)
    if as_json:
        print_json([_document(card) for card in cards])
        return
    made = table(f"{len(cards)} models", "model", "source", "input", "output", "cached", numeric=2)
    for card in cards[:_ROWS_MOST]:
        rates = _rates(card)
        cells = (rates.get(name, "") for name in ("input", "output", "cache_read"))
        made.add_row(f"{card.provider}/{card.model}", card.source[:40], *cells)
    if len(cards) > _ROWS_MOST:
        made.add_row(f"and {len(cards) - _ROWS_MOST} more; --json lists all", "", "", "", "")
    console().print(made)


def _rates(card: RateCard) -> dict[str, str]:
    """The standard rates by bucket, in USD per million units."""
    return {
        unit.value: format(
            (Decimal(price.nanodollars) / Decimal(price.per) / 1000).normalize(), "f"
        )
        for unit, price in zip(UNITS, card.sets[0].rates, strict=True)
        if price is not None
    }


def _document(card: RateCard) -> dict[str, object]:
    return {
        "model": card.model,
        "provider": card.provider,
        "usd_per_million": _rates(card),
        "layer": card.layer,
        "source": card.source,
        "valid_from": day_of(card.valid_from_us),
        "valid_to": day_of(card.valid_to_us),
    }
