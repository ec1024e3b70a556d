"""The sums of a report: one SQL text over each source, merged exactly with integers."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, Self

import msgspec

from farthing.call import UNATTRIBUTED
from farthing.ledger.entry import LeverMove
from farthing.ledger.query import ReportQuery, dimension
from farthing.ledger.rollup import (
    CALL,
    FINAL,
    MEASURES,
    ROLLED_LATENCIES,
    ROLLED_MEASURES,
    TOOK,
    parts,
)
from farthing.ledger.row import TOKEN_COLUMNS
from farthing.ledger.store import Source
from farthing.money import Money
from farthing.usage import TOKEN_UNITS, Usage

__all__ = [
    "Distinct",
    "Group",
    "Latencies",
    "Sums",
    "Talks",
    "groups",
    "latencies",
    "moved",
    "repeats",
    "talks",
]

_IN_SESSION: Final = "session <> ''"
_ANSWERED: Final = "status = 'ok' AND last_turn <> ''"
_QUESTION: Final = ("session", "turn", "turn_step", "last_turn", "feature", "endpoint")
_MOVES = msgspec.json.Decoder(list[LeverMove]).decode

Key = tuple[str | int | None, ...]


class Sums(msgspec.Struct):
    """What is added up over rows; a running sum, private to the report that makes it."""

    calls: int = 0
    corrections: int = 0
    attempts: int = 0
    cost: int = 0
    baseline: int = 0
    unpriced: int = 0
    unpriced_prompt: int = 0
    unpriced_completion: int = 0
    estimated: int = 0
    tokens: tuple[int, ...] = (0,) * len(TOKEN_COLUMNS)

    def add(self, other: Sums) -> None:
        """Add another sum to this one."""
        self.calls += other.calls
        self.corrections += other.corrections
        self.attempts += other.attempts
        self.cost += other.cost
        self.baseline += other.baseline
        self.unpriced += other.unpriced
        self.unpriced_prompt += other.unpriced_prompt
        self.unpriced_completion += other.unpriced_completion
        self.estimated += other.estimated
        self.tokens = tuple(map(int.__add__, self.tokens, other.tokens))

    @classmethod
    def of(cls, cells: Sequence[str | int | None]) -> Self:
        """The sums of one result row, in the order of the measures."""
        numbers = [int(cell or 0) for cell in cells]
        plain = len(MEASURES) - len(TOKEN_COLUMNS)
        return cls(*numbers[:plain], tokens=tuple(numbers[plain:]))

    @property
    def usage(self) -> Usage:
        """The tokens by bucket."""
        counts = dict(zip((unit.value for unit in TOKEN_UNITS), self.tokens, strict=True))
        return Usage(**counts, is_estimated=self.estimated > 0)


class Group(msgspec.Struct, frozen=True):
    """One bucket of the breakdown, within one environment and call status.

    It is unattributed when an attribution asked for (none asked: the feature) is missing.
    """

    key: Key
    environment: str
    status: str
    is_unattributed: bool
    sums: Sums


def groups(sources: Sequence[Source], query: ReportQuery) -> Iterator[Group]:
    """The sums by the dimensions asked for, and by environment and status besides."""
    asked = [found.sql for found in query.dimensions]
    whom = [d.sql for d in query.dimensions if d.is_attribution] or [dimension("feature").sql]
    missing = " OR ".join(f"{sql} = '{UNATTRIBUTED}'" for sql in whom)
    also = [
        dimension("environment").sql,
        dimension("status").sql,
        f"CASE WHEN {missing} THEN 1 ELSE 0 END",
    ]
    by = ", ".join(str(place) for place in range(1, len(asked) + len(also) + 1))
    for source in sources:
        for part in parts(source, query):
            condition, parameters = part.query.condition()
            table, measures = (
                ("rollups", ROLLED_MEASURES) if part.is_rolled else ("entries", MEASURES)
            )
            columns = ", ".join((*asked, *also, *measures))
            sql = f"SELECT {columns} FROM {table}{condition} GROUP BY {by}"  # noqa: S608 - a fixed list
            for row in source.query(sql, parameters):
                key = row[: len(asked)]
                environment, status, is_missing, *cells = row[len(asked) :]
                sums = Sums.of(cells)
                yield Group(key, str(environment), str(status), bool(is_missing), sums)


class Latencies:
    """How long calls took, as counts per latency in milliseconds.

    Percentiles are exact below one second, and to 0.5 % above.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[int, int] = defaultdict(int)

    def add(self, ms: int, count: int) -> None:
        """Count calls that took so long."""
        self._counts[ms] += count

    def percentile_ms(self, percent: int) -> int | None:
        """The least latency that at least `percent` % of the calls did not exceed."""
        count = sum(self._counts.values())
        below = 0
        for ms in sorted(self._counts):
            below += self._counts[ms]
            if below * 100 >= count * percent:
                return ms
        return None


