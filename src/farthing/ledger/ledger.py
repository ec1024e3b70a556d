"""The ledger as its readers see it: store and archive as one, after a last drain."""

from __future__ import annotations

import contextlib
import enum
import errno
import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import msgspec

from farthing.clock import Clock, SystemClock
from farthing.errors import CallerError
from farthing.ledger.archive import DAY_US, Archive, day_name
from farthing.ledger.drainer import Drainer, DrainerBusy, DrainReport
from farthing.ledger.entry import Entry
from farthing.ledger.layout import Layout
from farthing.ledger.query import ReportQuery
from farthing.ledger.report import Report, build_report
from farthing.ledger.row import COLUMNS, Row, entry_of, rows_of
from farthing.ledger.settings import LedgerSettings
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Checkpoint, Source, Store, StoreState
from farthing.ledger.tail import Tail

__all__ = ["Ledger", "LedgerMissing", "Order", "Sealed"]

_DEFAULTS: Final = LedgerSettings()
_CLOCK: Final = SystemClock()
_EVERYTHING: Final = ReportQuery()
_ROWS: Final = f"SELECT {', '.join(COLUMNS)} FROM entries"  # noqa: S608 - constants
_NOT_WRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_TIME: Final = COLUMNS.index("started_us")


class LedgerMissing(CallerError):
    """There is no ledger in that folder."""

    code = "ledger_missing"


class Order(enum.StrEnum):
    """By what the foremost calls are found."""

    COST = "cost"
    LATENCY = "latency"
    TOKENS = "tokens"
    TIME = "time"


_ORDER_COLUMNS: Final[Mapping[Order, str]] = {
    Order.COST: "call_cost_nanodollars",
    Order.LATENCY: "duration_us",
    Order.TOKENS: "call_tokens",
    Order.TIME: "started_us",
}


class Sealed(msgspec.Struct, frozen=True):
    """What sealing did: days moved to Parquet, and sealed days deleted for their age."""

    days: tuple[str, ...]
    deleted: tuple[str, ...]


