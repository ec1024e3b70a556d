"""Hourly roll-ups: the sums of a report, kept beside the rows by the transaction that adds them.

Each hour has a line for every combination of the dimensions that a bill is mostly read by, with
the sums and the latencies of its rows, equal to what a report adds up over the rows; what lies before the first and after the last whole hour of a
question is read from rows. Where a sum exceeds 64 bits the roll-ups are given up for good and
reports read rows: a roll-up must never keep an entry from being posted.  # ADR-0012
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

import msgspec

from farthing.ledger.query import ReportQuery
from farthing.ledger.row import COLUMNS, TOKEN_COLUMNS, Row
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
_UNPRICED: Final = "cost_nanodollars IS NULL"
_PROMPT_COLUMNS: Final = (
    "tokens_input",
    "tokens_cache_read",
    "tokens_cache_write_5m",
    "tokens_cache_write_1h",
    "tokens_audio_input",
    "tokens_image_input",
)
_COMPLETION_COLUMNS: Final = ("tokens_output", "tokens_reasoning", "tokens_audio_output")
_PROMPT: Final = " + ".join(_PROMPT_COLUMNS)
_COMPLETION: Final = " + ".join(_COMPLETION_COLUMNS)
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
_PLACES: Final = MappingProxyType({name: place for place, name in enumerate(COLUMNS)})
_kind = itemgetter(*map(COLUMNS.index, _DIMENSIONS))
_STARTED: Final = COLUMNS.index("started_us")
_MARKS: Final = ", ".join("?" * (1 + len(_DIMENSIONS) + len(_SUMS)))
_KEYS: Final = ", ".join(("started_us", *_DIMENSIONS))
_ADD: Final = (
    f"INSERT INTO rollups ({_KEYS}, {', '.join(_SUMS)}) VALUES ({_MARKS})"  # noqa: S608 - constants
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)}"
    " RETURNING id"
)
_ADD_LATENCY: Final = (
    "INSERT INTO rolled_latencies VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET calls = calls + excluded.calls"
)
_SPAN: Final = "started_us >= ? AND started_us < ?"
_ROWS: Final = f"SELECT {', '.join(COLUMNS)} FROM entries WHERE {_SPAN}"  # noqa: S608 - constants
_CHUNK_ROWS: Final = 10_000


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


def roll(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Add rows to the roll-ups, within the transaction that adds them to the store."""
    if connection.execute("SELECT 1 FROM rollups_given_up LIMIT 1").fetchone() is not None:
        return
    groups: defaultdict[tuple[int, Row], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[_STARTED] // _HOUR_US, _kind(row)].append(row)  # type: ignore[operator] # a number
    connection.execute("SAVEPOINT roll")
    try:
        for (hour, kind), group in groups.items():
            columns = list(zip(*group, strict=True))
            added = (hour * _HOUR_US, *kind, *_sums(columns))
            ((line,),) = connection.execute(_ADD, added).fetchall()
            took = [(line, took_us, calls) for took_us, calls in _latencies(columns).items()]
            connection.executemany(_ADD_LATENCY, took)
    except (OverflowError, sqlite3.IntegrityError) as error:
        connection.execute("ROLLBACK TO roll")
        connection.execute("DELETE FROM rolled_latencies")
        connection.execute("DELETE FROM rollups")
        connection.execute("INSERT INTO rollups_given_up VALUES (?)", (str(error),))
    connection.execute("RELEASE roll")


def roll_again(connection: sqlite3.Connection, since_us: int, until_us: int) -> None:
    """Make the roll-ups of a span's hours anew from its rows."""
    hours = (since_us // _HOUR_US * _HOUR_US, -(-until_us // _HOUR_US) * _HOUR_US)
    connection.execute(
        f"DELETE FROM rolled_latencies WHERE rollup IN (SELECT id FROM rollups WHERE {_SPAN})",  # noqa: S608 - constants
        hours,
    )
    connection.execute(f"DELETE FROM rollups WHERE {_SPAN}", hours)  # noqa: S608 - constants
    found = connection.execute(_ROWS, hours)
    while rows := found.fetchmany(_CHUNK_ROWS):
        roll(connection, rows)


_Columns = Sequence[tuple[Any, ...]]


def _sums(columns: _Columns) -> list[int]:
    """The measures of rows, given by column."""
    finals, corrects = columns[_PLACES["is_final"]], columns[_PLACES["corrects"]]
    costs = columns[_PLACES["cost_nanodollars"]]
    corrections = sum(1 for final, old in zip(finals, corrects, strict=True) if final and old)
    unpriced = [place for place, cost in enumerate(costs) if cost is None]
    tokens = [columns[_PLACES[name]] for name in TOKEN_COLUMNS]
    return [
        sum(finals) - corrections,
        corrections,
        len(finals) - columns[_PLACES["attempt"]].count(0),
        sum(cost for cost in costs if cost is not None),
        _baseline(columns),
        len(unpriced),
        sum(columns[_PLACES[name]][place] for name in _PROMPT_COLUMNS for place in unpriced),
        sum(columns[_PLACES[name]][place] for name in _COMPLETION_COLUMNS for place in unpriced),
        sum(columns[_PLACES["is_estimated"]]),
        *map(sum, tokens),
    ]


def _baseline(columns: _Columns) -> int:
    """The calls' baselines; one that nobody told is the cost with what levers did undone."""
    told = columns[_PLACES["baseline_nanodollars"]]
    if None not in told:
        return sum(told)
    names = ("is_final", "call_cost_nanodollars", "saved_nanodollars", "spent_nanodollars")
    rows = zip(told, *(columns[_PLACES[name]] for name in names), strict=True)
    return sum(
        cost + saved - spent if baseline is None else baseline
        for baseline, is_final, cost, saved, spent in rows
        if is_final
    )


def _latencies(columns: _Columns) -> Counter[int]:
    """How many answered calls took how long, as `TOOK` tells it."""
    if columns[_PLACES["status"]][0] != "ok":  # a dimension: the same in all of these rows
        return Counter()
    durations, corrects = columns[_PLACES["duration_us"]], columns[_PLACES["corrects"]]
    timed = (not (old or not spent) for spent, old in zip(durations, corrects, strict=True))
    return Counter(map(_took, itertools.compress(durations, timed)))


def _took(duration_us: int) -> int:
    if duration_us < 1_000_000:
        return duration_us - duration_us % 1000
    step = 10_000 if duration_us < 10_000_000 else 100_000
    step = step if duration_us < 100_000_000 else 1_000_000
    return duration_us - duration_us % step + step // 2
