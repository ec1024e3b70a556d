"""Runs one engine on an event loop in a thread of its own, with the journal and a drainer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from pathlib import Path

from farthing.clock import Clock
from farthing.config import Config
from farthing.gateway import DrainLoop, KeyRing, Wired, wire_engine
from farthing.gateway.vitals import WorkerVitals
from farthing.ledger import Entry, Journal
from farthing.wire import Reply, Request, new_event_loop

__all__ = ["Runner"]


class Runner:
    """One engine in this process; safe to call from any thread."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._clock = clock
        self._journal = Journal.open(
            Path(config.ledger.data_dir), f"library-{os.getpid()}", settings=config.ledger
        )
        self.loop = new_event_loop()
        self.wired = self.loop.run_until_complete(self._wire(config))
        self._loop_thread = threading.Thread(
            target=self.loop.run_forever, name="farthing-engine", daemon=True
        )
        self._stop = threading.Event()
        drain = DrainLoop(config, clock, has_metrics=False)
        self._drain_thread = threading.Thread(
            target=drain.run, args=(self._stop,), name="farthing-drainer", daemon=True
        )
        self._loop_thread.start()
        self._drain_thread.start()

    def handle(self, request: Request) -> concurrent.futures.Future[Reply]:
        """Serve one request; cancelling the future cancels the call."""
        return asyncio.run_coroutine_threadsafe(self.wired.engine.handle(request), self.loop)

    def post(self, entry: Entry) -> None:
        """Write an entry for a call that was made elsewhere; returns when it is in the journal."""
        done: concurrent.futures.Future[None] = concurrent.futures.Future()

        def write() -> None:
            try:
                done.set_result(self._journal.settle(entry))
            except OSError as error:
                done.set_exception(error)

        self.loop.call_soon_threadsafe(write)
        done.result()

    def close(self) -> None:
        """Stop the engine, put the journal on disk and drain it to the store."""
        if self.loop.is_closed():
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._loop_thread.join()
        self.loop.run_until_complete(self._release())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self._journal.close()
        self._stop.set()
        self._drain_thread.join()

    async def _wire(self, config: Config) -> Wired:
        wired = wire_engine(
            config, self._journal, self._clock, os.environ, self._vitals, KeyRing.open_door()
        )
        wired.start()
        return wired

    async def _release(self) -> None:
        await self.wired.close()

    def _vitals(self) -> WorkerVitals:
        return WorkerVitals(slot=0, pid=os.getpid(), at_us=self._clock.now_us())
