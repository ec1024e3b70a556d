"""The drainer: moves what the journals hold into the store, exactly once.

It may die between any two steps. What it posts and how far it came are one transaction of the
store; a journal file goes only after that; a store in trouble leaves everything in the journals,
which are the spool: nothing waits in memory.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from farthing.clock import Clock, SystemClock
from farthing.errors import FarthingError
from farthing.ledger.entry import Entry
from farthing.ledger.layout import FileLock, Layout, SegmentName, is_locked
from farthing.ledger.settings import LedgerSettings
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Batch, Checkpoint, Position, Store, StoreError, StoreState
from farthing.ledger.tail import Tail

__all__ = ["DrainReport", "Drainer", "DrainerBusy"]

_DEFAULTS = LedgerSettings()
_CLOCK = SystemClock()


class DrainerBusy(FarthingError):
    """Another process drains this ledger."""

    code = "drainer_busy"
    status = 503


class DrainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one drain did, and what it left.

    `lag_bytes` are journal bytes not yet in the store; `oldest_undrained_us` is when the first
    call among them began; `low_water_us` when the earliest call of any journal began that is not
    in the store (None: none). `damaged` counts unreadable lines kept in the store, ever.
    """

    at_us: int
    store: StoreState = StoreState.OK
    detail: str = ""
    posted: int = 0
    rows: int = 0
    interrupted: int = 0
    damaged: int = 0
    segments_deleted: int = 0
    open_calls: int = 0
    lag_bytes: int = 0
    oldest_undrained_us: int | None = None
    low_water_us: int | None = None


class _Tally:
    """What a drain has done so far."""

    def __init__(self) -> None:
        self.posted = self.rows = self.interrupted = self.deleted = 0
        self.trouble: list[str] = []
        self.state = StoreState.OK


def _nobody(entries: Sequence[Entry]) -> None:
    del entries


