"""What follows a look-up once the real answer is there: compare, label, approve, keep the question.

Nothing here is on a caller's path. An answer that nobody could compare counts as wrong for the
certificate, and waits for a person.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial
from typing import Any, Final

import msgspec

from farthing.call import Endpoint
from farthing.clock import Clock
from farthing.gateway.aside import Aside, Asker
from farthing.gateway.inbound import Inbound
from farthing.gateway.semantic_desk import SemanticDesk
from farthing.gateway.semantic_judge import answer_mark, cheap_verdict, judge_question, said_of
from farthing.gateway.semantic_plan import Found, Plan
from farthing.ledger import Entry
from farthing.levers.cache import Answers, Asked, Stored, TenantKeys
from farthing.levers.cache.semantic import Decision
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import LabelRow, SemanticTables, WordingRow
from farthing.money import ZERO, Money

__all__ = ["LEVER", "After", "Pending"]

_LOG = logging.getLogger("farthing")
LEVER: Final = "semantic-cache"
_PENDING_MAX: Final = 4_096
_TASKS_MAX: Final = 256


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A call that went on to the provider. `is_check`: it would have been served otherwise.

    `is_drawn` says whether its answer is compared where it would not have been served.
    """

    plan: Plan
    inbound: Inbound
    looking: asyncio.Future[Found | None]
    is_check: bool
    is_drawn: bool


