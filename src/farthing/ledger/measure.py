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
from farthing.ledger.row import TOKEN_COLUMNS
from farthing.ledger.store import Source
from farthing.money import Money
from farthing.usage import TOKEN_UNITS, Usage

__all__ = ["Distinct", "Group", "Latencies", "Sums", "groups", "latencies", "moved", "repeats"]

_FINAL: Final = "is_final = 1"
_CALL: Final = "is_final = 1 AND corrects = ''"
_UNPRICED: Final = "cost_nanodollars IS NULL"
_PROMPT: Final = (
    "tokens_input + tokens_cache_read + tokens_cache_write_5m + tokens_cache_write_1h"
    " + tokens_audio_input + tokens_image_input"
)
_COMPLETION: Final = "tokens_output + tokens_reasoning + tokens_audio_output"
_BASELINE: Final = (
    "COALESCE(baseline_nanodollars, call_cost_nanodollars + saved_nanodollars - spent_nanodollars)"
)


def _when(condition: str, value: str = "1") -> str:
    return f"SUM(CASE WHEN {condition} THEN {value} ELSE 0 END)"


_MEASURES: Final = (
    _when(_CALL),
    _when(f"{_FINAL} AND corrects <> ''"),
    _when("attempt > 0"),
    "COALESCE(SUM(cost_nanodollars), 0)",
    f"COALESCE(SUM({_BASELINE}), 0)",
    _when(_UNPRICED),
    _when(_UNPRICED, _PROMPT),
    _when(_UNPRICED, _COMPLETION),
    "SUM(is_estimated)",
    *(f"SUM({column})" for column in TOKEN_COLUMNS),
)
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
        plain = len(_MEASURES) - len(TOKEN_COLUMNS)
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
    condition, parameters = query.condition()
    by = ", ".join(str(place) for place in range(1, len(asked) + len(also) + 1))
    sql = f"SELECT {', '.join((*asked, *also, *_MEASURES))} FROM entries{condition} GROUP BY {by}"  # noqa: S608 - a fixed list
    for source in sources:
        for row in source.query(sql, parameters):
            key = row[: len(asked)]
            environment, status, is_missing, *cells = row[len(asked) :]
            sums = Sums.of(cells)
            yield Group(key, str(environment), str(status), bool(is_missing), sums)


class Latencies:
    """How long calls took, as counts per millisecond; percentiles are exact at that grain."""

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
    condition, parameters = query.condition(_CALL, "status = 'ok'", "duration_us > 0")
    columns = [*asked, "duration_us - duration_us % 1000"]
    by = ", ".join(str(place) for place in range(1, len(columns) + 1))
    sql = f"SELECT {', '.join(columns)}, COUNT(*) FROM entries{condition} GROUP BY {by}"  # noqa: S608 - a fixed list
    found: defaultdict[Key, Latencies] = defaultdict(Latencies)
    for source in sources:
        for *key, spent_us, count in source.query(sql, parameters):
            for bucket in {tuple(key), ()}:
                found[bucket].add(int(spent_us or 0) // 1000, int(count or 0))
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
    condition, parameters = query.condition(_CALL, *also)
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


def moved(sources: Sequence[Source], query: ReportQuery) -> dict[str, tuple[Money, Money]]:
    """What each lever saved and spent."""
    condition, parameters = query.condition(_FINAL, "moves <> ''")
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for source in sources:
        for (text,) in source.query(f"SELECT moves FROM entries{condition}", parameters):  # noqa: S608 - a fixed list
            for move in _MOVES(str(text)):
                sums[move.lever][0] += move.saved.nanodollars
                sums[move.lever][1] += move.spent.nanodollars
    return {lever: (Money(saved), Money(spent)) for lever, (saved, spent) in sorted(sums.items())}
