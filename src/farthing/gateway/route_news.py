"""What routing counts at one worker, told to the others once a second.

Caps and drift charts look at the whole gateway's calls: each worker takes its own at once, and the
others' as sums, a second later at most. The sums stand for a minute in `routing/news.sqlite`. A
worker that begins hears what comes from then on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from pathlib import Path
from typing import Final

import msgspec

from farthing.write_ahead import write_ahead

__all__ = ["News", "Tally"]

_LOG = logging.getLogger("farthing")
_KEPT_US: Final = 60_000_000
_BUSY_S: Final = 1.0
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS news (id INTEGER PRIMARY KEY AUTOINCREMENT, worker BLOB NOT NULL,"
    " at_us INTEGER NOT NULL, told BLOB NOT NULL)"
)


class Tally(msgspec.Struct):
    """What one pool counted since it last told: by key, and by policy and class.

    `keys`: votes and escalations. `classes`: all calls, votes and escalations.
    """

    keys: dict[str, list[int]] = {}
    classes: dict[str, dict[str, list[int]]] = {}

    def __bool__(self) -> bool:
        return bool(self.keys or self.classes)

    def vote(self, key: str, *, escalated: bool) -> None:
        """A call of a key that could escalate."""
        counts = self.keys.setdefault(key, [0, 0])
        counts[0] += 1
        counts[1] += escalated

    def call(self, mark: str, name: str, *, escalated: bool | None) -> None:
        """A call of a policy's class; `escalated` is None where its vote was not asked."""
        counts = self.classes.setdefault(mark, {}).setdefault(name, [0, 0, 0])
        counts[0] += 1
        counts[1] += escalated is not None
        counts[2] += bool(escalated)


class News:
    """One worker's end; blocks, and may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "news.sqlite"
        self._worker = os.urandom(8)
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._heard = 0
        self._is_silent = False
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(dict[str, Tally])

    def swap(self, told: dict[str, Tally], now_us: int) -> list[dict[str, Tally]]:
        """Tell what was counted here, by pool, and hear what was elsewhere since.

        Where the file can't be used, what was counted here counts here alone, which is logged once.
        """
        with self._lock:
            try:
                found = self._swap(self._opened(), told, now_us)
            except (sqlite3.Error, OSError):
                if not self._is_silent:
                    told_of = "%s can't be used; caps and charts see this worker alone"
                    _LOG.exception(told_of, self._path)
                self._is_silent = True
                self._close()
                return []
            self._is_silent = False
            return found

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)  # what SQLite writes beside it has the same mode
            db = sqlite3.connect(
                self._path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
            )
            self._db = db
            write_ahead(db, _BUSY_S)
            db.execute("PRAGMA synchronous = OFF")  # what a power cut takes is a minute of counts
            db.execute(_SCHEMA)
            (self._heard,) = db.execute("SELECT coalesce(max(id), 0) FROM news").fetchone()
        return self._db

    def _swap(
        self, db: sqlite3.Connection, told: dict[str, Tally], now_us: int
    ) -> list[dict[str, Tally]]:
        if told:
            row = (self._worker, now_us, self._encoder.encode(told))
            db.execute("INSERT INTO news (worker, at_us, told) VALUES (?, ?, ?)", row)
            db.execute("DELETE FROM news WHERE at_us < ?", (now_us - _KEPT_US,))
        sql = "SELECT id, worker, told FROM news WHERE id > ? ORDER BY id"
        found: list[dict[str, Tally]] = []
        for number, worker, raw in db.execute(sql, (self._heard,)):
            self._heard = number
            if worker != self._worker:
                with contextlib.suppress(msgspec.MsgspecError):  # another version's
                    found.append(self._decoder.decode(raw))
        return found