class Ledger:
    """Reads a ledger; `drained` tells how the journals stood when it was opened."""

    def __init__(self, directory: Path, settings: LedgerSettings, store: Store) -> None:
        self._settings = settings
        self._directory = directory
        self._store = store
        self._archive = Archive(Layout(directory).archive, store)
        self.drained: DrainReport | None = None
        self.undrained_bytes: int | None = None  # told where the folder can only be read

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        settings: LedgerSettings = _DEFAULTS,
        clock: Clock = _CLOCK,
    ) -> Ledger:
        """The ledger in a directory; journals are drained first, unless somebody else does that.

        Where the directory can only be read, nothing is drained; `undrained_bytes` tells what lies
        in the journals.

        Raises:
            LedgerMissing: there is no such directory, or no ledger in it; nothing is made.
            StoreError: the store can't be read.
        """
        if not directory.is_dir():
            raise LedgerMissing(
                f"There is no ledger in {directory}: no such folder.\n"
                "Nothing was made.\nName the folder with --data-dir or FARTHING_DATA_DIR."
            )
        layout = Layout(directory)
        if not layout.is_begun:
            raise LedgerMissing(
                f"There is no ledger in {directory}: it holds neither a store nor journals.\n"
                "Nothing was made.\nName the folder with --data-dir or FARTHING_DATA_DIR; a ledger "
                "begins with the first `farthing up`."
            )
        store = SqliteStore(layout.store, busy_timeout_ms=settings.busy_timeout_ms)
        ledger = cls(directory, settings, store)
        try:
            with contextlib.suppress(DrainerBusy), ledger._drainer(clock) as drainer:
                ledger.drained = drainer.drain()
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            store = SqliteStore(
                layout.store, busy_timeout_ms=settings.busy_timeout_ms, is_read_only=True
            )
            ledger = cls(directory, settings, store)
            ledger.undrained_bytes = layout.journal_bytes
        return ledger

    def check(self) -> None:
        """Raises StoreError: the store can't be read at all."""
        with self._store.snapshot():
            list(self._store.query("SELECT 1 FROM entries LIMIT 1"))

    def report(self, query: ReportQuery = _EVERYTHING) -> Report:
        """Sums by the dimensions asked for.

        Raises:
            QueryError: a dimension or filter does not exist.
        """
        with self._store.snapshot():
            return build_report(self.sources(), query)

    def calls(
        self, top: int, by: Order = Order.COST, query: ReportQuery = _EVERYTHING
    ) -> list[Entry]:
        """The `top` calls by cost, latency, tokens or time (latest first); `query.by` is not used.

        Raises:
            QueryError: a filter does not exist.
        """
        column = _ORDER_COLUMNS[by]
        condition, parameters = query.condition()
        if query.is_call_level:
            condition, parameters = query.condition("is_final = 1")
        else:
            condition = (
                " WHERE is_final = 1 AND call_id IN"  # noqa: S608 - a fixed list
                f" (SELECT call_id FROM entries{condition})"
            )
        sql = (
            f"SELECT {column}, call_id FROM entries{condition}"  # noqa: S608 - a fixed list
            f" ORDER BY {column} DESC, call_id LIMIT {int(top)}"
        )
        with self._store.snapshot():
            found = [row for source in self.sources() for row in source.query(sql, parameters)]
            best = sorted(found, key=lambda row: (-int(row[0] or 0), str(row[1])))
            return self._entries([str(row[1]) for row in best[:top]])

    def call(self, call_id: str) -> Entry | None:
        """One call, down to its attempts; None where it has not ended, or never was.

        One that ended just now may still be on its way to the store, in a journal.
        """
        with self._store.snapshot():
            found = next(iter(self._entries([call_id])), None)
            checkpoints = self._store.checkpoints()
        return found or self._undrained(call_id, checkpoints)

    def _undrained(self, call_id: str, checkpoints: Mapping[str, Checkpoint]) -> Entry | None:
        """A call that ended and was not posted when the `checkpoints` were read."""
        layout = Layout(self._directory)
        for run, segments in layout.segments().items():
            with contextlib.suppress(FileNotFoundError):  # drained to its end meanwhile
                found = Tail(layout.journal, run, checkpoints.get(run)).find(segments, call_id)
                if found is not None:
                    return entry_of(rows_of(found))  # as the store will give it
        return None

    def entries(self, query: ReportQuery = _EVERYTHING) -> Iterator[Entry]:
        """All entries that match, oldest first, as they come from disk; `query.by` is not used."""
        for _, rows in itertools.groupby(self.rows(query), key=lambda row: row[0]):
            yield entry_of(list(rows))

    def rows(self, query: ReportQuery = _EVERYTHING) -> Iterator[Row]:
        """The same as flat rows, in the order of `farthing.ledger.row.COLUMNS`."""
        condition, parameters = query.condition()
        if not query.is_call_level:
            condition = f" WHERE call_id IN (SELECT call_id FROM entries{condition})"  # noqa: S608 - a fixed list
        sql = f"{_ROWS}{condition} ORDER BY started_us, call_id, attempt"
        with self._store.snapshot():
            ordered = [source.query(sql, parameters) for source in self.sources()]
            yield from heapq.merge(*ordered, key=lambda row: (row[_TIME], row[0], row[1]))

    def card(self, card_id: str) -> bytes | None:
        """The content of a rate card that entries name, as JSON."""
        return self._store.card(card_id)

    def seal(self, now_us: int, *, clock: Clock = _CLOCK) -> Sealed:
        """Move days that are old enough and over to Parquet; delete those past their retention.

        A day is over when no journal holds a call that began on it. A late entry makes a further
        part of its day.

        Raises:
            ArchiveError: DuckDB is not installed; the rows stay in the store.
            DrainerBusy: another process drains; let it seal.
        """
        with self._drainer(clock) as drainer:
            drained = drainer.drain()
            sealed: list[str] = []
            if drained.store is StoreState.OK:
                oldest_open_us = now_us if drained.low_water_us is None else drained.low_water_us
                ripe_us = now_us - self._settings.seal_after_days * DAY_US
                for day_us in self._days(min(oldest_open_us, ripe_us)):
                    self._archive.seal(day_us)
                    sealed.append(day_name(day_us))
            deleted: list[str] = []
            if self._settings.retention_days:
                keep_us = now_us - self._settings.retention_days * DAY_US
                deleted = self._archive.delete_before(day_name(keep_us))
        return Sealed(tuple(sealed), tuple(deleted))

    def close(self) -> None:
        """Free the store."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drainer(self, clock: Clock) -> Drainer:
        return Drainer(self._directory, settings=self._settings, clock=clock)

    def _days(self, until_us: int) -> list[int]:
        """The first instants of the days in the store that ended by `until_us`."""
        sql = "SELECT DISTINCT started_us - started_us % ? FROM entries WHERE started_us < ?"
        whole = until_us - until_us % DAY_US
        return sorted(int(day or 0) for (day,) in self._store.query(sql, (DAY_US, whole)))

    def sources(self) -> list[Source]:
        """What answers SQL over a table `entries`: the store, and the archive where it has days."""
        if not self._store.parts():
            return [self._store]
        has_rows = list(self._store.query("SELECT 1 FROM entries LIMIT 1"))
        return [self._store, self._archive] if has_rows else [self._archive]

    def _entries(self, call_ids: Sequence[str]) -> list[Entry]:
        """These calls' entries, in this order."""
        marks = ", ".join("?" * len(call_ids))
        sql = f"{_ROWS} WHERE call_id IN ({marks})"
        found: dict[str, list[Row]] = {}
        for source in self.sources():
            for row in source.query(sql, call_ids):
                found.setdefault(str(row[0]), []).append(row)
        return [entry_of(found[call_id]) for call_id in call_ids if call_id in found]


def instant_us(text: str, now_us: int) -> int:
    """An instant from `7d`, `12h`, `30m` (ago), a date or an RFC 3339 time; UTC unless it says so.

    Raises:
        CallerError: it is none of these.
    """
    units = {"d": DAY_US, "h": DAY_US // 24, "m": DAY_US // 1440}
    if text[-1:] in units and text[:-1].isdigit():
        return now_us - int(text[:-1]) * units[text[-1]]
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise CallerError(
            f"{text!r} is no instant; write 7d, 12h, 30m, 2026-11-01 or 2026-11-01T09:00Z."
        ) from error
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return int(aware.timestamp()) * 1_000_000 + aware.microsecond
