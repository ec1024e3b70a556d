"""Moves settled calls from the journals to the store, again and again, and seals past days."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from farthing.clock import Clock
from farthing.config import Config
from farthing.gateway.metrics import LedgerMetrics
from farthing.ledger import (
    ArchiveError,
    Drainer,
    DrainerBusy,
    DrainReport,
    Entry,
    Ledger,
    StoreError,
)

__all__ = ["DrainLoop"]

_LOG = logging.getLogger("farthing")
_METRICS_US = 1_000_000
_SEAL_EVERY_US = 3_600_000_000
_STAND_BY_S = 0.5


class DrainLoop:
    """Drains again and again until told to stop, then once more to the end.

    Only one process drains a ledger; where another does, this one stands by.
    """

    def __init__(self, config: Config, clock: Clock, *, has_metrics: bool, parent: int = 0) -> None:
        """`parent` is the process whose death ends the loop; 0: none."""
        self._parent = parent
        self._directory = Path(config.ledger.data_dir)
        self._settings = config.ledger
        self._clock = clock
        self._metrics = LedgerMetrics() if has_metrics else None
        self._next_seal_us = 0
        self._is_unsaved = False
        self._trouble = ""

    def run(self, stop: threading.Event) -> None:
        """Drain at the configured interval; a store that is away is tried again."""
        while not stop.is_set():
            try:
                with self._drainer() as drainer:
                    self._drain(drainer, stop)
            except DrainerBusy:
                stop.wait(_STAND_BY_S)
                continue
            if not stop.is_set():
                self._seal()
        self._finish()

    def _drainer(self) -> Drainer:
        return Drainer(
            self._directory,
            settings=self._settings,
            clock=self._clock,
            on_posted=self._posted,
        )

    def _posted(self, entries: Sequence[Entry]) -> None:
        if self._metrics is not None:
            self._metrics.count(entries)

    def _drain(self, drainer: Drainer, stop: threading.Event) -> None:
        """Drain until it is time to seal, or to stop, or the parent process has died."""
        saved_us = -_METRICS_US
        while not stop.is_set():
            self._tell(drainer.drain())
            now_us = self._clock.monotonic_us()
            if self._metrics is not None and now_us - saved_us >= _METRICS_US:
                self._save(self._metrics)
                saved_us = now_us
            if self._parent and os.getppid() != self._parent:
                stop.set()
            if now_us >= self._next_seal_us:
                return
            stop.wait(self._settings.drain_interval_ms / 1000)

    def _tell(self, report: DrainReport) -> None:
        """Log what keeps calls from being posted when it begins, changes and ends."""
        if report.detail == self._trouble:
            return
        self._trouble = report.detail
        if report.detail:
            _LOG.error("calls wait in the journals: %s", report.detail)
        else:
            _LOG.warning("calls are posted to the ledger's store again")

    def _save(self, metrics: LedgerMetrics) -> None:
        """Write the counters down; where the disk refuses, the calls are posted all the same."""
        try:
            metrics.save(self._directory / "run")
        except OSError:
            if not self._is_unsaved:
                _LOG.exception("the metrics could not be written; they are tried again")
            self._is_unsaved = True
            return
        self._is_unsaved = False

    def _seal(self) -> None:
        """Move past days to Parquet; without DuckDB they stay in the store, which is no fault."""
        self._next_seal_us = self._clock.monotonic_us() + _SEAL_EVERY_US
        if importlib.util.find_spec("duckdb") is None:
            return
        try:
            with Ledger.open(self._directory, settings=self._settings) as ledger:
                ledger.seal(self._clock.now_us())
        except (ArchiveError, DrainerBusy, StoreError):
            _LOG.exception("past days could not be sealed; they stay in the store")

    def _finish(self) -> None:
        """The last drain; somebody else's is as good."""
        with contextlib.suppress(DrainerBusy), self._drainer() as drainer:
            drainer.drain()
