"""One worker process: an event loop, a journal, an engine, and the server around it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from farthing.clock import Clock, SystemClock
from farthing.config import Config, load_config
from farthing.errors import ConfigError
from farthing.gateway.garbage import collect_rarely
from farthing.gateway.keyring import KeyRing
from farthing.gateway.vitals import WorkerVitals, write_vitals
from farthing.gateway.wiring import wire_engine
from farthing.ledger import Journal
from farthing.wire import Server, ServerLimits, new_event_loop, serve

__all__ = ["Worker", "main"]

_LOG = logging.getLogger("farthing")
_VITALS_US = 1_000_000


class Worker:
    """Serves calls until it is told to stop."""

    def __init__(
        self, config: Config, journal: Journal, slot: int, clock: Clock, parent: int
    ) -> None:
        """`parent` is the supervisor, whose death ends the worker.

        Raises:
            ConfigError: the settings contradict each other; nothing was started.
        """
        self._parent = parent
        self._config = config
        self._slot = slot
        self._clock = clock
        self._directory = Path(config.ledger.data_dir)
        self._journal = journal
        self._server: Server | None = None
        self._failing: set[str] = set()
        ring = KeyRing(self._directory, is_local=config.gateway.is_local)
        self._wired = wire_engine(config, journal, clock, os.environ, self.vitals, ring)

    def vitals(self) -> WorkerVitals:
        """What this worker says of itself now."""
        server = self._server
        return WorkerVitals(
            slot=self._slot,
            pid=os.getpid(),
            at_us=self._clock.now_us(),
            calls_running=self._wired.desk.running,
            connections=0 if server is None else server.connections,
            calls_total=self._wired.desk.opened,
            calls_unwritten=len(self._wired.desk.unwritten),
            breakers={n: u.breaker.state.value for n, u in self._wired.upstreams.items()},
            asides=self._wired.evidence.aside.counts,
            routes=self._wired.routes.counts if self._wired.routes is not None else {},
        )

    async def run(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serve on `listener` until `stop`; then let running calls finish, and close the journal."""
        engine, gateway = self._wired.engine, self._config.gateway
        limits = ServerLimits(body_bytes_most=gateway.body_bytes_max)
        self._wired.start()
        self._server = await serve(engine.handle, listener, limits, refuse=engine.refuse)
        chores = asyncio.create_task(self._chores(stop))
        await stop.wait()
        await self._server.drain(gateway.drain_s)
        chores.cancel()
        await self._wired.close()
        self._journal.close()

    async def _chores(self, stop: asyncio.Event) -> None:
        """The small periodic work: fsync, keys that changed, vital signs, a dead supervisor."""
        interval_s = self._config.ledger.sync_interval_ms / 1000
        renewed_us = -_VITALS_US
        while True:
            await asyncio.sleep(interval_s)
            await self._do("force the journal to disk", self._sync)
            self._wired.desk.write_again()
            now_us = self._clock.monotonic_us()
            if now_us - renewed_us < _VITALS_US:
                continue
            renewed_us = now_us
            if os.getppid() != self._parent:
                stop.set()
            await self._do("read the keys again", self._refresh)
            await self._do("read the levers' modes again", self._wired.evidence.board.refresh)
            await self._do("write its vital signs", self._tell)

    async def _do(self, chore: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do a chore. One that fails is told once, comes round again and stops no other."""
        try:
            await work()
        except Exception:  # edge: a full disk must not end what revokes keys and settles calls
            if chore not in self._failing:
                _LOG.exception("the worker could not %s; it is tried again", chore)
            self._failing.add(chore)
            return
        if chore in self._failing:
            self._failing.discard(chore)
            _LOG.warning("the worker could %s again", chore)

    async def _sync(self) -> None:
        await asyncio.to_thread(self._journal.sync)

    async def _refresh(self) -> None:
        self._wired.ring.refresh()

    async def _tell(self) -> None:
        write_vitals(self._directory / "run", self.vitals())


async def _serve(config: Config, slot: int, listener: socket.socket, parent: int) -> None:
    directory = Path(config.ledger.data_dir)
    journal = Journal.open(directory, f"worker-{slot}", settings=config.ledger)
    worker = Worker(config, journal, slot, SystemClock(), parent)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await worker.run(listener, stop)


def main(arguments: Sequence[str]) -> int:
    """`python -m farthing.gateway.worker SLOT FD PARENT [CONFIG]`: serve on an inherited socket."""
    logging.basicConfig(format="farthing worker %(levelname)s %(message)s")
    slot, descriptor, parent = (int(argument) for argument in arguments[:3])
    config = load_config(arguments[3] if len(arguments) > 3 else None, os.environ)
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's
    collect_rarely()
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(config, slot, listener, parent))
    except ConfigError as error:
        _LOG.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
