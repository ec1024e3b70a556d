"""`farthing price`: what a call costs, line by line, and what it grows to."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import click

from farthing.cli.output import console, print_json, table, usd
from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.ledger import instant_us
from farthing.pricing import (
    DAYS_PER_MONTH,
    PriceBook,
    Priced,
    Projection,
    RateCard,
    Volume,
    project,
)
from farthing.usage import Terms, Usage

__all__ = ["day_of", "price", "price_book"]


def price_book(config_path: str | None) -> PriceBook:
    """The price book, the user's own prices included."""
    return PriceBook.load(load_config(config_path, os.environ).pricing_settings())


def day_of(instant_us: int | None) -> str | None:
    """The day (UTC) of an instant; None where it is open."""
    if instant_us is None:
        return None
    return datetime.fromtimestamp(instant_us / 1_000_000, UTC).date().isoformat()


@click.command()
@click.argument("model")
@click.option("--provider", default="", help="Provider; by default the model's maker.")
@click.option(
    "--input", "whole", type=click.IntRange(0), default=0, help="Tokens of the whole prompt."
)
@click.option(
    "--output", "out", type=click.IntRange(0), default=0, help="Tokens of the whole answer."
)
@click.option(
    "--cached", type=click.IntRange(0), default=0, help="Part of --input read from cache."
)
@click.option(
    "--cache-write",
    "write_5m",
    type=click.IntRange(0),
    default=0,
    help="Part of --input written to cache for 5 minutes.",
)
@click.option(
    "--cache-write-1h",
    "write_1h",
    type=click.IntRange(0),
    default=0,
    help="Part of --input written to cache for an hour.",
)
@click.option(
    "--reasoning", type=click.IntRange(0), default=0, help="Part of --output spent on reasoning."
)
@click.option(
    "--audio-input", type=click.IntRange(0), default=0, help="Part of --input that is audio."
)
@click.option(
    "--audio-output", type=click.IntRange(0), default=0, help="Part of --output that is audio."
)
@click.option("--web-search", type=click.IntRange(0), default=0, help="Web searches.")
@click.option("--batch", is_flag=True, help="Through the batch API.")
@click.option("--service-tier", default="default", help="flex, priority, ...")
@click.option("--region", default="", help="Inference region, where it carries a price.")
@click.option("--at", help="Date or RFC 3339 time [default: now].")
@click.option("--known-at", help="As the book knew it then, before later changes and corrections.")
@click.option("--per-day", default="0", help="Requests a day, for a projection.")
@click.option("--regenerations", default="1", help="Calls made per answer kept.")
@click.option("--steps", default="1", help="Agent steps a request.")
@click.option("--turns", default="1", help="Requests a conversation.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def price(
    config_path: str | None,
    model: str,
    *,
    provider: str,
    as_json: bool,
    at: str | None,
    known_at: str | None,
    **given: object,
) -> None:
    """Price a call of MODEL: its lines, the card behind them, and what it grows to."""
    now_us = SystemClock().now_us()
    at_us = now_us if at is None else instant_us(at, now_us)
    known_us = None if known_at is None else instant_us(known_at, now_us)
    book = price_book(config_path)
    card = book.card(provider, model, at_us, as_known_at_us=known_us)
    if not isinstance(card, RateCard):
        raise CallerError(
            f"{card.detail}. Nothing was priced. {_advice(book, provider, model)} "
            "See `farthing models`, or add a [[price]] row."
        )
    terms = Terms(
        service_tier=str(given["service_tier"]),
        is_batch=bool(given["batch"]),
        region=str(given["region"]),
    )
    priced = card.cost(_usage(given), terms)
    if not isinstance(priced, Priced):
        raise CallerError(f"{priced.detail}. Nothing was priced.")
    volume = Volume(**{n: str(given[n]) for n in Volume.__struct_fields__})
    try:
        grown = project(priced.total, volume)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    when = datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat()
    if as_json:
        print_json(_document(card, priced, grown, when) | {"volume": volume})
    else:
        _show(card, priced, when)
        _show_growth(grown, volume)


