"""Writes to the cache's file behind the calls: one thread, many writes a transaction."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from farthing.levers.cache.store import CacheStoreError, Kept, SqliteAnswers

__all__ = ["Keep", "Write", "Writer"]

_LOG = logging.getLogger("farthing")
_WAITING_MAX: Final = 2_000  # writes; a lost one is a miss, a full memory is not
_TOGETHER_MAX: Final = 200
# What comes within so long is written together: each transaction costs the next look at the file,
# of all workers, what it knew of it, and this worker's event loop the interpreter.
_GATHER_S: Final = 0.01

Write = Callable[[SqliteAnswers], object]


class Keep(msgspec.Struct, frozen=True):
    """An answer to store, made where it is written; such as come together are stored together."""

    make: Callable[[], Kept]


class Writer:
    """Takes writes from any thread; `close` writes what is left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: queue.Queue[Write | Keep | threading.Event | None] = queue.Queue(
            _WAITING_MAX
        )
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._hurry = threading.Event()
        self._is_failing = False

    def put(self, write: Write | Keep) -> None:
        """Have it written soon; it is dropped where too much waits already."""
        if self._thread is None:
            self._start()
        try:
            self._waiting.put_nowait(write)
        except queue.Full:
            self._tell(CacheStoreError("The cache's disk is too slow; answers are not stored."))

    def _start(self) -> None:
        with self._starting:  # of two threads that write at first, one starts it
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="farthing-cache", daemon=True)
                thread.start()
                self._thread = thread

    def flush(self) -> None:
        """Return when all that was put has been written."""
        if self._thread is None:
            return
        written = threading.Event()
        self._waiting.put(written)
        self._hurry.set()
        written.wait(10)

    def close(self) -> None:
        """Write what is left and stop."""
        if self._thread is not None:
            self._waiting.put(None)
            self._hurry.set()
            self._thread.join(10)
            self._thread = None

    def _run(self) -> None:
        try:
            answers = SqliteAnswers(self._path)
        except CacheStoreError as error:
            self._tell(error)
            answers = None
        is_open = True
        while is_open:
            writes = [self._waiting.get()]
            if writes[0] is not None and not isinstance(writes[0], threading.Event):
                self._hurry.wait(_GATHER_S)
                self._hurry.clear()
            while len(writes) < _TOGETHER_MAX and not self._waiting.empty():
                writes.append(self._waiting.get())
            is_open = None not in writes
            if answers is not None:
                self._write(answers, [w for w in writes if isinstance(w, Keep) or callable(w)])
            for write in writes:
                if isinstance(write, threading.Event):
                    write.set()
        if answers is not None:
            answers.close()

    def _write(self, answers: SqliteAnswers, writes: list[Write | Keep]) -> None:
        keeping: list[Kept] = []
        try:
            with answers.transaction():
                for write in writes:
                    if isinstance(write, Keep):
                        keeping.append(write.make())
                        continue
                    if keeping:
                        answers.keep_all(keeping)
                        keeping = []
                    write(answers)
                if keeping:
                    answers.keep_all(keeping)
            self._is_failing = False
        except CacheStoreError as error:
            self._tell(error)
        except Exception:  # edge: what can't be made into rows must not end the writing of others
            _LOG.exception("answers, or what goes with them, were not stored; calls go on")

    def _tell(self, error: CacheStoreError) -> None:
        """Say it once, until it works again."""
        if not self._is_failing:
            _LOG.error("%s", error)
        self._is_failing = True
