"""CSV for spreadsheets: exact sums, and no text that a spreadsheet would run as a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TextIO

from farthing.ledger.row import COLUMNS, Row
from farthing.money import Money

__all__ = ["SHEET_COLUMNS", "write_rows", "write_sheet"]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_MONEY: Final = "_nanodollars"
SHEET_COLUMNS: Final = tuple(
    name.removesuffix(_MONEY) + "_usd" if name.endswith(_MONEY) else name for name in COLUMNS
)


def write_rows(rows: Iterable[Row], file: TextIO) -> int:
    """Write ledger rows with money in USD; how many there were. NULL is an empty cell."""
    writer = csv.writer(file)
    writer.writerow(SHEET_COLUMNS)
    count = 0
    for row in rows:
        writer.writerow([_cell(name, cell) for name, cell in zip(COLUMNS, row, strict=True)])
        count += 1
    return count


def write_sheet(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
    file: TextIO,
    *,
    numbers: frozenset[str],
) -> int:
    """Write rows of text; how many there were. Columns in `numbers` hold our own figures."""
    writer = csv.writer(file)
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow(
            [row[name] if name in numbers else _harmless(row[name]) for name in columns]
        )
        count += 1
    return count


def _cell(name: str, cell: str | int | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(Money(cell)) if name.endswith(_MONEY) else str(cell)
    return _harmless(cell)


def _harmless(text: str) -> str:
    """A text that begins like a formula gets an apostrophe, which spreadsheets hide."""
    return f"'{text}" if text.startswith(_FORMULA) else text
