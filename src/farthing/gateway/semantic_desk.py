"""The event loop's side of the semantic layer: hands work over, waits for nothing.

What does the work is a carrier: another process (semantic_process.py), or a thread of this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from farthing.gateway.semantic_acts import (
    Act,
    Answered,
    Doubt,
    Follow,
    Logged,
    Look,
    News,
    Ready,
    Settle,
    Settled,
    Verdict,
)
from farthing.gateway.semantic_board import Board
from farthing.gateway.semantic_plan import Plan

__all__ = ["Carrier", "Owner", "SemanticDesk"]

_FOLLOW_S: Final = 1.0
_NOTES_MAX: Final = 200  # until they are handed over, at the latest after a second
_UNHEARD_MAX: Final = 4_096  # look-ups whose verdicts have not come


class Owner(Protocol):
    """Whom a carrier tells what happens, on the event loop."""

    def take(self, news: News) -> None:
        """Something came."""
        ...

    def lost(self) -> None:
        """What works is gone, and with it all that was under way."""
        ...


class Carrier(Protocol):
    """Takes acts to where the work is done; brings news back."""

    def start(self, owner: Owner) -> None:
        """Begin; called on the event loop, once."""
        ...

    def send(self, acts: Sequence[Act]) -> bool:
        """Take acts there, in their order; whether there is anybody to do them."""
        ...

    def close(self) -> None:
        """Have done what was sent, and end. Blocks, not for long."""
        ...


class SemanticDesk:
    """Belongs to one event loop; whatever fails behind it is a miss."""

    def __init__(self, carrier: Carrier, wait_ms_max: int) -> None:
        """`wait_ms_max` is how long a verdict is waited for."""
        self.carrier = carrier
        self.board = Board()
        self._wait_s = wait_ms_max / 1000
        self._number = 0
        self._verdicts: dict[int, tuple[asyncio.Future[Verdict], asyncio.TimerHandle]] = {}
        self._doubts: dict[int, asyncio.Future[Doubt]] = {}
        self._settling: dict[int, asyncio.Future[None]] = {}
        self._notes: list[Act] = []
        self._is_ready = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_ready(self) -> bool:
        """Whether questions are looked up now."""
        return self._is_ready

    def start(self) -> None:
        """Begin, and follow what other workers write from now on."""
        self.carrier.start(self)
        self._tick_later()

    def look(self, plan: Plan, call_id: str, *, is_check: bool) -> int:
        """Have a question looked up for which no call waits; the look-up's number, 0: no room."""
        if not self._is_ready:
            self.note(Logged(plan, call_id, "no room"))
            return 0
        self._number += 1
        look = Look(self._number, plan, call_id, is_awaited=False, is_check=is_check)
        return self._number if self.carrier.send((look,)) else 0

    async def verdict(self, plan: Plan, call_id: str) -> Verdict:
        """Look a question up and wait for what may be served, so long as is allowed."""
        if not self._is_ready or len(self._verdicts) >= _UNHEARD_MAX:
            self.note(Logged(plan, call_id, "no room"))
            return Verdict(0, "unavailable" if self._is_ready else "warming-up")
        loop = asyncio.get_running_loop()
        self._number += 1
        number = self._number
        coming: asyncio.Future[Verdict] = loop.create_future()
        late = loop.call_later(self._wait_s, self._end, Verdict(number, "too-slow"))
        self._verdicts[number] = coming, late
        look = Look(number, plan, call_id, is_awaited=True, is_check=False)
        if not self.carrier.send((look,)):
            self._end(Verdict(number, "unavailable"))
        return await coming

    def tell(self, act: Act) -> None:
        """Have something done soon; nothing comes back."""
        self.carrier.send((act,))

    async def ask(self, act: Answered) -> Doubt:
        """Have two answers compared; what a model has to judge of them."""
        coming: asyncio.Future[Doubt] = asyncio.get_running_loop().create_future()
        self._doubts[act.number] = coming
        if not self.carrier.send((act,)):
            self._doubts.pop(act.number)
            return Doubt(act.number)
        return await coming

    def note(self, act: Act) -> None:
        """Have something noted soon, in the order in which it came; handed over many at a time."""
        self._notes.append(act)
        if len(self._notes) >= _NOTES_MAX:
            self._hand_over()

    def follow(self) -> None:
        """Hand over what is to be noted, and have read what all workers wrote."""
        self._hand_over()
        if self._is_ready:
            self.carrier.send((Follow(),))

    async def settled(self) -> None:
        """Return when all that is to be done so far is done and written."""
        self._hand_over()
        self._number += 1
        number = self._number
        coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settling[number] = coming
        if self.carrier.send((Settle(number),)):
            await coming
        self._settling.pop(number, None)

    def close(self) -> None:
        """Have done what is under way, and end."""
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()
        self.carrier.close()
        self._is_ready = False
        self._let_go()

    # What the carrier tells.

    def take(self, news: News) -> None:
        """Something came."""
        match news:
            case Verdict():
                self._end(news)
            case Doubt():
                doubting = self._doubts.pop(news.number, None)
                if doubting is not None and not doubting.done():
                    doubting.set_result(news)
            case Settled():
                settling = self._settling.pop(news.number, None)
                if settling is not None and not settling.done():
                    settling.set_result(None)
            case Ready():
                self._is_ready = True
            case _:
                self.board.take(news)

    def lost(self) -> None:
        """What works is gone: nothing is looked up, and nothing known that may have changed."""
        self._is_ready = False
        self.board.clear()
        self._let_go()

    def _let_go(self) -> None:
        for number in tuple(self._verdicts):
            self._end(Verdict(number, "unavailable"))
        for number in tuple(self._doubts):
            self.take(Doubt(number))
        for number in tuple(self._settling):
            self.take(Settled(number))

    def _end(self, verdict: Verdict) -> None:
        """A verdict came, or its time is over."""
        coming, late = self._verdicts.pop(verdict.number, (None, None))
        if coming is None or late is None:
            return
        late.cancel()
        if not coming.done():
            coming.set_result(verdict)

    def _hand_over(self) -> None:
        notes, self._notes = self._notes, []
        if notes:
            self.carrier.send(notes)

    def _tick_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_FOLLOW_S, self._tick)

    def _tick(self) -> None:
        self.follow()
        self._tick_later()
