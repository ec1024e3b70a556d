"""The embedded store: one SQLite file in WAL mode."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec

from farthing.ledger import charges, rollup
from farthing.ledger.entry import Entry
from farthing.ledger.row import COLUMNS, DEFAULTS, INTEGER_COLUMNS, Row, rows_of
from farthing.ledger.store import (
    Batch,
    Checkpoint,
    Damage,
    Part,
    Position,
    Posted,
    StoreError,
    StoreState,
)
from farthing.write_ahead import write_ahead

__all__ = ["SqliteStore"]

_VERSION: Final = 3
_INTEGER_MOST: Final = 2**63 - 1
_KEYS: Final = ("call_id", "attempt")


def _declared(name: str) -> str:
    kind = "INTEGER" if name in INTEGER_COLUMNS else "TEXT"
    default = DEFAULTS.get(name)
    if name in _KEYS:
        return f"{name} {kind} NOT NULL"
    if default is None:
        return f"{name} {kind}"
    return (
        f"{name} {kind} DEFAULT {default}" if default == 0 else f"{name} {kind} DEFAULT '{default}'"
    )


_ENTRIES: Final = ", ".join(map(_declared, COLUMNS))
_SCHEMA: Final = f"""
CREATE TABLE entries ({_ENTRIES}, PRIMARY KEY (call_id, attempt));
CREATE INDEX entries_by_time ON entries (started_us);
CREATE TABLE cards (id TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE checkpoints (
    run TEXT PRIMARY KEY,
    resume_sequence INTEGER NOT NULL, resume_offset INTEGER NOT NULL,
    read_sequence INTEGER NOT NULL, read_offset INTEGER NOT NULL
);
CREATE TABLE damages (
    segment TEXT NOT NULL, offset INTEGER NOT NULL, line BLOB NOT NULL,
    PRIMARY KEY (segment, offset)
);
CREATE TABLE parts (day TEXT NOT NULL, file TEXT NOT NULL, PRIMARY KEY (day, file));
"""
_STEPS: Final = (_SCHEMA, charges.SCHEMA, rollup.SCHEMA)  # the n-th leads from format n to the next
_INSERT: Final = f"INSERT OR IGNORE INTO entries VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - constants
# Binding a column costs more than storing it, so what is as usual is left to its default.
_USUAL: Final = tuple(name for name in COLUMNS if name not in DEFAULTS)
_INSERT_USUAL: Final = (
    f"INSERT OR IGNORE INTO entries ({', '.join(_USUAL)})"  # noqa: S608 - constants
    f" VALUES ({', '.join('?' * len(_USUAL))})"
)
_usual_cells = itemgetter(*map(COLUMNS.index, _USUAL))
_rare_cells = itemgetter(*map(COLUMNS.index, DEFAULTS))
_RARE_DEFAULTS: Final = tuple(DEFAULTS.values())
_STATES: Final = {
    sqlite3.SQLITE_BUSY: StoreState.LOCKED,
    sqlite3.SQLITE_LOCKED: StoreState.LOCKED,
    sqlite3.SQLITE_READONLY: StoreState.READ_ONLY,
    sqlite3.SQLITE_PERM: StoreState.READ_ONLY,
    sqlite3.SQLITE_FULL: StoreState.FULL,
}
_ADVICE: Final = {
    StoreState.LOCKED: "Another program holds it; find it, or wait.",
    StoreState.READ_ONLY: "Make the file and its folder writable.",
    StoreState.FULL: "Free space on the disk.",
    StoreState.FAILED: "Check the disk and the file.",
}


class SqliteStore:
    """A `Store` in one file. The connection is opened on first use, and again after `close`."""

    has_rollups: Final = True

    def __init__(
        self, path: Path, *, busy_timeout_ms: int = 2000, is_read_only: bool = False
    ) -> None:
        """`is_read_only`: the file is only read, and its folder is not written either."""
        self._path = path
        self._is_read_only = is_read_only
        self._busy_timeout_ms = busy_timeout_ms
        self._connection: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None]:
        """A span in which all reads see the store as at its beginning; may be nested."""
        with self._translated():
            connection = self._open()
            if connection.in_transaction:
                yield
                return
            connection.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection is connection and connection.in_transaction:
                    connection.execute("COMMIT")

    def post(self, batch: Batch) -> Posted:
        """Add a batch and its checkpoint in one transaction; the first entry of a call stays."""
        with self._transaction() as connection:
            fresh = _fresh(connection, batch.entries)
            try:
                rows = _insert(connection, fresh)
            except OverflowError:
                fresh = _divert(connection, fresh)
                rows = _insert(connection, fresh)
            rollup.roll(connection, rows)
            connection.executemany(
                "INSERT OR IGNORE INTO cards VALUES (?, ?)",
                [(note.id, bytes(note.content)) for note in batch.cards],
            )
            _keep(connection, batch.damages)
            charges.apply(connection, batch.run, fresh)
            if batch.checkpoint is not None:
                at = batch.checkpoint
                connection.execute(
                    "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)",
                    (
                        at.run,
                        at.resume.sequence,
                        at.resume.offset,
                        at.read.sequence,
                        at.read.offset,
                    ),
                )
        return Posted(tuple(fresh), len(rows))

    def checkpoints(self) -> Mapping[str, Checkpoint]:
        """All checkpoints by run."""
        return {
            str(run): Checkpoint(
                run=str(run), resume=Position(sequence, offset), read=Position(at, byte)
            )
            for run, sequence, offset, at, byte in self._all("SELECT * FROM checkpoints")
        }

    def forget(self, runs: Iterable[str]) -> None:
        """Drop the checkpoints and leases of runs whose files are gone."""
        gone = tuple(runs)
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM checkpoints WHERE run = ?", [(run,) for run in gone]
            )
            charges.release(connection, gone)

    def damages(self) -> int:
        """How many unreadable lines are kept."""
        return int(self._all("SELECT COUNT(*) FROM damages")[0][0])

    def card(self, card_id: str) -> bytes | None:
        """A rate card's content."""
        found = self._all("SELECT content FROM cards WHERE id = ?", (card_id,))
        return bytes(found[0][0]) if found else None

    def parts(self) -> Sequence[Part]:
        """The archive's files, oldest day first."""
        return [
            Part(str(day), str(file))
            for day, file in self._all("SELECT day, file FROM parts ORDER BY day, file")
        ]

    def seal(self, part: Part | None, since_us: int, until_us: int) -> None:
        """List a part and drop the rows it took over, in one transaction."""
        with self._transaction() as connection:
            if part is not None:
                connection.execute("INSERT INTO parts VALUES (?, ?)", (part.day, part.file))
            connection.execute(
                "DELETE FROM entries WHERE started_us >= ? AND started_us < ?", (since_us, until_us)
            )
            rollup.roll_again(connection, since_us, until_us)

    def drop_days(self, days: Iterable[str]) -> None:
        """Take the parts of these days off the list."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM parts WHERE day = ?", [(day,) for day in days])

    def query(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> Iterator[Row]:
        """The rows of a query, as they come."""
        with self._translated():
            for row in self._open().execute(sql, parameters):  # noqa: UP028 - see below
                yield row  # `yield from` would close the cursor, perhaps after its connection

    def close(self) -> None:
        """Free the connection; another call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _all(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            return self._open().execute(sql, parameters).fetchall()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._address(),
                uri=self._is_read_only,
                timeout=self._busy_timeout_ms / 1000,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._prepare(connection)
            except BaseException:  # edge: whatever happened, the connection is not left open
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _address(self) -> str:
        """The file for SQLite; in a folder that can't be written it needs a word more.

        A file in WAL mode wants to have others beside it. Where none holds anything, nobody writes.
        """
        if not self._is_read_only:
            return str(self._path)
        log = self._path.with_name(f"{self._path.name}-wal")
        is_quiet = not (log.exists() and log.stat().st_size)
        address = self._path.absolute().as_uri()
        return f"{address}?mode=ro{'&immutable=1' if is_quiet else ''}"

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise StoreError(
                StoreState.FAILED,
                f"{self._path} has ledger format {version}; this version of Farthing reads up to "
                f"{_VERSION}.\nNothing was changed.\nUse the newer version.",
            )
        if version < _VERSION and self._is_read_only:
            raise StoreError(
                StoreState.READ_ONLY,
                f"{self._path} has ledger format {version}, and its folder can't be written to bring "
                f"it to {_VERSION}.\nNothing was changed.\nOpen it once where it can be written.",
            )
        if version < _VERSION:
            write_ahead(connection, self._busy_timeout_ms / 1000)
            _bring_up(connection)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """The connection, in a transaction of its own, for what else is kept in the file.

        Raises:
            StoreError: the store can't do it; nothing of the transaction was kept.
        """
        return self._transaction()

    @contextlib.contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._translated():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:  # edge: whatever happened, the transaction does not stay open
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            state = _STATES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, StoreState.FAILED)
            raise StoreError(
                state,
                f"The ledger's store {self._path} is not usable: {error}.\n"
                "Calls that it does not hold yet stay in the journals until it is.\n"
                + _ADVICE[state],
            ) from error


def _insert(connection: sqlite3.Connection, entries: Sequence[Entry]) -> list[Row]:
    """Add the rows of these entries; they are returned.

    Raises:
        OverflowError: a number exceeds 64 bits; some rows may have been added.
    """
    usual: list[Row] = []
    others: list[Row] = []
    rows = [row for entry in entries for row in rows_of(entry)]
    for row in rows:
        if _rare_cells(row) == _RARE_DEFAULTS:
            usual.append(_usual_cells(row))
        else:
            others.append(row)
    connection.executemany(_INSERT_USUAL, usual)
    connection.executemany(_INSERT, others)
    return rows


def _bring_up(connection: sqlite3.Connection) -> None:
    """Make what this version has and the file has not, whoever else does the same just now."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in _STEPS[version:]:
        for statement in step.split(";"):
            connection.execute(statement)
    if version:
        rollup.roll_again(connection, -_INTEGER_MOST // 2, _INTEGER_MOST // 2)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _fresh(connection: sqlite3.Connection, entries: Sequence[Entry]) -> list[Entry]:
    """The entries whose calls are not in the store, the first of each call."""
    wanted = msgspec.json.encode([entry.call_id for entry in entries]).decode()
    found = connection.execute(
        "SELECT call_id FROM entries WHERE is_final = 1"
        " AND call_id IN (SELECT value FROM json_each(?))",
        (wanted,),
    )
    seen = {call_id for (call_id,) in found}
    fresh: list[Entry] = []
    for entry in entries:
        if entry.call_id not in seen:
            seen.add(entry.call_id)
            fresh.append(entry)
    return fresh


def _divert(connection: sqlite3.Connection, entries: Sequence[Entry]) -> list[Entry]:
    """Set entries aside whose numbers exceed 64 bits; give the others."""
    fitting: list[Entry] = []
    for entry in entries:
        cells = (cell for row in rows_of(entry) for cell in row if isinstance(cell, int))
        if all(-_INTEGER_MOST <= cell <= _INTEGER_MOST for cell in cells):
            fitting.append(entry)
            continue
        connection.execute("DELETE FROM entries WHERE call_id = ?", (entry.call_id,))
        _keep(connection, [Damage(f"entry {entry.call_id}", 0, msgspec.json.encode(entry))])
    return fitting


def _keep(connection: sqlite3.Connection, damages: Sequence[Damage]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO damages VALUES (?, ?, ?)",
        [(damage.segment, damage.offset, damage.line) for damage in damages],
    )
