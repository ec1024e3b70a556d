"""`farthing models`: which models have a price, who says so, and what deserves a look."""

from __future__ import annotations

import click

from farthing.cli.output import console, print_json, table
from farthing.cli.price import day_of, price_book
from farthing.clock import SystemClock
from farthing.ledger import instant_us
from farthing.pricing import Finding, RateCard, check_prices
from farthing.pricing.card import UNITS

__all__ = ["models"]

_ROWS_MOST = 60


@click.command()
@click.argument("query", default="")
@click.option("--provider", default="", help="Only this provider.")
@click.option("--at", help="Date or RFC 3339 time [default: now].")
@click.option("--check", "is_check", is_flag=True, help="Show what deserves a look; exit 1 if any.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def models(
    context: click.Context,
    query: str,
    provider: str,
    at: str | None,
    *,
    is_check: bool,
    as_json: bool,
) -> None:
    """List models whose name holds QUERY, with their standard prices in USD per million tokens.

    --check shows instead what deserves a look before a bill is bet on these prices: listings in
    quarantine, catalogues that disagree, prices far from the usual, announced changes and
    retirements within 90 days, prices that nobody has read for 90 days.
    """
    now_us = SystemClock().now_us()
    at_us = now_us if at is None else instant_us(at, now_us)
    book = price_book(context.obj)
    if is_check:
        found = check_prices(book, at_us, query, provider)
        _print_findings(found, as_json=as_json)
        context.exit(1 if found else 0)
    cards = book.models(at_us, query, provider)
    _print_cards(cards, as_json=as_json)
    if not cards and not as_json:
        near = book.near_providers(provider) or book.near(provider, query)
        click.echo(
            f"farthing: nothing is listed so. Close names: {', '.join(near) or 'none'}.", err=True
        )


def _print_cards(cards: list[RateCard], *, as_json: bool) -> None:
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


def _print_findings(found: list[Finding], *, as_json: bool) -> None:
    if as_json:
        print_json({"findings": [_finding(finding) for finding in found]})
        return
    if not found:
        console().print("Nothing about these prices deserves a look.")
        return
    made = table(f"{len(found)} findings", "signal", "model", "day", "what", numeric=4)
    for one in found:
        about = f"{one.provider}/{one.model}" if one.model else one.source
        made.add_row(one.signal.value, about, one.day, one.detail)
    console().print(made)


def _finding(found: Finding) -> dict[str, object]:
    return {
        "signal": found.signal.value,
        "provider": found.provider,
        "model": found.model,
        "day": found.day or None,
        "detail": found.detail,
        "source": found.source,
    }


def _rates(card: RateCard) -> dict[str, str]:
    """The standard rates by bucket, in USD per million units, exact."""
    return {
        unit.value: price.per_million
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
        "kind": card.kind,
        "valid_from": card.since[:10] or None,
        "valid_to": day_of(card.valid_to_us),
        "note": card.note or None,
    }