def latencies(sources: Sequence[Source], query: ReportQuery) -> dict[Key, Latencies]:
    """The latencies of answered calls by the dimensions asked for; `()` holds all of them.

    A call that took no time was recorded without one.
    """
    asked = [found.sql for found in query.dimensions]
    by = ", ".join(str(place) for place in range(1, len(asked) + 2))
    found: defaultdict[Key, Latencies] = defaultdict(Latencies)
    for source in sources:
        for part in parts(source, query):
            if part.is_rolled:
                condition, parameters = part.query.condition()
                took, counted, table = "took_us", "SUM(calls)", ROLLED_LATENCIES
            else:
                condition, parameters = part.query.condition(
                    CALL, "status = 'ok'", "duration_us > 0"
                )
                took, counted, table = TOOK, "COUNT(*)", "entries"
            columns = ", ".join((*asked, took, counted))
            sql = f"SELECT {columns} FROM {table}{condition} GROUP BY {by}"  # noqa: S608 - a fixed list
            for *key, took_us, count in source.query(sql, parameters):
                for bucket in {tuple(key), ()}:
                    found[bucket].add(int(took_us or 0) // 1000, int(count or 0))
    return dict(found)


class Distinct(msgspec.Struct, frozen=True):
    """How many calls, and how many distinct things they were about."""

    calls: int
    distinct: int

    @property
    def ratio(self) -> float | None:
        """Calls per distinct thing; None where there is none."""
        return self.calls / self.distinct if self.distinct else None


def repeats(
    sources: Sequence[Source], query: ReportQuery, columns: Sequence[str], *also: str
) -> Distinct:
    """Calls, and distinct values of the columns among them, over all sources at once.

    Sources are read in the order of the columns and merged as they come, so that a session which
    stands in two of them counts once and memory stays flat.
    """
    condition, parameters = query.condition(CALL, *also)
    by = ", ".join(columns)
    counted = f"SELECT {by}, COUNT(*) AS calls FROM entries{condition} GROUP BY {by}"  # noqa: S608 - a fixed list
    if len(sources) == 1:
        sql = f"SELECT COALESCE(SUM(calls), 0), COUNT(*) FROM ({counted}) AS counted"  # noqa: S608 - a fixed list
        ((calls, distinct),) = sources[0].query(sql, parameters)
        return Distinct(int(calls or 0), int(distinct or 0))
    ordered = [source.query(f"{counted} ORDER BY {by}", parameters) for source in sources]
    calls = distinct = 0
    for _, same in itertools.groupby(heapq.merge(*ordered), key=lambda row: row[:-1]):
        calls += sum(int(row[-1] or 0) for row in same)
        distinct += 1
    return Distinct(calls, distinct)


class Talks(msgspec.Struct, frozen=True):
    """Calls in sessions: distinct turns per session, and answers per distinct question."""

    turns: Distinct
    regenerations: Distinct


def talks(sources: Sequence[Source], query: ReportQuery) -> Talks:
    """What sessions tell: one sort over one source, merged sorts over several."""
    if len(sources) > 1:
        turns = repeats(sources, query, ("session", "turn"), _IN_SESSION)
        sessions = repeats(sources, query, ("session",), _IN_SESSION)
        questions = repeats(sources, query, _QUESTION, _IN_SESSION, _ANSWERED)
        return Talks(Distinct(turns.distinct, sessions.distinct), questions)
    condition, parameters = query.condition(CALL, _IN_SESSION)
    by = ", ".join(_QUESTION)
    sql = (
        "SELECT COUNT(*), SUM(turns), SUM(answers), SUM(questions) FROM"  # noqa: S608 - a fixed list
        " (SELECT COUNT(DISTINCT turn) AS turns, SUM(is_answer * calls) AS answers,"
        " SUM(is_answer) AS questions FROM"
        f" (SELECT {by}, CASE WHEN {_ANSWERED} THEN 1 ELSE 0 END AS is_answer, COUNT(*) AS calls"
        f" FROM entries{condition} GROUP BY {by}, {len(_QUESTION) + 1}) AS asked"
        " GROUP BY session) AS held"
    )
    ((sessions_, turns_, answers, questions_),) = list(sources[0].query(sql, parameters)) or (
        (0, 0, 0, 0),
    )
    return Talks(
        Distinct(int(turns_ or 0), int(sessions_ or 0)),
        Distinct(int(answers or 0), int(questions_ or 0)),
    )


def moved(sources: Sequence[Source], query: ReportQuery) -> dict[str, tuple[Money, Money]]:
    """What each lever saved and spent."""
    condition, parameters = query.condition(FINAL, "moves <> ''")
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for source in sources:
        for (text,) in source.query(f"SELECT moves FROM entries{condition}", parameters):  # noqa: S608 - a fixed list
            for move in _MOVES(str(text)):
                sums[move.lever][0] += move.saved.nanodollars
                sums[move.lever][1] += move.spent.nanodollars
    return {lever: (Money(saved), Money(spent)) for lever, (saved, spent) in sorted(sums.items())}
