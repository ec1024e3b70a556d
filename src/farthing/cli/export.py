"""`farthing export`: the ledger as CSV, as Parquet, or in the FinOps FOCUS form."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TextIO

import click

from farthing.cli.ledger_folder import open_ledger, query_options, read_query, stored_bills
from farthing.cli.output import print_json
from farthing.errors import CallerError
from farthing.ledger import Ledger, ReportQuery
from farthing.ledger.archive import write_parquet
from farthing.ledger.focus import FocusVersion, focus_columns, focus_rows
from farthing.ledger.sheet import write_rows, write_sheet

__all__ = ["export"]

_FIGURES = frozenset(
    {"BilledCost", "EffectiveCost", "ListCost", "ContractedCost"}
    | {"PricingQuantity", "ConsumedQuantity", "x_RequestCount"}
)


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "focus"]),
    default="csv",
    show_default=True,
)
@click.option("--out", type=click.Path(dir_okay=False), help="File to write [default: stdout].")
@click.option(
    "--focus-version", type=click.Choice(["1.4", "1.2"]), default="1.4", show_default=True
)
@query_options
@click.pass_obj
def export(
    config_path: str | None,
    *,
    form: str,
    out: str | None,
    focus_version: FocusVersion,
    since: str | None,
    until: str | None,
    where: Sequence[str],
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Write the ledger's rows to a file.

    csv and parquet have one row per attempt; focus one per hour, price and kind of token.
    """
    query = read_query("", since, until, where)
    if out is None and (as_json or form == "parquet"):
        raise CallerError("This needs a file to write: add --out FILE.")
    with open_ledger(config_path, data_dir) as ledger:
        if form == "parquet":
            count, *_ = write_parquet(ledger.rows(query), Path(str(out)))
        else:
            with _opened(out) as file:
                count = _write(ledger, query, file, focus_version if form == "focus" else None)
    if as_json:
        print_json({"format": form, "out": out, "rows": count})
    elif out is not None:
        click.echo(f"{count} rows written to {out}", err=True)


def _write(ledger: Ledger, query: ReportQuery, file: TextIO, version: FocusVersion | None) -> int:
    if version is None:
        return write_rows(ledger.rows(query), file)
    rows = focus_rows(ledger.entries(query), stored_bills(ledger).shares, version)
    return write_sheet(focus_columns(version), rows, file, numbers=_FIGURES)


@contextlib.contextmanager
def _opened(out: str | None) -> Generator[TextIO]:
    if out is None:
        yield sys.stdout
    else:
        with Path(out).open("w", newline="", encoding="utf-8") as file:
            yield file
