"""Sealed days: Parquet files that DuckDB, Spark or a warehouse read as they are.

A part counts only once the store lists it, and the store lists it in the transaction that drops
the rows it took over: whatever dies in between, each row is read exactly once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from farthing.errors import FarthingBug, FarthingError
from farthing.ledger.row import COLUMNS, INTEGER_COLUMNS, Row
from farthing.ledger.store import Part, Source, Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["DAY_US", "Archive", "ArchiveError", "day_name", "write_parquet"]

DAY_US: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS: Final = ", ".join(
    f"{name}: '{'BIGINT' if name in INTEGER_COLUMNS else 'VARCHAR'}'" for name in COLUMNS
)
_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM entries"  # noqa: S608 - constants
_CHECKS: Final = ", ".join(["COUNT(*)", *(f"COALESCE(SUM({name}), 0)" for name in INTEGER_COLUMNS)])
# What bounds the memory that a part of many rows takes; each is far above what a row can be.
_LINE_BYTES_MAX: Final = 16_777_216
_GROUP_ROWS: Final = 20_480
_MEMORY: Final = "1GB"
_PLACES: Final = tuple(COLUMNS.index(name) for name in INTEGER_COLUMNS)


class ArchiveError(FarthingError):
    """The archive can't be used; the store holds what it held."""

    code = "archive_error"
    status = 503


class ArchiveFailed(ArchiveError):
    """A part could not be read or written."""

    code = "archive_failed"


def day_name(started_us: int) -> str:
    """The UTC day of an instant, `YYYY-MM-DD`."""
    return (_EPOCH + timedelta(microseconds=started_us)).strftime("%Y-%m-%d")


def write_parquet(rows: Iterable[Row], path: Path) -> tuple[int, ...]:
    """Write ledger rows to a new Parquet file; how many there were, and each number's sum.

    They stand in it as they come, in groups small enough that memory does not grow with them.

    Raises:
        ArchiveError: DuckDB is not installed.
        ArchiveFailed: the file could not be written; it is not there then.
    """
    with _failing():
        return _write_parquet(rows, path)


def _write_parquet(rows: Iterable[Row], path: Path) -> tuple[int, ...]:
    fresh = path.with_name(f".{path.name}.new")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".rows-", suffix=".json")
    lines = Path(name)
    count = 0
    sums = [0] * len(_PLACES)
    try:
        with os.fdopen(handle, "wb") as file:
            for row in rows:
                record = dict(zip(COLUMNS, row, strict=True))
                file.write(msgspec.json.encode(record) + b"\n")
                count += 1
                for place, column in enumerate(_PLACES):
                    sums[place] += int(row[column] or 0)
        with _duckdb() as engine:
            engine.execute(f"SET memory_limit = '{_MEMORY}'")
            engine.execute(
                f"COPY (SELECT * FROM read_json({_quoted(lines)}, format='newline_delimited',"  # noqa: S608 - quoted
                f" maximum_object_size={_LINE_BYTES_MAX}, columns={{{_FIELDS}}}))"
                f" TO {_quoted(fresh)}"
                f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP_ROWS})"
            )
        _force(fresh)
        fresh.replace(path)
        _force(path.parent)
    finally:
        lines.unlink()
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
    return (count, *sums)


class Archive:
    """The sealed days of one ledger, as far as its store lists them."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store

    def query(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """The rows of a query over the listed parts; nothing where there are none."""
        yield from self._query(self._store.parts(), sql, parameters)

    def seal(self, day_us: int) -> Part | None:
        """Move one UTC day (its first instant) from the store into a new part, verified.

        Rows that an older part of the day has already are dropped. None: there was nothing new.
        """
        until_us = day_us + DAY_US
        day = day_name(day_us)
        listed = [part for part in self._store.parts() if part.day == day]
        folder = self._folder / f"day={day}"
        self._remove_unlisted(folder, listed)
        known = set(self._query(listed, "SELECT call_id, attempt FROM entries"))
        source = _Without(self._store, known)
        span = " WHERE started_us >= ? AND started_us < ?"
        rows = source.query(f"{_SELECT}{span} ORDER BY started_us", (day_us, until_us))
        first = next(rows, None)
        part = None
        if first is not None:
            part = Part(day, f"part-{len(listed)}.parquet")
            with _failing():
                folder.mkdir(parents=True, exist_ok=True)
            expected = write_parquet(_chain(first, rows), folder / part.file)
            self._verify(part, expected)
        self._store.seal(part, day_us, until_us)
        return part

    def delete_before(self, day: str) -> list[str]:
        """Delete the sealed days before `day`; first from the list, then from the disk."""
        days = sorted({part.day for part in self._store.parts() if part.day < day})
        if days:
            self._store.drop_days(days)
        with _failing():
            for folder in self._folder.glob("day=*"):
                if folder.name.removeprefix("day=") < day:
                    shutil.rmtree(folder)
        return days

    def _query(
        self, parts: Sequence[Part], sql: str, parameters: Sequence[object] = ()
    ) -> Iterator[Row]:
        if not parts:
            return
        files = ", ".join(_quoted(self._folder / f"day={p.day}" / p.file) for p in parts)
        with _duckdb() as engine:
            engine.execute(
                "CREATE VIEW entries AS SELECT * FROM "  # noqa: S608 - quoted
                f"read_parquet([{files}], hive_partitioning=false)"
            )
            found = engine.execute(sql, list(parameters))
            while chunk := found.fetchmany(10_000):
                yield from chunk

    def _verify(self, part: Part, expected: tuple[int, ...]) -> None:
        """Compare the part with what was read from the store, before anything is dropped."""
        (written,) = self._query([part], f"SELECT {_CHECKS} FROM entries")  # noqa: S608 - constants
        if tuple(int(cell or 0) for cell in written) != expected:
            raise FarthingBug(
                f"The archive file of {part.day} does not hold what the store holds.\n"
                "Nothing was dropped from the store.\nPlease report it."
            )

    @staticmethod
    def _remove_unlisted(folder: Path, listed: Sequence[Part]) -> None:
        """A crash before the listing leaves a file whose rows are still in the store."""
        names = {part.file for part in listed}
        with _failing():
            for path in folder.glob("part-*.parquet"):
                if path.name not in names:
                    path.unlink()


class _Without:
    """A source without rows of known keys (call, attempt)."""

    def __init__(self, source: Source, known: set[Row]) -> None:
        self._source = source
        self._known = known

    def query(self, sql: str, parameters: Sequence[object]) -> Iterator[Row]:
        for row in self._source.query(sql, parameters):
            if row[:2] not in self._known:
                yield row


def _chain(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _duckdb() -> Generator[DuckDBPyConnection]:
    """An engine that downloads nothing."""
    try:
        import duckdb  # noqa: PLC0415 - an extra; the ledger works without
    except ImportError as error:
        raise ArchiveError(
            "Sealed days and Parquet files need DuckDB, which is not installed.\n"
            "Nothing was changed.\nInstall it: pip install 'farthing[archive]'"
        ) from error
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "2"}) as engine:
        try:
            yield engine
        except duckdb.Error as error:
            raise _failed(error) from error


@contextlib.contextmanager
def _failing() -> Generator[None]:
    """Tell trouble with the disk as trouble of the archive."""
    try:
        yield
    except OSError as error:
        raise _failed(error) from error


def _failed(error: Exception) -> ArchiveFailed:
    return ArchiveFailed(
        f"The archive can't be read or written: {error}.\n"
        "Nothing was dropped from the store.\nCheck the disk and the folder archive/."
    )