class _Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What the thread found out about two answers; `marks` stand for what they say."""

    verdict: bool | None
    fresh: str
    stored: str
    marks: tuple[bytes, bytes]


class _Word(msgspec.Struct, frozen=True):
    """What a judge said: whether the answers are the same (None: it could not tell)."""

    verdict: bool | None
    judge: str
    propensity: float
    compared: _Compared
    cost: Money = ZERO


class After:
    """Belongs to one event loop."""

    def __init__(
        self,
        answers: Answers,
        desk: SemanticDesk,
        clock: Clock,
        settings: SemanticSettings,
        aside: Aside,
    ) -> None:
        self._answers = answers
        self._desk = desk
        self._clock = clock
        self._settings = settings
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
        """The answer to a call was stored: see what it tells of the one that was near."""
        pending = self._pending.pop(entry.call_id, None)
        if pending is None and asked.prints is not None and asked.keys is not None:
            keys = asked.keys  # asked for afresh: it may be another answer than was confirmed
            mark = partial(_mark_of, keys, entry.endpoint, stored)
            self._desk.later(partial(self._desk.reader.replace, asked.prints.key, keys, mark))
        if pending is None or len(self._tasks) >= _TASKS_MAX:
            return
        task = asyncio.get_running_loop().create_task(self._follow(pending, entry, stored))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def settled(self) -> None:
        """Return when all that is under way has been done."""
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

    async def _follow(self, pending: Pending, entry: Entry, stored: Stored) -> None:
        found = await pending.looking
        compared = await self._compare(pending, found, entry, stored)
        plan = pending.plan
        self._desk.later(partial(self._desk.reader.keep, plan, found, compared.marks[0]))
        decision = _near(found, self._settings.near_min)
        if found is None or decision is None:
            return
        self._alike(plan, found, (b"", b""))
        is_clear = decision.comparison is not None and decision.comparison.is_clear
        if decision.would_serve or (is_clear and not decision.barred):
            self._count(plan, {"would_hits": 1, "would_save_nd": entry.cost.nanodollars})
        if decision.is_held_back:
            self._count(plan, {"held_back": 1})
        propensity = self._propensity(pending, decision)
        if propensity is None or not compared.stored:
            return
        if compared.verdict is None and plan.rules.judge_model:
            self._ask(pending, found, decision, compared, propensity)
            return
        judge = "nobody" if compared.verdict is None else "cheap"
        word = _Word(compared.verdict, judge, propensity, compared)
        self._judged(pending, found, decision, word)

    async def _compare(
        self, pending: Pending, found: Found | None, entry: Entry, stored: Stored
    ) -> _Compared:
        """Read both answers, in the thread: large ones take a while."""
        chosen = None if found is None or found.looked is None else found.looked.chosen
        other, keys = None, pending.plan.keys
        if chosen is not None and _near(found, self._settings.near_min) is not None:
            other = self._answers.find_key(chosen.entry, keys, self._clock.now_us())

        def read() -> _Compared:
            fresh = said_of(entry.endpoint, stored)
            old = "" if other is None else said_of(entry.endpoint, other.stored)
            marks = answer_mark(keys, fresh), answer_mark(keys, old)
            verdict = cheap_verdict(fresh, old)
            return _Compared(verdict=verdict, fresh=fresh, stored=old, marks=marks)

        return await self._desk.run(read)

    def _propensity(self, pending: Pending, decision: Decision) -> float | None:
        """With which chance this look-up was to be compared; None: it was not drawn."""
        if decision.action == "serve":
            return self._settings.sampling if pending.is_check else None
        return self._settings.shadow_sampling if pending.is_drawn else None

    def _ask(
        self,
        pending: Pending,
        found: Found,
        decision: Decision,
        compared: _Compared,
        propensity: float,
    ) -> None:
        """Have the judging model compare them, beside the callers' traffic."""
        assert found.looked is not None  # noqa: S101 - there is a decision
        assert found.looked.chosen is not None  # noqa: S101 - there is a stored answer
        plan, inbound = pending.plan, pending.inbound
        one = (plan.text, compared.fresh)
        other = (found.looked.chosen.text, compared.stored)

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
            verdict = words == ["SAME", "SAME"]
            word = _Word(verdict, model, propensity, compared, cost)
            self._judged(pending, found, decision, word)

        if not self._aside.offer(job, lever=LEVER, feature=plan.course.feature):
            self._count(plan, {"not_judged": 1})

    def _judged(self, pending: Pending, found: Found, decision: Decision, said: _Word) -> None:
        """Note a verdict: as a label, in the log, as an approved wording or a pair kept apart."""
        plan, call_id = pending.plan, pending.inbound.call.id
        assert decision.evidence is not None  # noqa: S101 - it is near
        now_us = self._clock.now_us()
        is_serving = plan.mode == "serve" and found.position.standing.threshold is not None
        label = LabelRow(
            course=plan.course.course,
            tenant=plan.keys.tenant_mark,
            features=decision.evidence.features,
            is_wrong=said.verdict is not True,
            propensity=said.propensity,
            is_serving=is_serving and not decision.barred,  # else others' questions could end it
            judge=said.judge,
            at_us=now_us,
            call_id=call_id,
        )
        word = {True: "same", False: "different", None: "nobody could tell"}[said.verdict]
        entry = bytes.fromhex(decision.entry or "")
        tenant = plan.keys.tenant_mark
        writer = found.looked.chosen.writer if found.looked and found.looked.chosen else None
        is_label = decision.barred != "other words"  # such a pair is never served: it tells nothing
        if said.verdict and is_label:
            self._alike(plan, found, said.compared.marks)

        def write(answers: Any) -> None:
            tables = SemanticTables(answers)
            if is_label:
                tables.add_label(label)
            tables.tell_verdict(call_id, word, said.judge)
            if said.verdict and plan.mode in ("assisted", "serve"):
                wording = WordingRow(0, plan.key, entry, said.judge, writer)
                tables.approve(wording, tenant, now_us)
            elif said.verdict is False:
                tables.part(plan.key, entry, tenant, now_us)

        self._desk.note(partial(self._answers.write, write))
        amounts = {"labels": int(is_label), "judge_nd": said.cost.nanodollars}
        amounts["judged"] = int(said.cost > ZERO)
        amounts["wrong"] = int(said.verdict is False)
        amounts["checks"] = int(pending.is_check and decision.action == "serve")
        self._count(plan, amounts)

    def _alike(self, plan: Plan, found: Found, answers: tuple[bytes, bytes]) -> None:
        """Have it noted that a question was near another one, and whether their answers agree."""
        other = None if found.looked is None else found.looked.chosen
        if other is not None:
            sharing = self._desk.reader.sharing
            self._desk.later(partial(sharing.asked_alike, plan, other, answers))

    def _count(self, plan: Plan, amounts: dict[str, int]) -> None:
        self._desk.note(partial(self._desk.reader.count, plan, amounts))


def _mark_of(keys: TenantKeys, endpoint: Endpoint, stored: Stored) -> bytes:
    return answer_mark(keys, said_of(endpoint, stored))


def _near(found: Found | None, near_min: float) -> Decision | None:
    """The decision of a look-up that found something to compare with."""
    if found is None or found.looked is None:
        return None
    decision = found.looked.decision
    is_near = decision.evidence is not None and decision.evidence.cosine >= near_min
    return decision if is_near and found.looked.chosen is not None else None
