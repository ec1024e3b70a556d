"""`farthing cache economics`: whether a semantic cache pays, and at which price it stops to."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import click

from farthing.cli.cache_store import opened, semantic_accounts
from farthing.cli.number import Number
from farthing.cli.output import console, print_json, table, usd
from farthing.clock import SystemClock
from farthing.config import Config, load_config
from farthing.errors import CallerError
from farthing.levers.cache.semantic.economics import (
    Assumptions,
    account_of,
    price_factor_limit,
)
from farthing.money import ZERO, Money, total

__all__ = ["economics"]

_LOSS: Final = "0.10"


@click.command()
@click.option("--call-cost", default="0.002", show_default=True, help="USD a call avoided costs.")
@click.option("--loss", default=None, show_default="0.10, with --measured loss_usd where set",
              help="USD lost per wrong answer.")  # fmt: skip
@click.option("--hit-share", type=Number(0, 1), default=0.1, show_default=True,
              help="Share of look-ups that are served.")  # fmt: skip
@click.option("--error", type=Number(0, 1), default=0.0076, show_default=True,
              help="Upper bound of the wrong among the served.")  # fmt: skip
@click.option("--sampling", type=Number(0, 1), default=0.05, show_default=True,
              help="Share of hits that are checked.")  # fmt: skip
@click.option("--judge-cost", default="0.0002", show_default=True, help="USD a check costs.")
@click.option("--time-value", default="0", show_default=True, help="USD the time saved is worth.")
@click.option("--lookups", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--price-factor", type=Number(0, min_open=True), default=1.0,
              show_default=True, help="Token prices against today's, e.g. 0.1.")  # fmt: skip
@click.option("--fold-per-year", type=Number(1, min_open=True), default=50.0,
              show_default=True, help="How fast prices fall: 50-fold a year is the median.")  # fmt: skip
@click.option("--measured", is_flag=True,
              help="Take look-ups, hits, the cost of a call and of a check from the running cache.")  # fmt: skip
@click.option(
    "--days", type=click.IntRange(1), default=7, show_default=True, help="With --measured."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def economics(
    config_path: str | None,
    *,
    measured: bool,
    days: int,
    call_cost: str,
    loss: str | None,
    hit_share: float,
    error: float,
    sampling: float,
    judge_cost: str,
    time_value: str,
    lookups: int,
    price_factor: float,
    fold_per_year: float,
    as_json: bool,
) -> None:
    """Work out the four terms of a semantic cache, and until when it pays as prices fall.

    All results are estimates from the figures given. Exact and coalesced answers have no error
    and are not part of this.
    """
    today = Assumptions(
        lookups=lookups,
        hit_share=hit_share,
        error=error,
        call_cost=_money("--call-cost", call_cost),
        loss_per_wrong=_money("--loss", loss or _LOSS),
        sampling=sampling,
        judge_cost=_money("--judge-cost", judge_cost),
        time_value=_money("--time-value", time_value),
    )
    if measured:
        config = load_config(config_path, os.environ)
        today = _measured(config, today, days, is_loss_given=loss is not None)
        lookups, error = today.lookups, today.error
    then = account_of(today.at_price(price_factor))
    limit = price_factor_limit(today)
    months = None if limit in {None, 0.0} else 12 * math.log(1 / limit) / math.log(fold_per_year)  # type: ignore[operator]
    document: dict[str, Any] = {
        "price_factor": price_factor,
        "pays": then.pays,
        "saved_usd": then.saved,
        "time_saved_usd": then.time_saved,
        "checking_usd": then.checking,
        "wrong_answers_usd": then.wrong_answers,
        "lookups_usd": then.lookups,
        "net_usd": then.net,
        "loss_usd": today.loss_per_wrong,
        "error": error,
        "error_max": then.error_max,
        "pays_down_to_price_factor": limit,
        "pays_for_months": months,
        "fold_per_year": fold_per_year,
    }
    if as_json:
        print_json(document)
    else:
        _print(document, lookups)


def _measured(config: Config, given: Assumptions, days: int, *, is_loss_given: bool) -> Assumptions:
    """What was counted in the last days, over all namespaces.

    The loss per wrong answer is as given, else the largest that is set for one of them. Approved
    wordings are no part of it: they have no error to outweigh.

    Raises:
        CallerError: nothing has been looked up.
    """
    with opened(config) as (answers, vault):
        rows = semantic_accounts(config, answers, vault, SystemClock().now_us(), days)
    lookups = sum(row["lookups"] for row in rows)
    hits = sum(row["hits"] + row["would_hits"] for row in rows)
    if not lookups or not hits:
        raise CallerError(
            f"The semantic cache made {lookups:,} look-ups in {days} days and found {hits:,} answers. "
            "Nothing was reckoned. Leave out --measured to reckon with figures of your own."
        )
    sums = sum(
        row["call_saved_usd"].nanodollars * (row["hits"] + row["would_hits"]) for row in rows
    )
    judging = total(tuple(row["judging_usd"] for row in rows))
    checks = sum(row["checks"] for row in rows)
    loss = max(row["loss_usd"] for row in rows)
    return replace(
        given,
        lookups=lookups,
        hit_share=min(1.0, hits / lookups),
        error=max(row["delta"] for row in rows),
        call_cost=Money(round(Fraction(sums, hits))),
        loss_per_wrong=given.loss_per_wrong if is_loss_given or loss == ZERO else loss,
        sampling=config.cache.semantic.sampling,
        judge_cost=Money(judging.nanodollars // checks) if checks else given.judge_cost,
    )


def _money(option: str, amount: str) -> Money:
    try:
        return Money.usd(Decimal(amount))
    except (ValueError, ArithmeticError) as error:
        raise CallerError(f"{option} is {amount!r}, which is no amount in USD: {error}.") from error


def _print(document: dict[str, Any], lookups: int) -> None:
    out = console()
    title = f"Per {lookups:,} look-ups, ${document['loss_usd']} lost by a wrong answer (estimates)"
    made = table(title, "term", "USD")
    for name, sign in (
        ("saved", ""), ("time_saved", ""), ("checking", "-"), ("wrong_answers", "-"), ("lookups", "-"),
    ):  # fmt: skip
        made.add_row(name.replace("_", " "), sign + usd(document[f"{name}_usd"]))
    made.add_row("net", usd(document["net_usd"]))
    out.print(made)
    verdict = "It pays" if document["pays"] else "It does not pay: switch the semantic layer off"
    out.print(
        f"{verdict} at {document['price_factor']:g} times today's price. It may serve while at most "
        f"{document['error_max']:.3%} of its answers are wrong; the bound is {document['error']:.3%}.",
        markup=False,
    )
    limit = document["pays_down_to_price_factor"]
    if limit is None:
        out.print("It does not pay at today's price either.", markup=False)
    else:
        out.print(
            f"It pays down to {limit:.3g} times today's price: about {document['pays_for_months']:.1f} "
            f"months at {document['fold_per_year']:g}-fold a year.",
            markup=False,
        )
