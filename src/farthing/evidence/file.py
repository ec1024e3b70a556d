"""The file `evidence.sqlite`: one connection to it, opened when it is first used."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final

from farthing.errors import FarthingError
from farthing.evidence.schema_sql import SCHEMA, VERSION
from farthing.write_ahead import write_ahead

__all__ = ["EvidenceFile", "EvidenceStoreError"]

_BUSY_S: Final = 10.0


class EvidenceStoreError(FarthingError):
    """The file can't be read or written."""

    code = "evidence_store_error"
    status = 503


class EvidenceFile:
    """Its methods block, and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._db is not None or self._path.exists()

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            self._path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
        )
        try:
            write_ahead(db, _BUSY_S)
            db.execute("PRAGMA synchronous = NORMAL")
            self._prepare(db)
            self._path.chmod(0o600)
        except BaseException:  # edge: a connection that can't be used is not left open
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        with _transaction(db):
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise EvidenceStoreError(
                    f"{self._path} was written by another version of Farthing. Nothing was "
                    "changed. Use that version, or move the file away to begin anew."
                )
            if not version:
                for statement in SCHEMA:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION:d}")

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._open()
        return self._db

    def read(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a query; none where there is no file.

        Raises:
            EvidenceStoreError: the file can't be read.
        """
        with self._lock, self._told():
            return self._opened().execute(sql, parameters).fetchall() if self.exists else []

    @contextlib.contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """The connection, within a transaction: all or nothing, alone among all processes.

        Raises:
            EvidenceStoreError: the file can't be written; nothing was changed.
        """
        with self._lock, self._told():
            db = self._opened()
            with _transaction(db):
                yield db

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise EvidenceStoreError(
                f"{self._path} can't be read or written: {error}. The calls themselves are not "
                "touched by that; nothing was changed. See that the folder is writable and its "
                "disk has room."
            ) from error


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Generator[None]:
    """All or nothing, alone among all processes."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:  # edge: whatever it is, nothing is half done
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
