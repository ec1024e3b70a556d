"""How commands print: one JSON document with `--json`, else tables for people."""

from __future__ import annotations

import sys
from typing import Any, cast

import click
import msgspec
from rich.console import Console
from rich.table import Table

from farthing.money import Money

__all__ = ["console", "cut", "print_json", "table", "usd"]

_CELL_MAX = 40


def console() -> Console:
    """A console on stdout; plain text and full width where stdout is no terminal.

    What it prints are names that users gave: none of it is markup.
    """
    is_terminal = sys.stdout.isatty()
    return Console(
        width=None if is_terminal else 200,
        highlight=False,
        soft_wrap=not is_terminal,
        markup=False,
        emoji=False,
    )


def print_json(document: Any) -> None:
    """Print one JSON document, with money as decimal strings in USD, and nothing else."""
    encoded = msgspec.json.encode(_plain(document), enc_hook=str)
    click.echo(msgspec.json.format(encoded, indent=2).decode())


def _plain(value: Any) -> Any:
    """`value` with each sum of money as its decimal text."""
    if isinstance(value, Money):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


def table(title: str, *columns: str, numeric: int = 1) -> Table:
    """A table whose columns from index `numeric` on are right-aligned."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index >= numeric else "left", no_wrap=True)
    return made


def cut(said: str) -> str:
    """What a caller named, short enough for a column; `--json` has it whole."""
    return said if len(said) <= _CELL_MAX else f"{said[: _CELL_MAX - 1]}…"


def usd(sum_: Money | None) -> str:
    """A sum for people, exact to the nanodollar: `$1.25`, `-$0.5`, or `unpriced`."""
    if sum_ is None:
        return "unpriced"
    return f"-${str(sum_)[1:]}" if sum_.nanodollars < 0 else f"${sum_}"
