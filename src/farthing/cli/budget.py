"""`farthing budget`: where budgets stand, which alerts went out, whether the targets work."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Container, Sequence
from pathlib import Path

import click

from farthing.budgets import BudgetSettings, BudgetShelf, SqliteBudgets
from farthing.budgets.alerts import Delivery, LedgerHistory, Outbox, Sent, send_tests
from farthing.budgets.alerts.alert import forecast_text
from farthing.budgets.alerts.drivers import HOUR_US, History
from farthing.budgets.alerts.event import AlertEvent, DeliveryState
from farthing.budgets.forecast import HISTORY_HOURS
from farthing.budgets.pace import Status, instant_text, percent_text, share_tenths, status_of
from farthing.budgets.standing import Standing, Standings
from farthing.budgets.standings import AccountStandings
from farthing.cli.budget_change import open_shelf, remove, set_
from farthing.cli.ledger_folder import ledger_settings, open_ledger
from farthing.cli.output import console, print_json, table, usd
from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.ledger import SqliteStore
from farthing.ledger.layout import Layout

__all__ = ["budget", "statuses"]

_DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Folder of the ledger."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group()
def budget() -> None:
    """Budgets: what is spent and what is left, forecasts, and the alerts that went out."""


budget.add_command(set_)
budget.add_command(remove)


@budget.command("list")
@_DATA_DIR
@_JSON
@click.pass_obj
def list_(config_path: str | None, *, data_dir: str | None, as_json: bool) -> None:
    """List the budgets of farthing.toml and those set beside it."""
    shelf = open_shelf(load_config(config_path, os.environ), data_dir)
    if as_json:
        print_json([_configured(one, shelf) for one in shelf.budgets])
        return
    made = table(
        "Budgets",
        *("name", "scope", "window", "at limit", "mode", "notify", "from", "amount"),
        numeric=7,
    )
    for one in shelf.budgets:
        window = one.window if one.timezone == "UTC" else f"{one.window} ({one.timezone})"
        told = ", ".join(one.notify) or "all targets"
        at_limit = f"{one.at_limit} {one.downgrade_to}".rstrip()
        source = _source(one, shelf)
        made.add_row(one.name, one.scope, window, at_limit, one.mode, told, source, usd(one.limit))
    console().print(made)


def _source(one: BudgetSettings, shelf: BudgetShelf) -> str:
    return "farthing.toml" if shelf.is_fixed(one.name) else "set"


def _configured(one: BudgetSettings, shelf: BudgetShelf) -> dict[str, object]:
    return {
        "name": one.name,
        "scope": one.scope,
        "amount_usd": str(one.limit),
        "window": one.window,
        "timezone": one.timezone,
        "thresholds": list(one.thresholds),
        "at_limit": one.at_limit,
        "downgrade_to": one.downgrade_to,
        "mode": one.mode,
        "notify": list(one.notify),
        "source": _source(one, shelf),
    }


@budget.command()
@click.argument("name", required=False)
@_DATA_DIR
@_JSON
@click.pass_obj
def status(
    config_path: str | None, name: str | None, *, data_dir: str | None, as_json: bool
) -> None:
    """Show spent, reserved, pace and forecast of each account, or of budget NAME only.

    An account is one budget for one key (one tenant of `tenant=*`) in one window.
    """
    shelf = open_shelf(load_config(config_path, os.environ), data_dir)
    if name is not None:
        shelf.find(name)
    settings = ledger_settings(config_path, data_dir)
    with open_ledger(config_path, data_dir) as ledger:
        store = SqliteBudgets(Path(settings.data_dir), busy_timeout_ms=settings.busy_timeout_ms)
        try:
            found = statuses(
                AccountStandings(store, shelf.budgets),
                LedgerHistory(ledger.sources),
                SystemClock().now_us(),
                {name} if name else {one.name for one in shelf.budgets},
            )
        finally:
            store.close()
    wanted = [one.name for one in shelf.budgets if name in (None, one.name)]
    seen = {one.standing.budget for one in found}
    idle = [one for one in wanted if one not in seen]
    if as_json:
        print_json({"accounts": [one.document() for one in found], "idle": idle})
    else:
        _print_statuses(found, idle)


def statuses(
    standings: Standings, history: History, now_us: int, names: Container[str]
) -> list[Status]:
    """The status of each open account of the budgets of these names."""
    since_us = now_us - HISTORY_HOURS * HOUR_US
    return [
        status_of(standing, history.hours(standing, since_us, now_us), now_us)
        for standing in standings.open(now_us)
        if standing.budget in names
    ]


def _print_statuses(found: Sequence[Status], idle: Sequence[str]) -> None:
    out = console()
    made = table(
        "Budgets",
        *("budget", "key", "window", "mode", "limit reached", "spent", "of", "", "reserved"),
        *("last hour", "24 hours", "forecast at the end", "would have been refused"),
        numeric=5,
    )
    for one in found:
        standing = one.standing
        gone = "" if one.exhausted_us is None else instant_text(one.exhausted_us)
        made.add_row(
            *(standing.budget, standing.key, standing.window, standing.mode, gone),
            *(usd(standing.spent), usd(standing.limit), percent_text(one.share_tenths)),
            *(usd(standing.reserved), usd(one.burn_hour), usd(one.burn_day)),
            forecast_text(one.forecast) if standing.has_end else "",
            _passed(standing),
        )
    out.print(made)
    if idle:
        out.print(f"Nothing was spent in this window on: {', '.join(idle)}", markup=False)


def _passed(standing: Standing) -> str:
    """What a budget let pass that only watches; empty where it holds calls back."""
    if standing.mode == "on" and standing.at_limit != "notify":
        return ""
    return f"{standing.passed_calls:,} calls, {usd(standing.passed)}"


@budget.command("test-alert")
@click.argument("names", nargs=-1)
@_JSON
@click.pass_obj
def test_alert(config_path: str | None, names: tuple[str, ...], *, as_json: bool) -> None:
    """Send a test message to every alert target, or to those named; exit 1 if one failed."""
    config = load_config(config_path, os.environ)
    known = [target.name for target in config.alert]
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        listed = ", ".join(known) or "none; add an [[alert]] to farthing.toml"
        asked = f"named {unknown[0]!r}" if unknown else "configured"
        raise CallerError(f"There is no alert target {asked}. Configured are: {listed}.")
    targets = [target for target in config.alert if not names or target.name in names]
    found = asyncio.run(send_tests(targets, os.environ, SystemClock().now_us()))
    if as_json:
        print_json({"targets": [_sent(one) for one in found]})
    else:
        made = table("Test alerts", "target", "result", "detail", numeric=3)
        for one in found:
            made.add_row(one.target, "sent" if one.is_sent else "failed", one.detail)
        console().print(made)
    if not all(one.is_sent for one in found):
        sys.exit(1)


def _sent(one: Sent) -> dict[str, object]:
    return {"target": one.target, "sent": one.is_sent, "detail": one.detail}


@budget.command()
@click.option("--dead", is_flag=True, help="Only what could not be delivered.")
@click.option("--retry", is_flag=True, help="Make what could not be delivered due again.")
@click.option("--target", default="", help="With --retry: only for this target.")
@click.option("--rows", type=click.IntRange(1, 10_000), default=50, show_default=True)
@_DATA_DIR
@_JSON
@click.pass_obj
def alerts(
    config_path: str | None,
    *,
    dead: bool,
    retry: bool,
    target: str,
    rows: int,
    data_dir: str | None,
    as_json: bool,
) -> None:
    """List alerts and how they fared at each target, the latest first."""
    settings = ledger_settings(config_path, data_dir)
    with open_ledger(config_path, data_dir):  # drained, and known to be there
        pass
    path = Layout(Path(settings.data_dir)).store
    store = SqliteStore(path, busy_timeout_ms=settings.busy_timeout_ms)
    try:
        outbox = Outbox(store.transaction)
        retried = outbox.retry(SystemClock().now_us(), target) if retry else 0
        found = outbox.deliveries(DeliveryState.DEAD if dead else None, rows)
        muted = [] if dead else outbox.muted(rows)
    finally:
        store.close()
    if as_json:
        told = {"deliveries": [_delivered(one) for one in found], "retried": retried}
        print_json({**told, "muted": [_event(one) for one in muted]})
    else:
        _print_alerts(found, muted, retried if retry else None)


def _event(event: AlertEvent) -> dict[str, object]:
    return {
        "at": instant_text(event.at_us),
        "budget": event.budget,
        "key": event.key,
        "window": event.window,
        "kind": event.kind,
        "threshold_percent": event.threshold or None,
        "spent_usd": str(event.spent),
        "limit_usd": str(event.limit),
    }


def _delivered(one: Delivery) -> dict[str, object]:
    is_pending = one.state is DeliveryState.PENDING
    return {
        **_event(one.event),
        "target": one.target,
        "state": one.state.value,
        "tries": one.tries,
        "next_try": instant_text(one.next_try_us) if is_pending else None,
        "sent": instant_text(one.sent_us) if one.sent_us else None,
        "last_error": one.last_error,
        "message_id": one.message_id,
    }


def _print_alerts(
    found: Sequence[Delivery], muted: Sequence[AlertEvent], retried: int | None
) -> None:
    out = console()
    if retried is not None:
        out.print(f"{retried} deliveries are due again; a running gateway sends them.")
    made = table(
        "Alerts",
        *("time (UTC)", "budget", "key", "window", "what", "spent", "target", "state", "tries"),
        "last error",
        numeric=10,
    )
    for one in found:
        tries = str(one.tries)
        made.add_row(*_cells(one.event), one.target, one.state.value, tries, one.last_error)
    for event in muted:
        made.add_row(*_cells(event), "none", "muted", "0", "no target hears of this budget")
    out.print(made)


def _cells(event: AlertEvent) -> list[str]:
    what = f"{event.kind} {event.threshold} %" if event.threshold else event.kind
    share = f" ({percent_text(share_tenths(event.spent, event.limit))})" if event.limit else ""
    at = instant_text(event.at_us)
    return [at, event.budget, event.key, event.window, what, usd(event.spent) + share]
