"""What drives spending: the ledger asked for an account's hours, top features, models and calls.

The SQL keeps to what SQLite and DuckDB both understand, so that it reads sealed days too. An
account's calls are found by its scope: a lone `*` by the value in the account's key, a pattern by
the values it matches. A call belongs to the window that it began in.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final, Protocol

import msgspec

from farthing.budgets.standing import Standing
from farthing.call import UNATTRIBUTED
from farthing.ledger.query import dimension
from farthing.ledger.store import Source
from farthing.money import Money

__all__ = ["Driver", "Drivers", "History", "LedgerHistory", "TopCall"]

HOUR_US: Final = 3_600_000_000
_EACH: Final = "*"


class Driver(msgspec.Struct, frozen=True):
    """One feature or model and what it cost."""

    name: str
    cost: Money
    calls: int


class TopCall(msgspec.Struct, frozen=True):
    """One of the dearest calls."""

    call_id: str
    feature: str
    model: str
    cost: Money


class Drivers(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's money went to, the dearest first; `calls` counts all of its calls."""

    features: tuple[Driver, ...] = ()
    models: tuple[Driver, ...] = ()
    top_calls: tuple[TopCall, ...] = ()
    calls: int = 0


class History(Protocol):
    """What the ledger knows of an account's spending."""

    def hours(self, standing: Standing, since_us: int, until_us: int) -> list[int]:
        """Nanodollars in each whole hour counted back from `until_us`, the oldest first.

        It begins with the first hour in which anything was spent; empty where nothing was.
        """
        ...

    def drivers(self, standing: Standing, since_us: int, until_us: int, most: int) -> Drivers:
        """The `most` dearest features, models and calls."""
        ...


class LedgerHistory:
    """A `History` over the sources of a ledger: its store, and its archive where there is one."""

    def __init__(self, sources: Callable[[], Sequence[Source]]) -> None:
        self._sources = sources

    def hours(self, standing: Standing, since_us: int, until_us: int) -> list[int]:
        """See `History`."""
        age = f"({int(until_us) - 1} - started_us)"
        sums: dict[int, int] = {}
        for source in self._sources():
            condition, values = _condition(source, standing, since_us, until_us)
            rows = source.query(
                f"SELECT ({age} - {age} % {HOUR_US}), SUM(COALESCE(cost_nanodollars, 0))"  # noqa: S608 - whole numbers
                f" FROM entries{condition} GROUP BY 1",
                values,
            )
            for back_us, cost in rows:
                hour = int(back_us or 0) // HOUR_US
                sums[hour] = sums.get(hour, 0) + int(cost or 0)
        spent = [hour for hour, cost in sums.items() if cost]
        if not spent:
            return []
        return [sums.get(hour, 0) for hour in range(max(spent), -1, -1)]

    def drivers(self, standing: Standing, since_us: int, until_us: int, most: int) -> Drivers:
        """See `History`."""
        features = self._sums("feature", standing, since_us, until_us)
        models = self._sums("model", standing, since_us, until_us)
        return Drivers(
            features=_foremost(features, most),
            models=_foremost(models, most),
            top_calls=self._top_calls(standing, since_us, until_us, most),
            calls=sum(calls for _, calls in features.values()),
        )

    def _sums(
        self, name: str, standing: Standing, since_us: int, until_us: int
    ) -> dict[str, tuple[int, int]]:
        """By value of a dimension: nanodollars and calls."""
        sums: dict[str, tuple[int, int]] = {}
        for source in self._sources():
            condition, values = _condition(source, standing, since_us, until_us)
            rows = source.query(
                f"SELECT {dimension(name).sql}, SUM(COALESCE(cost_nanodollars, 0)), SUM(is_final)"  # noqa: S608 - a fixed list
                f" FROM entries{condition} GROUP BY 1",
                values,
            )
            for value, cost, calls in rows:
                before = sums.get(str(value), (0, 0))
                sums[str(value)] = (before[0] + int(cost or 0), before[1] + int(calls or 0))
        return sums

    def _top_calls(
        self, standing: Standing, since_us: int, until_us: int, most: int
    ) -> tuple[TopCall, ...]:
        found: list[TopCall] = []
        for source in self._sources():
            condition, values = _condition(source, standing, since_us, until_us)
            rows = source.query(
                "SELECT call_id, feature, model, call_cost_nanodollars"  # noqa: S608 - a fixed list
                f" FROM entries{condition} AND is_final = 1 AND call_cost_nanodollars > 0"
                f" ORDER BY call_cost_nanodollars DESC, call_id LIMIT {int(most)}",
                values,
            )
            found += [
                TopCall(
                    str(call_id), str(feature) or UNATTRIBUTED, str(model), Money(int(cost or 0))
                )
                for call_id, feature, model, cost in rows
            ]
        found.sort(key=lambda call: (-call.cost.nanodollars, call.call_id))
        return tuple(found[:most])


def _foremost(sums: dict[str, tuple[int, int]], most: int) -> tuple[Driver, ...]:
    ordered = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return tuple(Driver(name, Money(cost), calls) for name, (cost, calls) in ordered[:most])


def _condition(
    source: Source, standing: Standing, since_us: int, until_us: int
) -> tuple[str, list[object]]:
    """The WHERE clause (with a leading space) for an account's calls, and its parameters."""
    clauses = ["started_us >= ?", "started_us < ?"]
    values: list[object] = [since_us, until_us]
    in_time = " WHERE started_us >= ? AND started_us < ?"
    for name, pattern, is_exact in _conditions(standing.scope, standing.key):
        sql = dimension(name).sql
        if is_exact:
            clauses.append(f"{sql} = ?")
            values.append(pattern)
            continue
        known = source.query(f"SELECT DISTINCT {sql} FROM entries{in_time}", (since_us, until_us))  # noqa: S608 - a fixed list
        matching = [value for (value,) in known if fnmatchcase(str(value), pattern)]
        clauses.append(f"{sql} IN ({', '.join('?' * len(matching))})" if matching else "1 = 0")
        values += matching
    return " WHERE " + " AND ".join(clauses), values


def _conditions(scope: str, key: str) -> list[tuple[str, str, bool]]:
    """Dimension, value or pattern, and whether it is a value to be met exactly."""
    split = {name for name, pattern in _words(scope) if pattern == _EACH}
    return [(name, value, name in split or _is_plain(value)) for name, value in _words(key)]


def _words(text: str) -> list[tuple[str, str]]:
    parts = (word.partition("=") for word in shlex.split(text))
    return [(name, value) for name, equals, value in parts if equals]


def _is_plain(pattern: str) -> bool:
    return not any(sign in pattern for sign in "*?[")
