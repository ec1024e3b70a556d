"""Hourly roll-ups: the sums of a report, kept beside the rows by the transaction that adds them.

Each hour has a line for every combination of the dimensions that a bill is mostly read by, with
the sums and the latencies of its rows. They are made by the very SQL that sums up rows, so a
report says the same from either; what lies before the first and after the last whole hour of a
question is read from rows. Where a sum exceeds 64 bits the roll-ups are given up for good and
reports read rows: a roll-up must never keep an entry from being posted.  # ADR-0011
"""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from farthing.ledger.query import ReportQuery
from farthing.ledger.row import TOKEN_COLUMNS
from farthing.ledger.store import Source

__all__ = [
    "CALL",
    "FINAL",
    "MEASURES",
    "ROLLED_LATENCIES",
    "ROLLED_MEASURES",
    "SCHEMA",
    "TOOK",
    "Part",
    "are_kept",
    "parts",
    "roll",
    "roll_again",
]

FINAL: Final = "is_final = 1"
CALL: Final = "is_final = 1 AND corrects = ''"
_TIMED: Final = f"{CALL} AND status = 'ok' AND duration_us > 0"
_UNPRICED: Final = "cost_nanodollars IS NULL"
_PROMPT: Final = (
    "tokens_input + tokens_cache_read + tokens_cache_write_5m + tokens_cache_write_1h"
    " + tokens_audio_input + tokens_image_input"
)
_COMPLETION: Final = "tokens_output + tokens_reasoning + tokens_audio_output"
_BASELINE: Final = (
    "COALESCE(baseline_nanodollars, call_cost_nanodollars + saved_nanodollars - spent_nanodollars)"
)
_HOUR_US: Final = 3_600_000_000


def _when(condition: str, value: str = "1") -> str:
    return f"SUM(CASE WHEN {condition} THEN {value} ELSE 0 END)"


# What is added up over rows, in the order of `farthing.ledger.measure.Sums`.
MEASURES: Final = (
    _when(CALL),
    _when(f"{FINAL} AND corrects <> ''"),
    _when("attempt > 0"),
    "COALESCE(SUM(cost_nanodollars), 0)",
    f"COALESCE(SUM({_BASELINE}), 0)",
    _when(_UNPRICED),
    _when(_UNPRICED, _PROMPT),
    _when(_UNPRICED, _COMPLETION),
    "SUM(is_estimated)",
    *(f"SUM({column})" for column in TOKEN_COLUMNS),
)
# How long a call took, in microseconds: exact to the millisecond below one second, and to 0.5 %
# above, so that an hour has few distinct values.
TOOK: Final = (
    "CASE WHEN duration_us < 1000000 THEN duration_us - duration_us % 1000"
    " WHEN duration_us < 10000000 THEN duration_us - duration_us % 10000 + 5000"
    " WHEN duration_us < 100000000 THEN duration_us - duration_us % 100000 + 50000"
    " ELSE duration_us - duration_us % 1000000 + 500000 END"
)
_DIMENSIONS: Final = (  # as reports and rows alike call them
    "feature",
    "tenant",
    "environment",
    "model",
    "endpoint",
    "status",
    "provider",
    "model_sent",
    "model_served",
    "pricing",
)
_COVERED: Final = frozenset({*_DIMENSIONS, "day", "hour"})
_SUMS: Final = tuple(f"sum_{place}" for place in range(len(MEASURES)))
ROLLED_MEASURES: Final = tuple(f"SUM({name})" for name in _SUMS)
ROLLED_LATENCIES: Final = "rollups JOIN rolled_latencies ON rollup = id"
_HOUR: Final = f"started_us - started_us % {_HOUR_US}"
_TEXTS: Final = ", ".join(f"{name} TEXT NOT NULL" for name in _DIMENSIONS)
# A sum that exceeds 64 bits would turn into a float: the check refuses it.
_NUMBERS: Final = ", ".join(
    f"{name} INTEGER NOT NULL CHECK (typeof({name}) = 'integer')" for name in _SUMS
)
SCHEMA: Final = f"""
CREATE TABLE rollups (
    id INTEGER PRIMARY KEY, started_us INTEGER NOT NULL, {_TEXTS}, {_NUMBERS},
    UNIQUE (started_us, {", ".join(_DIMENSIONS)})
);
CREATE TABLE rolled_latencies (
    rollup INTEGER NOT NULL, took_us INTEGER NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (rollup, took_us)
) WITHOUT ROWID;
CREATE TABLE rollups_given_up (reason TEXT NOT NULL);
CREATE INDEX entries_moved ON entries (started_us) WHERE moves <> '';
"""
_BY: Final = ", ".join(str(place) for place in range(1, len(_DIMENSIONS) + 2))
_ROLL: Final = (
    f"INSERT INTO rollups (started_us, {', '.join(_DIMENSIONS)}, {', '.join(_SUMS)})"  # noqa: S608 - constants
    f" SELECT {_HOUR}, {', '.join(_DIMENSIONS)}, {', '.join(MEASURES)} FROM entries"
    " WHERE {0}"
    f" GROUP BY {_BY}"
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)}"
)
_MATCHES: Final = " AND ".join(f"rollups.{name} = timed.{name}" for name in _DIMENSIONS)
_ROLL_LATENCIES: Final = (
    "INSERT INTO rolled_latencies"  # noqa: S608 - constants
    f" SELECT id, took_us, calls FROM (SELECT {_HOUR} AS hour_us, {', '.join(_DIMENSIONS)},"
    f" {TOOK} AS took_us, COUNT(*) AS calls FROM entries WHERE {_TIMED}"
    " AND {0}"
    f" GROUP BY {_BY}, {len(_DIMENSIONS) + 2}) AS timed"
    f" CROSS JOIN rollups ON rollups.started_us = hour_us AND {_MATCHES}"
    " WHERE true ON CONFLICT DO UPDATE SET calls = calls + excluded.calls"
)
_NEW: Final = "entries.rowid > ?"
_SPAN: Final = "started_us >= ? AND started_us < ?"