def _advice(book: PriceBook, provider: str, model: str) -> str:
    """The names that may have been meant."""
    providers = book.near_providers(provider)
    if providers:
        return f"Providers of a similar name: {', '.join(providers)}."
    return f"Close names: {', '.join(book.near(provider, model)) or 'none'}."


def _usage(given: dict[str, object]) -> Usage:
    """Disjoint counts from whole and parts."""
    count = {name: int(value) for name, value in given.items() if isinstance(value, int)}
    fresh = count["whole"] - sum(
        count[n] for n in ("cached", "write_5m", "write_1h", "audio_input")
    )
    visible = count["out"] - count["reasoning"] - count["audio_output"]
    if fresh < 0 or visible < 0:
        raise click.UsageError(
            "the parts exceed the whole: --cached, --cache-write and --audio-input are parts of "
            "--input; --reasoning and --audio-output are parts of --output"
        )
    if not count["whole"] + count["out"] + count["web_search"]:
        raise click.UsageError(
            "there is nothing to price; say --input, --output or --web-search (rates alone: "
            "farthing models)"
        )
    return Usage(
        input=fresh,
        cache_read=count["cached"],
        cache_write_5m=count["write_5m"],
        cache_write_1h=count["write_1h"],
        output=visible,
        reasoning=count["reasoning"],
        audio_input=count["audio_input"],
        audio_output=count["audio_output"],
        web_search=count["web_search"],
    )


def _document(card: RateCard, priced: Priced, grown: Projection, when: str) -> dict[str, object]:
    return {
        "model": card.model,
        "provider": card.provider,
        "at": when,
        "cost_usd": priced.total,
        "lines": [
            {
                "bucket": line.unit.value,
                "quantity": line.count,
                "usd_per_million": line.usd_per_million,
                "cost_usd": line.cost,
            }
            for line in priced.lines
        ],
        "card": {
            "id": card.id,
            "layer": card.layer,
            "source": card.source,
            "kind": card.kind,
            "valid_from": card.since[:10] or None,
            "valid_to": day_of(card.valid_to_us),
            "discount": card.discount or None,
            "note": card.note or None,
        },
        "projection": {
            "per_call_usd": grown.per_call,
            "per_request_usd": grown.per_request,
            "per_conversation_usd": grown.per_conversation,
            "per_day_usd": grown.per_day,
            "per_month_usd": grown.per_month,
            "days_per_month": DAYS_PER_MONTH,
        },
    }


def _show(card: RateCard, priced: Priced, when: str) -> None:
    made = table(
        f"{card.provider}{'/' if card.provider else ''}{card.model} at {when[:19]}Z",
        "bucket",
        "quantity",
        "USD per million",
        "cost",
    )
    for line in priced.lines:
        made.add_row(line.unit.value, f"{line.count:,}", line.usd_per_million, usd(line.cost))
    made.add_row("total", "", "", usd(priced.total), style="bold")
    out = console()
    out.print(made)
    since = card.since[:10] or "the first record"
    until = f" until {day_of(card.valid_to_us)}" if card.valid_to_us else ""
    out.print(f"\ncard     {card.layer}: {card.source}\n         valid from {since}{until}")
    if card.discount:
        out.print(f"discount {card.discount} off the list price, in the rates above")
    if card.note:
        out.print(f"note     {card.note}")


def _show_growth(grown: Projection, volume: Volume) -> None:
    """What the call grows to, each line with the factors that stand behind it."""
    if not grown.per_day and grown.per_conversation == grown.per_call:
        return
    calls = f"{volume.regenerations} regenerations x {volume.steps} steps"
    out = console()
    out.print(f"\nper call          {usd(grown.per_call)}")
    out.print(f"per request       {usd(grown.per_request)}  = call x {calls}")
    out.print(f"per conversation  {usd(grown.per_conversation)}  = request x {volume.turns} turns")
    if not grown.per_day:
        return
    out.print(f"per day           {usd(grown.per_day)}  = request x {volume.per_day} a day")
    out.print(f"per month         {usd(grown.per_month)}  = day x {DAYS_PER_MONTH}")
