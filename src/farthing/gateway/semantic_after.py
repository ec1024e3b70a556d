"""What follows a look-up once the real answer is there: it is handed to whoever compares.

Nothing here is on a caller's path. Where a model has to judge two answers, it is asked from here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from farthing.gateway.aside import Aside, Asker
from farthing.gateway.inbound import Inbound
from farthing.gateway.semantic_acts import Answered, Counted, Doubt, Judged, Renewed
from farthing.gateway.semantic_desk import SemanticDesk
from farthing.gateway.semantic_judge import judge_question
from farthing.gateway.semantic_plan import Plan
from farthing.ledger import Entry
from farthing.levers.cache import Asked, Stored
from farthing.levers.cache.entry import encode_stored
from farthing.money import ZERO

__all__ = ["LEVER", "After", "Pending"]

_LOG = logging.getLogger("farthing")
LEVER: Final = "semantic-cache"
_PENDING_MAX: Final = 4_096
_TASKS_MAX: Final = 256


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A call that went on to the provider. `is_check`: it would have been served otherwise.

    `is_drawn` says whether its answer is compared where it would not have been served; `number` is
    its look-up's, 0 where there was none.
    """

    plan: Plan
    inbound: Inbound
    number: int
    is_check: bool
    is_drawn: bool


class After:
    """Belongs to one event loop."""

    def __init__(self, desk: SemanticDesk, aside: Aside, is_on: Callable[[str], bool]) -> None:
        """`is_on` says whether the layer looks at calls of a feature."""
        self._is_on = is_on
        self._desk = desk
        self._aside = aside
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def wait_for(self, call_id: str, pending: Pending) -> None:
        """A call is on its way to the provider."""
        self._pending[call_id] = pending
        if len(self._pending) > _PENDING_MAX:
            self._pending.popitem(last=False)  # its answer was none to keep

    def forget(self, call_id: str) -> None:
        """Its answer is none to keep."""
        self._pending.pop(call_id, None)

    def kept(self, entry: Entry, asked: Asked, stored: Stored) -> None:
        """The answer to a call was stored: have it compared with the one that was near."""
        pending = self._pending.pop(entry.call_id, None)
        if pending is None:
            if asked.prints is not None and asked.keys is not None:
                # Asked for afresh: it may be another answer than was confirmed.
                key, keys = asked.prints.key, asked.keys
                renewed = Renewed(key, keys, entry.endpoint, stored.call_id)
                (self._desk.tell if self._is_on(asked.feature) else self._desk.note)(renewed)
            return
        is_asking = bool(pending.plan.rules.judge_model) and pending.number > 0
        act = Answered(
            pending.number,
            pending.plan,
            entry.call_id,
            entry.endpoint,
            encode_stored(stored),
            entry.cost.nanodollars,
            pending.is_check,
            pending.is_drawn,
            is_asking,
        )
        if not is_asking or len(self._tasks) >= _TASKS_MAX:
            self._desk.tell(msgspec.structs.replace(act, is_asking=False))
            return
        task = asyncio.get_running_loop().create_task(self._asked(pending, act))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def settled(self) -> None:
        """Return when all that is under way has been done."""
        await self._desk.settled()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._aside.settled()
        await self._desk.settled()

    async def close(self) -> None:
        """Drop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("an answer could not be compared", exc_info=task.exception())

    async def _asked(self, pending: Pending, act: Answered) -> None:
        doubt = await self._desk.ask(act)
        if doubt.pairs:
            self._ask(pending, doubt)

    def _ask(self, pending: Pending, doubt: Doubt) -> None:
        """Have the judging model compare two answers, beside the callers' traffic."""
        plan, inbound = pending.plan, pending.inbound
        one, other = doubt.pairs

        async def job(asker: Asker) -> None:
            model = plan.rules.judge_model
            words: list[str] = []
            cost = ZERO
            for first, second in ((one, other), (other, one)):
                text = judge_question(first, second)
                answer = await asker.question(
                    inbound, model, text, lever=LEVER, why="are two answers the same?"
                )
                cost += answer.entry.cost
                words.append(answer.text.strip().strip(".*\"'").upper())
                if words[-1] not in ("SAME", "DIFFERENT"):
                    return  # it failed or said something else: no verdict, whatever is true
                if words[-1] == "DIFFERENT":
                    break
            is_same = words == ["SAME", "SAME"]
            self._desk.note(Judged(doubt.number, is_same, cost.nanodollars))

        if not self._aside.offer(job, lever=LEVER, feature=plan.course.feature):
            self._desk.note(Counted(plan.course, {"not_judged": 1}))
