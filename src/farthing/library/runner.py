"""Runs one engine on an event loop in a thread of its own, with the journal and a drainer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from farthing.clock import Clock
from farthing.config import Config
from farthing.errors import CallerError
from farthing.gateway import DrainLoop, KeyRing, Wired, wire_engine
from farthing.gateway.vitals import WorkerVitals
from farthing.ledger import Entry, Journal
from farthing.pricing import RateCard
from farthing.wire import Reply, Request, new_event_loop

__all__ = ["Runner"]

_T = TypeVar("_T")


class Runner:
    """One engine in this process; safe to call from any thread, inside an event loop or not."""

    def __init__(self, config: Config, clock: Clock) -> None:
        """Raises ConfigError: the settings contradict each other; nothing was started."""
        self._clock = clock
        self._pid = os.getpid()
        self._journal = Journal.open(
            Path(config.ledger.data_dir), f"library-{os.getpid()}", settings=config.ledger
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closing = threading.Lock()
        self._is_open = True
        self._loop = new_event_loop()
        self._loop_thread = threading.Thread(
            target=self._loop.run_forever, name="farthing-engine", daemon=True
        )
        self._loop_thread.start()
        try:
            self.wired = self.submit(lambda: self._wire(config)).result()
        except BaseException:  # edge: whatever it was, no thread and no journal stays behind
            self._end_loop()
            self._journal.close()
            raise
        self._stop = threading.Event()
        drain = DrainLoop(config, clock, has_metrics=False)
        self._drain_thread = threading.Thread(
            target=drain.run, args=(self._stop,), name="farthing-drainer", daemon=True
        )
        self._drain_thread.start()

    def submit(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> concurrent.futures.Future[_T]:
        """Run a coroutine on the engine's loop; cancelling the future cancels it.

        Raises:
            CallerError: the engine is closed, or it runs in the process that this one forked from.
        """
        if os.getpid() != self._pid:  # a fork has no threads, so nobody would ever answer
            raise CallerError(
                "This Farthing was made before this process was forked, and its engine runs in the "
                "parent only. Nothing was sent and nothing was recorded. Make one in each process, "
                "for example when a worker starts."
            )
        if not self._is_open:
            raise CallerError(
                "This Farthing is closed. Nothing was sent and nothing was recorded. "
                "Use its clients inside its `with` block, or make another one."
            )
        return asyncio.run_coroutine_threadsafe(self._tracked(work), self._loop)

    def handle(self, request: Request) -> concurrent.futures.Future[Reply]:
        """Serve one request; cancelling the future cancels the call."""
        return self.submit(lambda: self._serve(request))

    def post(self, entry: Entry, card: RateCard | None) -> None:
        """Write an entry for a call that was made elsewhere, and the card that priced it.

        Returns when both are in the journal.

        Raises:
            JournalError: the journal can't be written; nothing was recorded.
        """
        self.submit(lambda: self._post(entry, card)).result()

    def close(self) -> None:
        """Settle what runs, put the journal on disk and drain it to the store; again is no error.

        In a forked process nothing is closed: the engine is the parent's.
        """
        if os.getpid() != self._pid:
            return
        with self._closing:
            if not self._is_open:
                return
            self._is_open = False
            asyncio.run_coroutine_threadsafe(self._release(), self._loop).result()
            self._end_loop()
            self._journal.close()
            self._stop.set()
            self._drain_thread.join()

    async def _tracked(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine on a loop is run by a task
        self._tasks.add(task)
        try:
            return await work()
        finally:
            self._tasks.discard(task)

    async def _serve(self, request: Request) -> Reply:
        reply = await self.wired.engine.handle(request)
        if not isinstance(reply.body, bytes):
            self._streams.add(reply.body)
        return reply

    async def _post(self, entry: Entry, card: RateCard | None) -> None:
        if card is not None:
            self._journal.note_card(card)
        self._journal.settle(entry)

    async def _wire(self, config: Config) -> Wired:
        wired = wire_engine(
            config, self._journal, self._clock, os.environ, self._vitals, KeyRing.open_door()
        )
        wired.start()
        return wired

    async def _release(self) -> None:
        """End the calls and streams that still run, as if their callers had gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in list(self._streams):
            await stream.aclose()
        await self.wired.close()
        await self._loop.shutdown_asyncgens()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join()
        self._loop.close()

    def _vitals(self) -> WorkerVitals:
        return WorkerVitals(slot=0, pid=os.getpid(), at_us=self._clock.now_us())
