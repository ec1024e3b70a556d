"""What one can ask a report: dimensions, filters and a span of time, as SQL.

The SQL keeps to what SQLite and DuckDB both understand, so that one text serves the store and the
archive. Dimensions come from a fixed list; values travel as parameters.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.call import FOR_TAG, UNATTRIBUTED
from farthing.errors import CallerError

__all__ = ["ATTRIBUTIONS", "DIMENSIONS", "Dimension", "QueryError", "ReportQuery", "dimension"]

_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORMATS: Final = MappingProxyType({_DAY_US: "%Y-%m-%d", _HOUR_US: "%Y-%m-%dT%H:00Z"})


class QueryError(CallerError):
    """The question is wrong: an unknown dimension, a filter that can't be."""

    code = "bad_query"


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """One way to break a total down. `span_us`: it counts instants in spans of this length."""

    name: str
    sql: str
    is_attribution: bool = False
    is_call_level: bool = True
    span_us: int = 0

    def shown(self, value: str | int | None) -> str:
        """A value for people: days and hours as dates in UTC."""
        if not self.span_us:
            return str(value)
        return (_EPOCH + timedelta(microseconds=int(value or 0))).strftime(_FORMATS[self.span_us])

    def asked(self, value: str) -> str | int:
        """A filter's value as it stands in the ledger.

        Raises:
            QueryError: a day or hour that is none.
        """
        if not self.span_us:
            return value
        try:
            when = datetime.strptime(value, _FORMATS[self.span_us]).replace(tzinfo=UTC)
        except ValueError as error:
            example = _EPOCH.strftime(_FORMATS[self.span_us])
            raise QueryError(f"{value!r} is no {self.name}; write it like {example}.") from error
        return int((when - _EPOCH) / timedelta(microseconds=1))


def _text(name: str, column: str, *, whom: bool = False, call: bool = True) -> Dimension:
    sql = f"COALESCE(NULLIF({column}, ''), '{UNATTRIBUTED}')"
    return Dimension(name=name, sql=sql, is_attribution=whom, is_call_level=call)


def _time(name: str, span_us: int) -> Dimension:
    return Dimension(name=name, sql=f"(started_us - started_us % {span_us})", span_us=span_us)


DIMENSIONS: Final[Mapping[str, Dimension]] = MappingProxyType(
    {
        made.name: made
        for made in (
            _text("feature", "feature", whom=True),
            _text("user", "end_user", whom=True),
            _text("tenant", "tenant", whom=True),
            _text("session", "session", whom=True),
            _text("trace", "trace", whom=True),
            _text("step", "step", whom=True),
            _text("environment", "environment", whom=True),
            _text("model", "model"),
            _text("endpoint", "endpoint"),
            _text("status", "status"),
            _text("provider", "provider", call=False),
            _text("model_sent", "model_sent", call=False),
            _text("model_served", "model_served", call=False),
            _text("pricing", "pricing", call=False),
            _text("service_tier", "service_tier", call=False),
            _time("day", _DAY_US),
            _time("hour", _HOUR_US),
        )
    }
)
ATTRIBUTIONS: Final = tuple(d.name for d in DIMENSIONS.values() if d.is_attribution)


def dimension(name: str) -> Dimension:
    """The dimension of that name; `tag:KEY` for a free tag.

    Raises:
        QueryError: there is none; the nearest one is named.
    """
    if name in DIMENSIONS:
        return DIMENSIONS[name]
    if name.startswith("tag:") and len(name) > len("tag:"):
        return _tag(name)
    near = difflib.get_close_matches(name, DIMENSIONS, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(DIMENSIONS)}, tag:KEY."
    raise QueryError(f"There is no dimension {name!r}; {hint}")


def _tag(name: str) -> Dimension:
    key = name.removeprefix("tag:")
    if msgspec.json.encode(key).decode() != f'"{key}"':
        raise QueryError(f"The tag {key!r} can't be asked for: it holds a quote or a control sign.")
    path = f'$."{key}"'.replace("'", "''")
    column = f"(tags ->> '{path}')"
    return _text(name, column, whom=True)


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question: broken down `by` these dimensions, over calls begun in [since, until).

    `where` maps dimensions to the one value that counts; `unattributed` asks for what is missing.
    """

    by: tuple[str, ...] = ()
    since_us: int | None = None
    until_us: int | None = None
    where: Mapping[str, str] = {}

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions asked for.

        Raises:
            QueryError: one of them does not exist.
        """
        return tuple(dimension(name) for name in self.by)

    @property
    def is_call_level(self) -> bool:
        """Whether every filter holds for a call as a whole rather than for single attempts."""
        return all(dimension(name).is_call_level for name in self.where)

    def callers_own(self) -> ReportQuery:
        """The same question of callers' own calls, without the second answers beside them."""
        where = {f"tag:{FOR_TAG}": UNATTRIBUTED, **self.where}
        return msgspec.structs.replace(self, where=where)

    def condition(self, *also: str) -> tuple[str, Sequence[object]]:
        """The WHERE clause (with a leading space; may be empty) and its parameters.

        Raises:
            QueryError: a filter's dimension or value does not exist.
        """
        clauses = list(also)
        parameters: list[object] = []
        for bound, sign in ((self.since_us, ">="), (self.until_us, "<")):
            if bound is not None:
                clauses.append(f"started_us {sign} ?")
                parameters.append(bound)
        for name, value in self.where.items():
            asked = dimension(name)
            clauses.append(f"{asked.sql} = ?")
            parameters.append(asked.asked(value))
        return (" WHERE " + " AND ".join(clauses) if clauses else "", parameters)
