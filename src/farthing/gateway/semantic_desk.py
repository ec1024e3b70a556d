"""The event loop's side of the semantic layer's thread: hands work over, waits for nothing."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from farthing.clock import Clock
from farthing.gateway.semantic_plan import Found, Plan, Position
from farthing.gateway.semantic_reader import SemanticReader
from farthing.levers.cache import Answers
from farthing.levers.cache.semantic import Embedder
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import WordingRow

__all__ = ["SemanticDesk"]

T = TypeVar("T")
_LOG = logging.getLogger("farthing")
_FOLLOW_S: Final = 1.0
_SWITCH_S: Final = 0.0001  # how long the event loop waits for the interpreter, at most
_QUEUED_MAX: Final = 64  # look-ups; more would be late, and their texts fill memory
_NOTES_MAX: Final = 200  # until they are handed over, at the latest after a second


class SemanticDesk:
    """Belongs to one event loop; whatever fails behind it is a miss."""

    def __init__(
        self,
        settings: SemanticSettings,
        directory: Path,
        answers: Answers,
        clock: Clock,
        make_embedder: Callable[[], Embedder],
    ) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="farthing-semantic")
        self.reader = SemanticReader(
            settings, directory, clock, make_embedder, self.later, answers.write
        )
        self._queued = 0
        self._notes: list[Callable[[], object]] = []
        self._is_open = True
        self._is_ready = False
        self._timer: asyncio.TimerHandle | None = None
        self._switch_s: float | None = None  # as it was before
        self.later(self._begin)

    @property
    def is_ready(self) -> bool:
        """Whether the embedder is loaded."""
        return self._is_ready

    def start(self) -> None:
        """Follow what other workers write, and give way to the event loop, from now on."""
        if self._switch_s is None:
            self._switch_s = sys.getswitchinterval()
            sys.setswitchinterval(min(self._switch_s, _SWITCH_S))
        self._tick_later()

    def _tick_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_FOLLOW_S, self._tick)

    def position(self, course: bytes) -> Position:
        """Where a course stands; nothing is proven of one that nobody has asked in yet."""
        return self.reader.positions.get(course, _NOWHERE)

    def wording(self, plan: Plan) -> WordingRow | None:
        """The approved wording that a call uses, where its principal may have that answer."""
        return self.reader.sharing.wording(plan.key, plan.writer)

    def note_wording(self, row: WordingRow) -> None:
        """Know of an approved wording before it comes back from the store."""
        self.reader.sharing.wordings[row.key] = row

    def look(self, plan: Plan) -> asyncio.Future[Found | None]:
        """Look a question up; None: no time for it, or it failed."""
        loop = asyncio.get_running_loop()
        if not self._is_ready or self._queued >= _QUEUED_MAX or not self._is_open:
            nothing: asyncio.Future[Found | None] = loop.create_future()
            nothing.set_result(None)
            return nothing
        self._queued += 1
        looking = loop.run_in_executor(self._pool, self._looked, plan)
        looking.add_done_callback(self._done)
        return looking

    def later(self, work: Callable[[], object]) -> None:
        """Have something done by the thread, behind what waits there already."""
        if self._is_open:
            try:
                self._pool.submit(work).add_done_callback(_tell)
            except RuntimeError:
                self._is_open = False  # it is closing

    def note(self, work: Callable[[], object]) -> None:
        """Have something noted soon, in the order in which it came; handed over many at a time."""
        self._notes.append(work)
        if len(self._notes) >= _NOTES_MAX:
            self._hand_over()

    def _hand_over(self) -> None:
        notes, self._notes = self._notes, []
        if notes:
            self.later(partial(_all, notes))

    async def run(self, work: Callable[[], T]) -> T:
        """Have the thread work something out."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def settled(self) -> None:
        """Return when all that is to be done so far is done."""
        self._hand_over()
        await asyncio.get_running_loop().run_in_executor(self._pool, int)

    def follow(self) -> None:
        """Hand over what is to be noted, and take in what all workers wrote."""
        self._hand_over()
        if self._is_ready:
            self.later(lambda: self.reader.follow(self._clock.now_us()))

    def close(self) -> None:
        """Finish what is at hand, drop what waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._switch_s is not None:
            sys.setswitchinterval(self._switch_s)
        self._hand_over()
        if self._is_ready:
            self.later(self.reader.close)
        self._is_open = False
        self._pool.shutdown(wait=True)

    def _begin(self) -> None:
        self.reader.begin()
        self._is_ready = True

    def _looked(self, plan: Plan) -> Found | None:
        try:
            return self.reader.look(plan)
        except Exception:  # edge: an embedder of the user's may raise anything; it is a miss
            _LOG.exception("a semantic look-up failed; the call goes on without it")
            return None

    def _done(self, looking: asyncio.Future[Found | None]) -> None:
        del looking
        self._queued -= 1

    def _tick(self) -> None:
        self.follow()
        self._tick_later()


_NOWHERE: Final = Position()


def _all(notes: list[Callable[[], object]]) -> None:
    for note in notes:
        note()


def _tell(work: Future[object]) -> None:
    error = None if work.cancelled() else work.exception()
    if error is not None:
        _LOG.error("the semantic cache could not do its work: %s", error, exc_info=error)
