"""The drainer process: moves settled calls from the journals to the store, seals past days."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from farthing.clock import Clock, SystemClock
from farthing.config import Config, load_config
from farthing.gateway.metrics import LedgerMetrics
from farthing.ledger import Drainer

__all__ = ["DrainLoop", "main"]

_LOG = logging.getLogger("farthing")
_METRICS_US = 1_000_000
_SEAL_US = 600_000_000


class DrainLoop:
    """Drains again and again until told to stop, then once more to the end."""

    def __init__(self, config: Config, clock: Clock, *, has_metrics: bool) -> None:
        self._directory = Path(config.ledger.data_dir)
        self._interval_s = config.ledger.drain_interval_ms / 1000
        self._clock = clock
        self._metrics = LedgerMetrics() if has_metrics else None
        self._drainer = Drainer(
            self._directory,
            settings=config.ledger,
            clock=clock,
            on_posted=self._metrics.count if self._metrics else None,
        )

    def run(self, stop: threading.Event) -> None:
        """Drain at the configured interval; a store that is away is tried again."""
        saved_us = sealed_us = self._clock.monotonic_us()
        while not stop.is_set():
            report = self._drainer.drain()
            now_us = self._clock.monotonic_us()
            if self._metrics and now_us - saved_us >= _METRICS_US:
                self._metrics.save(self._directory / "run")
                saved_us = now_us
            if now_us - sealed_us >= _SEAL_US:
                self._drainer.seal()
                sealed_us = now_us
            if not report.is_behind:
                stop.wait(self._interval_s)
        self._drainer.drain()
        self._drainer.close()


def main(arguments: Sequence[str]) -> int:
    """`python -m farthing.gateway.drain [CONFIG]`: drain until SIGTERM."""
    logging.basicConfig(format="farthing drainer %(levelname)s %(message)s")
    config = load_config(arguments[0] if arguments else None, os.environ)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when it is over
    DrainLoop(config, SystemClock(), has_metrics=True).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