class Part(msgspec.Struct, frozen=True):
    """A part of a question, and whether roll-ups answer it."""

    query: ReportQuery
    is_rolled: bool


def parts(source: Source, query: ReportQuery) -> tuple[Part, ...]:
    """The question cut so that roll-ups answer its whole hours, as far as they can."""
    names = {*query.by, *query.where}
    since_us = None if query.since_us is None else -(-query.since_us // _HOUR_US) * _HOUR_US
    until_us = None if query.until_us is None else query.until_us // _HOUR_US * _HOUR_US
    is_short = since_us is not None and until_us is not None and since_us >= until_us
    if is_short or not names <= _COVERED or not are_kept(source):
        return (Part(query, is_rolled=False),)
    whole = msgspec.structs.replace(query, since_us=since_us, until_us=until_us)
    found = [Part(whole, is_rolled=True)]
    if since_us != query.since_us:
        before = msgspec.structs.replace(query, until_us=since_us)
        found.append(Part(before, is_rolled=False))
    if until_us != query.until_us:
        after = msgspec.structs.replace(query, since_us=until_us)
        found.append(Part(after, is_rolled=False))
    return tuple(found)


def are_kept(source: Source) -> bool:
    """Whether a source keeps roll-ups, and has not given them up."""
    if not getattr(source, "has_rollups", False):
        return False
    return not list(source.query("SELECT 1 FROM rollups_given_up LIMIT 1"))


def roll(connection: sqlite3.Connection, after_rowid: int) -> None:
    """Add the rows behind `after_rowid` to the roll-ups, within the transaction that added them."""
    _roll(connection, _NEW, (after_rowid,))


def roll_again(connection: sqlite3.Connection, since_us: int, until_us: int) -> None:
    """Make the roll-ups of a span's hours anew after rows were dropped from it."""
    hours = (since_us // _HOUR_US * _HOUR_US, -(-until_us // _HOUR_US) * _HOUR_US)
    connection.execute(
        f"DELETE FROM rolled_latencies WHERE rollup IN (SELECT id FROM rollups WHERE {_SPAN})",  # noqa: S608 - constants
        hours,
    )
    connection.execute(f"DELETE FROM rollups WHERE {_SPAN}", hours)  # noqa: S608 - constants
    _roll(connection, _SPAN, hours)


def _roll(connection: sqlite3.Connection, condition: str, parameters: tuple[int, ...]) -> None:
    if connection.execute("SELECT 1 FROM rollups_given_up LIMIT 1").fetchone() is not None:
        return
    connection.execute("SAVEPOINT roll")
    try:
        connection.execute(_ROLL.format(condition), parameters)
        connection.execute(_ROLL_LATENCIES.format(condition), parameters)
    except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
        if isinstance(error, sqlite3.OperationalError) and "integer overflow" not in str(error):
            raise
        connection.execute("ROLLBACK TO roll")
        connection.execute("DELETE FROM rolled_latencies")
        connection.execute("DELETE FROM rollups")
        connection.execute("INSERT INTO rollups_given_up VALUES (?)", (str(error),))
    connection.execute("RELEASE roll")
