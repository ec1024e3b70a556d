"""`farthing evidence plan`: comparisons, money and days that a verdict takes, before any is spent."""

from __future__ import annotations

import math
import os
import time
from typing import Any

import click

from farthing.cli.ledger_folder import open_ledger
from farthing.cli.output import print_json, usd
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.evidence import comparisons_needed, evidence_price
from farthing.ledger import ReportQuery
from farthing.money import Money

__all__ = ["plan"]

_DAY_US = 86_400_000_000


@click.command("plan")
@click.argument("feature")
@click.option("--quality", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Quality you expect of the candidate, as a share of the reference's.")  # fmt: skip
@click.option("--differ", type=click.FloatRange(0, 1, min_open=True), default=0.1, show_default=True,
              help="Share of calls on which the two answers differ in score.")  # fmt: skip
@click.option("--calls-per-day", type=click.IntRange(1),
              help="Calls of the feature a day [default: as in the ledger].")  # fmt: skip
@click.option("--usd-per-call", help="What a second answer costs [default: as in the ledger].")
@click.option("--usd-per-judgement", default="0", show_default=True,
              help="What one word of the judge costs.")  # fmt: skip
@click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def plan(
    ctx: click.Context,
    *,
    feature: str,
    quality: float,
    differ: float,
    calls_per_day: int | None,
    usd_per_call: str | None,
    usd_per_judgement: str,
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Say what it takes to show that a candidate keeps the floor for FEATURE (estimates).

    Floor, confidence, share and the day's own money are those of [evidence] in farthing.toml.
    """
    config = load_config(ctx.find_root().obj, os.environ)
    settings = config.evidence
    rules = settings.rules_of(feature)
    daily, each = calls_per_day, None if usd_per_call is None else _money(usd_per_call)
    if daily is None or each is None:
        seen = _seen(ctx.find_root().obj, data_dir, feature)
        daily, each = daily or seen[0], each or seen[1]
    # The first time a scope is judged, half of the allowed error is used (K1 in evidence/keeper.py).
    confidence = 1 - (1 - rules.confidence) / 2
    shown = comparisons_needed(quality - rules.floor, math.sqrt(differ), confidence=confidence)
    if shown is None:
        raise CallerError(
            f"A quality of {quality:g} is not above the floor of {rules.floor:g}: no number of "
            "comparisons would show that it holds.\nNothing was spent.\nLower evidence.floor, or "
            "try another candidate."
        )
    canaries = 3 * settings.canary_comparisons
    whole = shown + canaries
    repeats = round(whole * rules.repeat_share)
    cost = evidence_price(whole + repeats, each, 1, _money(usd_per_judgement))
    by_traffic = math.ceil(whole / (daily * rules.share))
    cap = settings.cap.nanodollars
    by_money = math.ceil(cost.nanodollars / cap) if cap else None
    document: dict[str, Any] = {
        "feature": feature,
        "floor": rules.floor,
        "confidence": rules.confidence,
        "comparisons_to_show": shown,
        "comparisons_in_canaries": canaries,
        "repeats_of_the_reference": repeats,
        "cost_usd": cost,
        "calls_per_day": daily,
        "share": rules.share,
        "days_by_traffic": by_traffic,
        "days_by_money": by_money,
    }
    if as_json:
        print_json(document)
    else:
        _print(document, settings.cap)


def _seen(config_path: str | None, data_dir: str | None, feature: str) -> tuple[int, Money]:
    """Calls a day and the mean cost of one, over the last seven days in the ledger.

    Callers' own: what the evidence asked beside them is no traffic.
    """
    now_us = time.time_ns() // 1000
    ledger = open_ledger(config_path, data_dir)
    query = ReportQuery(by=("feature",), since_us=now_us - 7 * _DAY_US, where={"feature": feature})
    report = ledger.report(query.callers_own())
    ledger.close()
    if not report.calls:
        raise CallerError(
            f"The ledger has no calls of the feature {feature!r} in the last seven days.\nNothing "
            "was spent.\nName them yourself: --calls-per-day and --usd-per-call."
        )
    mean = Money(report.total.nanodollars // report.calls)
    return max(1, round(report.calls / 7)), mean


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _money(text: str) -> Money:
    try:
        return Money.usd(text)
    except ValueError as error:
        raise CallerError(f"{error}. Nothing was spent. Write for example 0.0025.") from error


def _print(document: dict[str, Any], cap: Money) -> None:
    click.echo(
        f"{document['feature']}: about {document['comparisons_to_show']} comparisons show that "
        f"{document['floor']:g} of the quality is kept, with {document['confidence']:.1%} "
        f"confidence;\n{document['comparisons_in_canaries']} more take it through the canaries, and "
        f"{document['repeats_of_the_reference']} times the reference is made again.\n"
        f"That costs about {usd(document['cost_usd'])}. At {document['calls_per_day']} calls a day, "
        f"of which {document['share']:.0%} are compared, it takes "
        f"{_days(document['days_by_traffic'])};"
    )
    by_money = document["days_by_money"]
    told = "the day's own money is 0" if by_money is None else _days(by_money)
    click.echo(f"at {usd(cap)} a day of its own money, {told}. The longer of the two counts.")
