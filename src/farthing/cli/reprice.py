"""`farthing reprice`: what the same tokens would cost at another date, or on another model."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from farthing.cli.ledger_folder import open_ledger, query_options, read_query
from farthing.cli.output import console, print_json, table, usd
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.ledger import instant_us
from farthing.ledger.reprice import Repriced
from farthing.ledger.reprice import reprice as price_again

if TYPE_CHECKING:
    from farthing.pricing import PriceBook  # the catalogue loads when needed

__all__ = ["price_book", "reprice"]


def price_book(config_path: str | None) -> PriceBook:
    """The price book that calls are priced with, the user's own prices included."""
    from farthing.pricing import PriceBook  # noqa: PLC0415 - the catalogue loads when needed

    return PriceBook.load(load_config(config_path, os.environ).pricing_settings())


@click.command()
@click.option("--at", metavar="DATE", help="Price at this date instead of each call's own.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="A=B",
    help="Price calls of model A as model B (or provider/B). Repeatable.",
)
@query_options
@click.pass_obj
def reprice(
    config_path: str | None,
    *,
    at: str | None,
    models: Sequence[str],
    since: str | None,
    until: str | None,
    where: Sequence[str],
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Compare what was booked with what the same tokens cost at another date or model."""
    query = read_query("", since, until, where)
    pairs: dict[str, str] = {}
    for text in models:
        name, equals, other = text.partition("=")
        if not (name and equals and other):
            raise CallerError(f"{text!r} is no replacement; write --model gpt-4o=gpt-4o-mini.")
        pairs[name] = other
    at_us = None if at is None else instant_us(at, time.time_ns() // 1000)
    with open_ledger(config_path, data_dir) as ledger:
        book = price_book(config_path)
        providers = load_config(config_path, os.environ).providers
        price_as = {name: given.price_as or name for name, given in providers.items()}
        found = price_again(
            ledger.entries(query), book, at_us=at_us, models=pairs, price_as=price_as
        )
    _demand_prices(found, pairs, book)
    if as_json:
        print_json({"at": at, "models": pairs, **found.document()})
    else:
        _show(found)


def _demand_prices(found: Repriced, pairs: Mapping[str, str], book: PriceBook) -> None:
    """Refuse a comparison with a model that has no price, and tell replacements that met no call.

    Raises:
        CallerError: a model to be priced as is not in the book.
    """
    for old, new in pairs.items():
        rows = [row for row in found.rows if row.repriced_as == new]
        if old not in found.replaced:
            click.echo(f"farthing: no call of {old} is among these.", err=True)
        elif any(row.unpriced_now for row in rows) and not any(row.repriced for row in rows):
            near = ", ".join(book.near("", new)) or "none"
            raise CallerError(
                f"No price is known for {new!r}.\nNothing was repriced.\n"
                f"Close names: {near}. See `farthing models`, or add a [[price]] row."
            )


def _show(found: Repriced) -> None:
    without = sum(row.unpriced_now for row in found.rows)
    made = table(
        f"Booked {usd(found.booked)}, repriced {usd(found.repriced)}"
        + (f", without {without:,} attempts that have no price" if without else ""),
        *("model", "as", "attempts", "booked", "repriced", "difference", "unpriced"),
        numeric=2,
    )
    for row in found.rows:
        made.add_row(
            f"{row.provider}/{row.model}",
            row.repriced_as,
            f"{row.attempts:,}",
            usd(row.booked),
            usd(row.repriced),
            usd(row.repriced - row.booked),
            f"{row.unpriced_now:,}" if row.unpriced_now else "",
        )
    console().print(made)
