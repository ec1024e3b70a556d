"""Keeps a worker's purse filled: asks the store on a thread of its own, never on the event loop.

A call whose worker has leased enough is served by the purse alone. One that finds the lease empty
waits here, together with all others that do, for one answer of the store, and for no longer than
`wait_s`. What nobody uses goes back: at once where another worker waits for it, else after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from farthing.budgets.purse import Purse, Reservation
from farthing.budgets.refusal import Refused
from farthing.budgets.settings import BudgetSettings
from farthing.budgets.store import LEASE_TTL_US, Ask, BudgetStore, Grant
from farthing.budgets.wait import Wait
from farthing.call import Attribution
from farthing.clock import Clock
from farthing.errors import ConfigError
from farthing.ledger import StoreError
from farthing.money import Money

__all__ = ["Treasurer"]

_LOG = logging.getLogger("farthing")
_TICK_S = 0.1
_IDLE_S = 1.0
_RETRY_S = 0.02
_TROUBLE_S = 0.25
_STUCK_US = 250_000
_PATIENCE = 5  # a stream that runs waits so much longer than a call that has not begun
_TIDY_US = 1_000_000
_BEAT_US = LEASE_TTL_US // 3
_WAITING_MAX = 2_000
_T = TypeVar("_T")
_Given = Reservation | Refused | None


def _unchanged() -> None:
    pass


class _Waiter:
    """A call that waits, and how it tries again."""

    __slots__ = ("again", "future", "wait")

    def __init__(
        self, wait: Wait, again: Callable[[], _Given | Wait], future: asyncio.Future[_Given]
    ) -> None:
        self.wait = wait
        self.again = again
        self.future = future


class Treasurer:
    """One worker's; belongs to the running event loop. `holder` is the run of its journal.

    `trouble` says why the store could not be asked last time; empty: it could.
    """

    def __init__(
        self,
        budgets: Sequence[BudgetSettings],
        store: BudgetStore,
        clock: Clock,
        holder: str,
        *,
        wait_s: float = 2.0,
        changed: Callable[[], Sequence[BudgetSettings] | None] = _unchanged,
    ) -> None:
        """`changed` is asked every second for other budgets to go by; None: they are the same.

        Raises:
            ConfigError: two budgets bear one name.
        """
        self._wake = asyncio.Event()
        self.purse = Purse(budgets, on_hungry=self._wake.set)
        self.trouble = ""
        self._budgets = budgets
        self.store = store
        self._clock = clock
        self._holder = holder
        self.wait_s = wait_s
        self._changed = changed
        self._asked_us = clock.monotonic_us()
        self._waiting: deque[_Waiter] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="farthing-budgets")
        self._task: asyncio.Task[None] | None = None
        self._is_configured = False
        self._is_closing = False
        self._settled = 0
        self._looked_us = self._tidied_us = self._beaten_us = clock.monotonic_us()
        self._moved_us = self._looked_us

    def start(self) -> None:
        """Begin; until the store has heard of the budgets as set, calls wait."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Refuse who waits and give back what is free; call it when no call runs any more."""
        if self._is_closing:
            return
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        for waiter in self._waiting:
            self._refuse(waiter)
        self._waiting.clear()
        await self._tend(self.purse.give_back_all())
        await self._note_passed()
        await self._threaded(self.store.close)
        self._thread.shutdown()

    def take(
        self, attribution: Attribution, model: str, worst: Money
    ) -> Reservation | Refused | Wait:
        """Hold `worst` of what is leased, without waiting; a `Wait`: `reserve` may get it."""
        return self._reserve(attribution, model, worst)

    async def reserve(
        self, attribution: Attribution, model: str, worst: Money
    ) -> Reservation | Refused:
        """Hold `worst` on all accounts of a call; waits only if the lease is empty, and not long."""
        given: _Given | Wait = self._reserve(attribution, model, worst)
        if isinstance(given, Wait):
            given = await self._waited(given, partial(self._reserve, attribution, model, worst))
        assert given is not None  # noqa: S101 - only an extension gives None
        return given

    async def extend(self, reservation: Reservation, more: Money) -> Refused | None:
        """Hold `more` for a running call; None: it is held, or the call has ended meanwhile.

        It may run as a task beside the stream, ahead of need, and be cancelled when the stream ends.
        """
        given: _Given | Wait = self._extend(reservation, more)
        if isinstance(given, Wait):
            given = await self._waited(given, partial(self._extend, reservation, more))
        return given if isinstance(given, Refused) else None

    async def replace_budgets(self, budgets: Sequence[BudgetSettings]) -> None:
        """Go by these budgets from now on.

        Raises:
            ConfigError: two budgets bear one name; nothing was changed.
        """
        self.purse.replace_budgets(budgets)
        self._budgets = budgets
        self._is_configured = False
        self._wake.set()

    def _reserve(
        self, attribution: Attribution, model: str, worst: Money
    ) -> Reservation | Refused | Wait:
        return self.purse.reserve(attribution, model, worst, self._clock.now_us())

    def _extend(self, reservation: Reservation, more: Money) -> Refused | Wait | None:
        return None if reservation.is_ended else reservation.extend(more, self._clock.now_us())

    async def _waited(self, wait: Wait, again: Callable[[], _Given | Wait]) -> _Given:
        """The answer, once the store gave what is needed, or the time is up."""
        if len(self._waiting) >= _WAITING_MAX or self._is_closing:
            return wait.busy(self._clock.now_us(), self.trouble)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(wait, again, loop.create_future())
        wait_s = self.wait_s * (_PATIENCE if wait.held else 1)
        timer = loop.call_later(wait_s, self._refuse, waiter)
        self._waiting.append(waiter)
        wait.owe(1)
        self.purse.is_awaited = True
        self._wake.set()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            _put_down(waiter.future)
            raise
        finally:
            timer.cancel()
            waiter.wait.owe(-1)

    def _refuse(self, waiter: _Waiter) -> None:
        if not waiter.future.done():
            waiter.future.set_result(waiter.wait.busy(self._clock.now_us(), self.trouble))

    def _try_again(self) -> None:
        """Serve the waiting calls that can be served now, in the order in which they came."""
        for _ in range(len(self._waiting)):
            waiter = self._waiting.popleft()
            if waiter.future.done():
                continue
            given = waiter.again()
            if isinstance(given, Wait):
                waiter.wait.owe(-1)
                given.owe(1)
                waiter.wait = given
                self._waiting.append(waiter)
            else:
                waiter.future.set_result(given)
                self._moved_us = self._clock.monotonic_us()
        self.purse.is_awaited = bool(self._waiting)

    def _let_one_go(self) -> None:
        """Where running calls hold money and all wait for more, let the least of them end.

        Else each would wait for what the others hold, until all of them are cut short.
        """
        settled, now_us = self.purse.settlements, self._clock.monotonic_us()
        if settled != self._settled:
            self._settled, self._moved_us = settled, now_us
        if now_us - self._moved_us < _STUCK_US:
            return
        held = [w for w in self._waiting if w.wait.held and not w.future.done()]
        if held:
            self._moved_us = now_us
            self._refuse(min(held, key=lambda waiter: waiter.wait.held))

    async def _run(self) -> None:
        while not self._is_closing:
            pause_s = _RETRY_S if self._waiting else _TICK_S if self.purse.is_used else _IDLE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TROUBLE_S if self.trouble else pause_s):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._look_for_changes()
                await self._turn()
            except Exception:  # edge: a fault here must not end all calls of the worker for ever
                _LOG.exception("budgets could not be tended; it is tried again")
                await asyncio.sleep(_TROUBLE_S)

    async def _look_for_changes(self) -> None:
        now_us = self._clock.monotonic_us()
        if now_us - self._asked_us < _IDLE_S * 1_000_000:
            return
        self._asked_us = now_us
        try:
            budgets = self._changed()
        except ConfigError as error:  # told once: the next try sees no change
            _LOG.error("%s", error)
            return
        if budgets is not None:
            await self.replace_budgets(budgets)

    async def _turn(self) -> None:
        """One round: ask for what is needed now; now and then give back and say we live."""
        if not self.purse.is_used:
            return
        if not self._is_configured:
            await self._configure()
        self._try_again()
        if self._is_configured:
            await self._tend(self.purse.asks([w.wait for w in self._waiting], self._now_us()))
            self._try_again()
            self._let_one_go()
            await self._chores()

    async def _configure(self) -> None:
        budgets = self._budgets
        done = partial(self.store.configure, budgets, self._now_us())
        self._is_configured = await self._tried(done) is not None and budgets is self._budgets
        if self._is_configured:  # what was leased under other limits is leased anew
            await self._tend(self.purse.give_back_all())

    async def _chores(self) -> None:
        if self._clock.monotonic_us() - self._looked_us < _TICK_S * 1_000_000:
            return
        self._looked_us = now_us = self._clock.monotonic_us()
        wanted: set[tuple[str, str]] | None = None
        if any(holding.free > 0 for holding in self.purse):
            wanted = await self._tried(partial(self.store.wanted, self._now_us()), is_read=True)
        asks = self.purse.give_back(wanted or set())
        if now_us - self._tidied_us >= _TIDY_US:
            self._tidied_us = now_us
            asks += self.purse.tidy(self._now_us())
        await self._tend(asks)
        await self._note_passed()
        if now_us - self._beaten_us >= _BEAT_US:
            self._beaten_us = now_us
            await self._tried(partial(self.store.heartbeat, self._holder, self._now_us()))
            await self._tried(partial(self.store.sweep, self._now_us()))

    async def _note_passed(self) -> None:
        passed, self.purse.passed = self.purse.passed, {}
        if not passed:
            return
        noted = partial(self.store.note_passed, passed)
        if await self._tried(lambda: (noted(), True)) is None:
            self.purse.passed = passed | self.purse.passed  # a figure for people; some may be lost

    async def _tend(self, asks: Sequence[Ask]) -> None:
        if not asks:
            return
        now_us = self._now_us()
        grants: list[Grant] | None = None
        try:
            grants = await self._tried(partial(self.store.tend, self._holder, asks, now_us))
        finally:
            if grants is None:
                self.purse.fail(asks)
            else:
                self.purse.apply(asks, grants, self._now_us())

    async def _tried(self, act: Callable[[], _T], *, is_read: bool = False) -> _T | None:
        """What the store answers; None where it is in trouble, which is told in `trouble`.

        A read may succeed where writes do not, so it is no sign that the trouble is over.
        """
        try:
            answer = await self._threaded(act)
        except StoreError as error:
            if not self.trouble:
                _LOG.warning("budgets: %s", error)
            self.trouble = str(error)
            return None
        if not is_read:
            self.trouble = ""
        return answer

    async def _threaded(self, act: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    def _now_us(self) -> int:
        return self._clock.now_us()


def _put_down(future: asyncio.Future[_Given]) -> None:
    """The caller went away; if its reservation came just before, nobody will settle it."""
    if future.done() and not future.cancelled():
        given = future.result()
        if isinstance(given, Reservation):
            given.abandon()
