"""Where a command finds the ledger, and how it is asked: the options that commands share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from farthing.config import load_config
from farthing.errors import CallerError
from farthing.ledger import Ledger, LedgerSettings, ReportQuery, StoreState, instant_us
from farthing.ledger.drainer import DrainReport
from farthing.ledger.layout import Layout
from farthing.ledger.shares import Bills

__all__ = ["ledger_settings", "open_ledger", "query_options", "read_query", "stored_bills"]


def ledger_settings(config_path: str | None, data_dir: str | None) -> LedgerSettings:
    """The ledger's settings: the option's folder, else what the configuration says."""
    settings = load_config(config_path, os.environ).ledger
    return msgspec.structs.replace(settings, data_dir=data_dir) if data_dir else settings


def open_ledger(config_path: str | None, data_dir: str | None) -> Ledger:
    """The ledger a command reads; says on stderr what is not yet in it.

    Raises:
        LedgerMissing: there is none.
    """
    settings = ledger_settings(config_path, data_dir)
    ledger = Ledger.open(Path(settings.data_dir), settings=settings)
    if ledger.undrained_bytes is not None:
        missing = (
            f"what is new in their {ledger.undrained_bytes:,} bytes is not counted"
            if ledger.undrained_bytes
            else "they are empty, so nothing is missing"
        )
        told = f"{settings.data_dir} can't be written, so its journals were not drained: {missing}."
        click.echo(f"farthing: {told}", err=True)
    if ledger.drained is not None and ledger.drained.store is StoreState.FAILED:
        ledger.check()  # whoever can't read it either is told once
    # Where a gateway's drainer runs, ours stands back, and it is that one which knows.
    drained = ledger.drained or _told_by_drainer(Layout(Path(settings.data_dir)))
    if drained is not None and drained.detail:
        click.echo(f"farthing: {drained.detail}", err=True)
        click.echo(f"farthing: {drained.lag_bytes} bytes of journals are not counted.", err=True)
    return ledger


def _told_by_drainer(layout: Layout) -> DrainReport | None:
    """What the drainer that runs told last; None: nothing that can be read."""
    try:
        return msgspec.json.decode(layout.drainer_status.read_bytes(), type=DrainReport)
    except (OSError, msgspec.DecodeError):
        return None


def query_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which calls count, and where the ledger lies."""
    options = (
        click.option("--since", help="From then on: 7d, 12h, 30m, a date or an RFC 3339 time."),
        click.option("--until", help="Before then; same forms."),
        click.option(
            "--where",
            multiple=True,
            metavar="DIMENSION=VALUE",
            help="Only calls with this value; `unattributed` for none. Repeatable.",
        ),
        click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of the ledger."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_query(by: str, since: str | None, until: str | None, where: Sequence[str]) -> ReportQuery:
    """The question that the options ask.

    Raises:
        CallerError: an instant or a filter that can't be read, or a span that holds nothing.
    """
    now_us = time.time_ns() // 1000
    filters: dict[str, str] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals:
            raise CallerError(f"{text!r} is no filter; write --where feature=search.")
        filters[name] = value
    query = ReportQuery(
        by=tuple(dict.fromkeys(name.strip() for name in by.split(",") if name.strip())),
        since_us=None if since is None else instant_us(since, now_us),
        until_us=None if until is None else instant_us(until, now_us),
        where=filters,
    )
    if (query.since_us or 0) >= (query.until_us or now_us + 1) and until is not None:
        raise CallerError(
            f"--since {since} is not before --until {until}, so no call can count. Nothing was "
            "read. Exchange them, or leave one out."
        )
    query.condition()  # a wrong name is told before anything is opened
    _ = query.dimensions
    return query


def stored_bills(ledger: Ledger) -> Bills:
    """The bills behind attempts, by the rate cards that the ledger keeps."""
    from farthing.pricing import RateCard  # noqa: PLC0415 - most commands need no cards

    return Bills(ledger.card, lambda content: msgspec.json.decode(content, type=RateCard))
