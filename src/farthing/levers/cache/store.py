"""Answers in a SQLite file beside the ledger's: shared by the workers, encrypted by tenant.

Reading is one look-up by key, on the event loop; all writing is done by the one thread of a
`Writer`, behind the calls. Whatever goes wrong here is a miss, never a failed call.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from farthing.errors import FarthingError
from farthing.levers.cache.schema import SCHEMA, SEMANTIC, SIGHTINGS, VERSION
from farthing.write_ahead import write_ahead

__all__ = ["CacheStoreError", "Kept", "Purge", "SqliteAnswers", "Tally", "cache_file"]

_FILE: Final = "cache.sqlite"
_OPEN_S: Final = 10.0  # workers that start together make the file one after the other
_FORMS: Final = (SCHEMA, SEMANTIC, SIGHTINGS)  # what each version added
_ROWS_MAX: Final = 500  # in a statement
_FIND: Final = "SELECT key, payload FROM entries WHERE key = ? AND expires_us > ?"
_FIND_EITHER: Final = (
    "SELECT key, payload FROM entries WHERE key = ?1 AND expires_us > ?3 UNION ALL"
    " SELECT e.key, e.payload FROM aliases a JOIN entries e ON e.key = a.entry"
    " WHERE a.key = ?2 AND e.expires_us > ?3 LIMIT 1"
)


class CacheStoreError(FarthingError):
    """The file can't be read or written."""

    code = "cache_store_error"
    status = 503


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed answer and what it can be found by."""

    key: bytes
    plain_key: bytes
    tenant: bytes
    feature: str
    started_us: int
    created_us: int
    expires_us: int
    payload: bytes
    marks: tuple[bytes, ...] = ()


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go: all that meets every condition that is given."""

    at_us: int
    tenant: bytes | None = None
    feature: str | None = None
    mark: bytes | None = None
    before_us: int | None = None

    def covers(self, kept: Kept) -> bool:
        """Whether an answer that comes in late must not be stored any more."""
        return (
            kept.started_us <= self.at_us
            and self.tenant in (None, kept.tenant)
            and self.feature in (None, kept.feature)
            and (self.mark is None or self.mark in kept.marks)
            and (self.before_us is None or kept.created_us < self.before_us)
        )


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored for one tenant and feature."""

    tenant: bytes
    feature: str
    entries: int
    bytes: int
    hits: int
    oldest_us: int


def cache_file(directory: Path) -> Path:
    """The file in a data folder."""
    return directory / _FILE


class SqliteAnswers:
    """One connection to the file; each thread has its own."""

    def __init__(self, path: Path, *, busy_ms: int = 2000) -> None:
        """`busy_ms` is how long a statement waits for another process.

        Raises:
            CacheStoreError: the file can't be opened, or is of another version.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, isolation_level=None, timeout=_OPEN_S, check_same_thread=False
            )
        except (sqlite3.Error, OSError) as error:
            raise _failure(path, error) from error
        try:
            write_ahead(self._db, _OPEN_S)
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._prepare()
            path.chmod(0o600)
            self._db.execute(f"PRAGMA busy_timeout = {busy_ms:d}")
        except BaseException as error:  # edge: a connection that can't be used is not left open
            self._db.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise _failure(path, error) from error
            raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _prepare(self) -> None:
        with self.transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in range(VERSION + 1):
                raise CacheStoreError(
                    f"{self._path} was written by another version of Farthing. Nothing was "
                    "changed. Remove the file; a cache fills again."
                )
            if version != VERSION:
                for statement in _statements("".join(_FORMS[version:])):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION:d}")

    @property
    def connection(self) -> sqlite3.Connection:
        """For the tables beside the entries; used in the thread that this belongs to."""
        return self._db

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """All or nothing.

        Raises:
            CacheStoreError: the file can't be written; nothing was changed.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:  # edge: whatever it is, nothing is half done
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _failure(self._path, error) from error

    def find(
        self, key: bytes, now_us: int, *, plain_key: bytes = b""
    ) -> tuple[bytes, bytes] | None:
        """The key and payload of the answer stored under `key`, else under its alias `plain_key`.

        Raises:
            CacheStoreError: the file can't be read.
        """
        try:
            if plain_key:  # in one go: each look at the file costs as much as the search
                found = self._db.execute(_FIND_EITHER, (key, plain_key, now_us))
            else:
                found = self._db.execute(_FIND, (key, now_us))
            return found.fetchone()
        except sqlite3.Error as error:
            raise _failure(self._path, error) from error

    def last_purge(self) -> int:
        """The number of the latest purge.

        Raises:
            CacheStoreError: the file can't be read.
        """
        try:
            return self._db.execute("SELECT COALESCE(MAX(id), 0) FROM purges").fetchone()[0]
        except sqlite3.Error as error:
            raise _failure(self._path, error) from error

    # Within a transaction.

    def keep(self, kept: Kept) -> None:
        """Store an answer, unless a purge meanwhile covers it."""
        self.keep_all([kept])

    def keep_all(self, answers: Sequence[Kept]) -> None:
        """Store answers, but for those that a purge meanwhile covers.

        In few statements: after each this thread waits for the interpreter, and the event loop then
        waits for this thread.
        """
        rows = self._db.execute(
            "SELECT at_us, tenant, feature, mark, before_us FROM purges WHERE at_us >= ?",
            (min(one.started_us for one in answers),),
        )
        names = ("at_us", "tenant", "feature", "mark", "before_us")
        purges = [Purge(**dict(zip(names, row, strict=True))) for row in rows]
        group: dict[bytes, Kept] = {}
        aliases: set[bytes] = set()
        for one in answers:
            if any(purge.covers(one) for purge in purges):
                continue
            if one.key in group or one.plain_key in aliases:
                self._keep_group(group)
                group, aliases = {}, set()
            group[one.key] = one
            aliases |= {one.plain_key} - {b""}
        self._keep_group(group)

    def _keep_group(self, group: dict[bytes, Kept]) -> None:
        """Store answers of which no two have the same key or alias."""
        if not group:
            return
        # An answer that takes another's place keeps the wordings approved for its question.
        keys = _places(1, len(group))
        self._db.execute(f"DELETE FROM aliases WHERE entry IN (VALUES {keys})", [*group])  # noqa: S608
        self._db.execute(f"DELETE FROM marks WHERE entry IN (VALUES {keys})", [*group])  # noqa: S608
        self._put(
            "INSERT INTO entries VALUES {} ON CONFLICT (key) DO UPDATE SET"
            " tenant = excluded.tenant, feature = excluded.feature,"
            " created_us = excluded.created_us, expires_us = excluded.expires_us,"
            " used_us = excluded.used_us, hits = 0, bytes = excluded.bytes,"
            " payload = excluded.payload",
            [_row_of(one) for one in group.values()],
        )
        aliases = [(one.plain_key, one.key) for one in group.values() if one.plain_key]
        self._put("INSERT OR REPLACE INTO aliases VALUES {}", aliases)
        marks = [(mark, one.key) for one in group.values() for mark in one.marks]
        self._put("INSERT OR IGNORE INTO marks VALUES {}", marks)

    def _put(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert rows at once, as many as a statement takes."""
        for at in range(0, len(rows), _ROWS_MAX):
            some = rows[at : at + _ROWS_MAX]
            values = [value for row in some for value in row]
            self._db.execute(statement.format(_places(len(some[0]), len(some))), values)

    def used(self, hits: Sequence[tuple[bytes, int, int]]) -> None:
        """Count hits: key, how many, and when the last of them was."""
        self._db.executemany(
            "UPDATE entries SET hits = hits + ?2, used_us = ?3 WHERE key = ?1", hits
        )

    def count(self, counts: Sequence[tuple[str, str, str, str, int]]) -> None:
        """Count look-ups by day, feature, result and reason."""
        self._db.executemany(
            "INSERT INTO lookups VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET count = count + excluded.count",
            counts,
        )

    def tidy(self, now_us: int, bytes_max: int) -> None:
        """Drop what has expired, and beyond `bytes_max` what was unused for longest."""
        self._db.execute("DELETE FROM entries WHERE expires_us <= ?", (now_us,))
        (held,) = self._db.execute("SELECT COALESCE(SUM(bytes), 0) FROM entries").fetchone()
        over = held - bytes_max
        if over <= 0:
            return
        for key, size in self._db.execute(
            "SELECT key, bytes FROM entries ORDER BY used_us"
        ).fetchall():
            self._db.execute("DELETE FROM entries WHERE key = ?", (key,))
            over -= size
            if over <= -bytes_max // 10:
                return

    def purge(self, purge: Purge) -> int:
        """Drop what meets the conditions, and note it for those who hold copies; how many went."""
        self._db.execute(
            "INSERT INTO purges (at_us, tenant, feature, mark, before_us) VALUES (?, ?, ?, ?, ?)",
            (purge.at_us, purge.tenant, purge.feature, purge.mark, purge.before_us),
        )
        self._forget_questions(purge)
        gone = self._db.execute(
            "DELETE FROM entries WHERE (?1 IS NULL OR tenant = ?1)"
            " AND (?2 IS NULL OR feature = ?2) AND (?4 IS NULL OR created_us < ?4)"
            " AND (?3 IS NULL OR key IN (SELECT entry FROM marks WHERE mark = ?3))",
            (purge.tenant, purge.feature, purge.mark, purge.before_us),
        )
        return gone.rowcount

    def _forget_questions(self, purge: Purge) -> None:
        """Drop what the semantic layer's log holds of the same calls; a mark may be a user's."""
        limits = (purge.tenant, purge.feature, purge.mark, purge.before_us)
        self._db.execute(
            "DELETE FROM asked WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR feature = ?2)"
            " AND (?4 IS NULL OR at_us < ?4) AND (?3 IS NULL OR user = ?3"
            " OR key IN (SELECT entry FROM marks WHERE mark = ?3))",
            limits,
        )
        if purge.mark is not None:
            self._db.execute(
                "DELETE FROM sightings WHERE principal = ?1 OR substr(principal, 17) = ?1",
                (purge.mark,),
            )
        if purge.tenant is None or (purge.feature, purge.mark, purge.before_us) != (None,) * 3:
            return
        for table in ("labels", "courses", "accounts", "apart", "wordings", "sightings"):
            self._db.execute(f"DELETE FROM {table} WHERE tenant = ?", (purge.tenant,))  # noqa: S608 - ours

    # For reports.

    def tallies(self, now_us: int) -> list[Tally]:
        """What is stored and has not expired, by tenant and feature."""
        rows = self._db.execute(
            "SELECT tenant, feature, COUNT(*), SUM(bytes), SUM(hits), MIN(created_us) FROM entries"
            " WHERE expires_us > ? GROUP BY tenant, feature ORDER BY 4 DESC",
            (now_us,),
        )
        names = ("tenant", "feature", "entries", "bytes", "hits", "oldest_us")
        return [Tally(**dict(zip(names, row, strict=True))) for row in rows]

    def lookups(self, since_day: str) -> list[tuple[str, str, str, int]]:
        """Look-ups since a day by feature, result and reason, most first."""
        return self._db.execute(
            "SELECT feature, result, reason, SUM(count) FROM lookups WHERE day >= ?"
            " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3",
            (since_day,),
        ).fetchall()


def _statements(script: str) -> list[str]:
    """The statements of a script; a trigger's own are part of it."""
    found: list[str] = []
    held = ""
    for part in script.split(";"):
        held += part + ";"
        if sqlite3.complete_statement(held) and held.strip(" \n;"):
            found.append(held)
            held = ""
    return found


def _failure(path: Path, error: Exception) -> CacheStoreError:
    return CacheStoreError(
        f"The cache {path} can't be used: {error}. Calls go on without it. Check the disk and the "
        "folder's permissions."
    )


def _places(columns: int, rows: int) -> str:
    """The placeholders of so many rows."""
    row = "(" + ", ".join(["?"] * columns) + ")"
    return ", ".join([row] * rows)


def _row_of(kept: Kept) -> tuple[object, ...]:
    made_us, size = kept.created_us, len(kept.payload)
    hits = 0
    return (
        kept.key, kept.tenant, kept.feature, made_us, kept.expires_us, made_us, hits, size,
        kept.payload,
    )  # fmt: skip
