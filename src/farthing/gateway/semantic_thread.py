"""The semantic layer in a thread of the worker: for tests, and where another process is unwanted.

Whatever Python it runs keeps the event loop waiting for the interpreter; see docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from farthing.clock import Clock
from farthing.gateway.semantic_acts import Act, Look, News, Settle, Settled, Verdict
from farthing.gateway.semantic_clerk import QUEUED_MAX, Clerk
from farthing.gateway.semantic_desk import Owner
from farthing.gateway.semantic_reader import SemanticReader
from farthing.levers.cache import Answers
from farthing.levers.cache.semantic import Embedder
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.writer import Write

__all__ = ["ThreadCarrier"]

_LOG = logging.getLogger("farthing")
_SWITCH_S: Final = 0.0001  # how long the event loop waits for the interpreter, at most


class ThreadCarrier:
    """A pool of one thread; rows are written with the answers."""

    def __init__(
        self,
        settings: SemanticSettings,
        directory: Path,
        answers: Answers,
        clock: Clock,
        make_embedder: Callable[[], Embedder],
    ) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="farthing-semantic")
        self._answers = answers
        self.reader = SemanticReader(settings, directory, clock, make_embedder, self)
        self._clerk = Clerk(self.reader, settings, clock, self)
        self._queued = 0
        self._is_open = True
        self._is_begun = False
        self._switch_s = 0.0  # as it was before
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner: Owner | None = None

    def start(self, owner: Owner) -> None:
        """Begin, and give way to the event loop from now on."""
        self._loop, self._owner = asyncio.get_running_loop(), owner
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch_s, _SWITCH_S))
        self.later(self._begin)

    def send(self, acts: Sequence[Act]) -> bool:
        """Have acts done, in their order."""
        match acts:
            case (Look() as look,):
                return self._look(look)
            case (Settle(number),):
                return self.later(lambda: self.tell(Settled(number)))
            case _:
                return self.later(partial(self._all, acts))

    def close(self) -> None:
        """Finish what is at hand."""
        if self._switch_s:
            sys.setswitchinterval(self._switch_s)
        self.later(self._end)
        self._is_open = False
        self._pool.shutdown(wait=True)

    # The layer's hands, used in the thread.

    def later(self, work: Callable[[], object]) -> bool:
        """Have something done behind what waits there already."""
        if self._is_open:
            try:
                self._pool.submit(work).add_done_callback(_tell)
            except RuntimeError:
                self._is_open = False  # it is closing
        return self._is_open

    def write(self, write: Write) -> None:
        """Have rows written."""
        self._answers.write(write)

    def write_with(self, entry: bytes, write: Write) -> None:
        """The same: the entry that they need was handed to the same writer before."""
        del entry
        self._answers.write(write)

    def tell(self, news: News) -> None:
        """Tell the event loop."""
        if self._loop is not None and self._owner is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._owner.take, news)

    def _begin(self) -> None:
        self.reader.begin()
        self._is_begun = True

    def _end(self) -> None:
        if self._is_begun:
            self.reader.close()

    def _look(self, look: Look) -> bool:
        if self._queued >= QUEUED_MAX:
            self.later(lambda: self._clerk.no_room(look))
            if look.is_awaited:
                self.tell(Verdict(look.number, "unavailable"))
            return self._is_open
        self._queued += 1
        return self.later(partial(self._looked, look))

    def _looked(self, look: Look) -> None:
        self._queued -= 1
        self._clerk.do(look)

    def _all(self, acts: Sequence[Act]) -> None:
        for act in acts:
            self._clerk.do(act)


def _tell(work: Future[object]) -> None:
    error = None if work.cancelled() else work.exception()
    if error is not None:
        _LOG.error("the semantic cache could not do its work: %s", error, exc_info=error)