class Drainer:
    """The one drainer of a ledger, for as long as it is open.

    `on_posted` hears of the entries of each transaction, after it (metrics hang on it).
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: LedgerSettings = _DEFAULTS,
        store: Store | None = None,
        clock: Clock = _CLOCK,
        on_posted: Callable[[Sequence[Entry]], None] = _nobody,
    ) -> None:
        self._layout = Layout(directory)
        self._settings = settings
        self._clock = clock
        self._on_posted = on_posted
        self._tails: dict[str, Tail] = {}
        self._checkpoints: Mapping[str, Checkpoint] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock.take(self._layout.drain_lock)
        if lock is None:
            raise DrainerBusy(
                f"Another process drains the ledger in {directory}.\n"
                "Nothing was changed.\nIt needs no second one."
            )
        self._lock = lock
        self.store: Store = store or SqliteStore(
            self._layout.store, busy_timeout_ms=settings.busy_timeout_ms
        )

    def drain(self) -> DrainReport:
        """Post everything the journals hold; trouble is told in the report and left for later."""
        tally = _Tally()
        runs = self._layout.segments()
        damaged = 0
        try:
            checkpoints = self._load()
            for run, segments in runs.items():
                tail = self._tails.setdefault(run, self._tail(run, checkpoints.get(run)))
                try:
                    self._drain_run(tail, segments, tally)
                except OSError as error:
                    self._tails.pop(run)
                    self._checkpoints = None
                    tally.trouble.append(f"journal {run} can't be read: {error}")
            self._forget(self._layout.segments())
            damaged = self.store.damages()
        except StoreError as error:
            # What was read but not posted is read again, from where the store says.
            tally.state = error.state
            tally.trouble.append(str(error))
            self._tails.clear()
            self._checkpoints = None
            with contextlib.suppress(StoreError):
                self._recall(runs)
            self.store.close()
        report = self._report(tally, damaged)
        self._write_status(report)
        return report

    def run(self, stop: threading.Event) -> None:
        """Drain at the set interval until `stop` is set, and once more then."""
        while not stop.wait(self._settings.drain_interval_ms / 1000):
            self.drain()
        self.drain()

    def close(self) -> None:
        """Let another process drain."""
        self.store.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self) -> Mapping[str, Checkpoint]:
        """The checkpoints as they stand in the store, read once."""
        if self._checkpoints is None:
            self._checkpoints = self.store.checkpoints()
            self._tails.clear()
        return self._checkpoints

    def _forget(self, runs: Mapping[str, list[SegmentName]]) -> None:
        """Drop what is kept of runs whose files are gone."""
        gone = [run for run in {*self._load(), *self._tails} if run not in runs]
        if gone:
            self.store.forget(gone)
            self._checkpoints = self.store.checkpoints()
            for run in gone:
                self._tails.pop(run, None)

    def _recall(self, runs: Mapping[str, list[SegmentName]]) -> None:
        """Stand where the store says, where it can still be read."""
        self._checkpoints = self.store.checkpoints()
        for run in runs:
            self._tails[run] = self._tail(run, self._checkpoints.get(run))

    def _drain_run(self, tail: Tail, segments: Sequence[SegmentName], tally: _Tally) -> None:
        is_dead = self._is_dead(segments[-1])
        end = Position(segments[-1].sequence, self._path(segments[-1]).stat().st_size)
        while tail.read < end and (batch := tail.take(segments, is_dead=is_dead)) is not None:
            self._post(batch, tally)
        if is_dead:
            if tail.open_calls:
                batch = tail.abandon(segments)
                tally.interrupted += len(batch.entries)
                self._post(batch, tally)
            done = segments
        else:
            done = [s for s in segments if s.sequence < tail.resume.sequence]
        for segment in done:
            self._delete(segment)
            tally.deleted += 1

    def _is_dead(self, last: SegmentName) -> bool:
        """Whether the writer of a run is gone; it locks its next segment before it frees one."""
        if is_locked(self._path(last)):
            return False
        return not self._path(SegmentName(last.run, last.sequence + 1)).exists()

    def _delete(self, segment: SegmentName) -> None:
        self._path(segment).unlink()

    def _post(self, batch: Batch, tally: _Tally) -> None:
        if not (batch.entries or batch.cards or batch.damages):
            return  # only intents: nothing that a restart would not read again
        posted = self.store.post(batch)
        tally.posted += len(posted.entries)
        tally.rows += posted.rows
        if posted.entries:
            self._on_posted(posted.entries)

    def _report(self, tally: _Tally, damaged: int) -> DrainReport:
        lag = 0
        oldest: list[int] = []
        for run, segments in self._layout.segments().items():
            tail = self._tails.get(run) or self._tail(run, None)
            with contextlib.suppress(OSError):
                behind = tail.lag_bytes(segments)
                began = tail.next_started_us(segments) if behind else None
                lag += behind
                oldest += [] if began is None else [began]
        open_us = [
            tail.low_water_us for tail in self._tails.values() if tail.low_water_us is not None
        ]
        return DrainReport(
            at_us=self._clock.now_us(),
            store=tally.state,
            detail="\n".join(tally.trouble),
            posted=tally.posted,
            rows=tally.rows,
            interrupted=tally.interrupted,
            damaged=damaged,
            segments_deleted=tally.deleted,
            open_calls=sum(tail.open_calls for tail in self._tails.values()),
            lag_bytes=lag,
            oldest_undrained_us=min(oldest, default=None),
            low_water_us=min(oldest + open_us, default=None),
        )

    def _write_status(self, report: DrainReport) -> None:
        path = self._layout.drainer_status
        # A full disk must not stop the drainer; the status then grows old, which is a status too.
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(report))
            fresh.replace(path)

    def _tail(self, run: str, checkpoint: Checkpoint | None) -> Tail:
        chunk_bytes = self._settings.batch_kb * 1000
        return Tail(self._layout.journal, run, checkpoint, chunk_bytes=chunk_bytes)

    def _path(self, segment: SegmentName) -> Path:
        return self._layout.journal / segment.file
