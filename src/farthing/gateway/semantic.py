"""The stage of the semantic layer, behind the exact cache: other words for a question asked before.

In shadow nothing waits for it: the look-up runs beside the call, and the answers are compared when
the real one is there. A call waits (at most `wait_ms_max`) only where something may be served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from random import Random
from typing import Final

from farthing.clock import Clock
from farthing.codecs import NotReplayable
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.modes import ModesBoard
from farthing.gateway.replaying import Replayer
from farthing.gateway.semantic_after import LEVER, After, Pending
from farthing.gateway.semantic_desk import SemanticDesk
from farthing.gateway.semantic_plan import Found, Plan, Position
from farthing.gateway.semantic_planner import Planner
from farthing.ledger import Entry
from farthing.levers.cache import Answers, Asked
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import SemanticTables

__all__ = ["SemanticCache"]

_ALIAS: Final = b"hit-alias"
_SEMANTIC: Final = b"hit-semantic"


class SemanticCache:
    """Serves calls from the answers to like questions, where that is proven or approved."""

    def __init__(  # noqa: PLR0913 - wired once, at start
        self,
        *,
        settings: SemanticSettings,
        answers: Answers,
        planner: Planner,
        desk: SemanticDesk,
        after: After,
        replayer: Replayer,
        clock: Clock,
        board: ModesBoard,
        random: Random,
    ) -> None:
        self._settings = settings
        self._answers = answers
        self._planner = planner
        self._replayer = replayer
        self._clock = clock
        self._board = board
        self._random = random
        self.desk = desk
        self.after = after

    def __call__(self, inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
        """Serve the call from a like question's answer, or from what lies behind."""
        asked = inbound.asked
        plan = None if asked is None else self._planner.plan(inbound, asked)
        if asked is None or plan is None or self._board.is_stopped:
            return proceed(inbound)
        position = self.desk.position(plan.course.course)
        if position.stopped:
            return proceed(inbound)
        return self._served(inbound, proceed, asked, plan, position)

    def start(self) -> None:
        """Begin to follow what other workers write."""
        self.desk.start()

    async def close(self) -> None:
        """Drop what is under way."""
        await self.after.close()
        self.desk.close()

    async def _served(
        self, inbound: Inbound, proceed: Proceed, asked: Asked, plan: Plan, position: Position
    ) -> Outcome:
        is_check = plan.mode != "shadow" and self._random.random() < self._settings.sampling
        standing = position.standing
        is_back = standing.breaches > 0 and standing.threshold is None
        if plan.mode != "shadow" and not is_check and not is_back:
            entry = self.desk.wording(plan.key)
            outcome = None if entry is None else self._give(inbound, asked, plan, entry, _ALIAS)
            if outcome is not None:
                self._note(plan, inbound, None, "hit-alias")
                return outcome
        looking = self.desk.look(plan)
        if _may_serve(plan, position) and not is_check:
            found = await self._waited(looking)
            outcome = self._hit(inbound, asked, plan, found)
            if outcome is not None:
                return outcome
        return await self._passed(inbound, proceed, plan, looking, is_check=is_check)

    async def _waited(self, looking: asyncio.Future[Found | None]) -> Found | None:
        """What the look-up found, if it is there in time; it goes on if not."""
        await asyncio.wait((looking,), timeout=self._settings.wait_ms_max / 1000)
        return looking.result() if looking.done() and not looking.cancelled() else None

    def _hit(
        self, inbound: Inbound, asked: Asked, plan: Plan, found: Found | None
    ) -> Outcome | None:
        looked = None if found is None else found.looked
        if looked is None or looked.chosen is None or looked.decision.action != "serve":
            return None
        evidence = looked.decision.evidence
        if evidence is None or evidence.cosine < self._settings.near_min:
            return None
        entry = looked.chosen.entry
        outcome = self._give(inbound, asked, plan, entry, _SEMANTIC)
        if outcome is None:
            self.desk.later(partial(self.desk.reader.drop, entry))
            return None
        now_us = self._clock.now_us()
        tenant = plan.keys.tenant_mark
        self._answers.write(
            lambda answers: SemanticTables(answers).approve(
                plan.key, entry, tenant, "semantic", now_us
            )
        )
        self.desk.note_wording(plan.key, entry)
        self._note(plan, inbound, found, "hit-semantic")
        return outcome

    def _give(
        self, inbound: Inbound, asked: Asked, plan: Plan, entry: bytes, told: bytes
    ) -> Outcome | None:
        """The answer that stands under `entry`; None where there is none that may be given."""
        now_us = self._clock.now_us()
        answer = self._answers.find_key(entry, plan.keys, now_us)
        if answer is None:
            return None
        age_s_max = asked.directives.age_s_max
        age_us = now_us - answer.stored.created_us
        if age_s_max is not None and age_us > age_s_max * 1_000_000:
            return None
        try:
            outcome = self._replayer.give(inbound, answer, lever=LEVER, told=told, now_us=now_us)
        except NotReplayable:
            return None
        self._answers.used(entry, now_us)
        self._answers.count(asked.feature, told.decode(), "", now_us)
        name = "hits" if told is _SEMANTIC else "alias_hits"
        sums = "saved_nd" if told is _SEMANTIC else "alias_saved_nd"

        def settled(entry: Entry, ended_us: int) -> None:
            del ended_us
            saved = sum(move.saved.nanodollars for move in entry.moves if move.lever == LEVER)
            self._count(plan, {name: 1, sums: saved})

        inbound.settlement.listeners.append(settled)
        return outcome

    async def _passed(
        self,
        inbound: Inbound,
        proceed: Proceed,
        plan: Plan,
        looking: asyncio.Future[Found | None],
        *,
        is_check: bool,
    ) -> Outcome:
        """Go on to the provider; what comes is compared with what was near."""
        call_id = inbound.call.id
        is_drawn = self._random.random() < self._settings.shadow_sampling
        pending = Pending(
            plan=plan, inbound=inbound, looking=looking, is_check=is_check, is_drawn=is_drawn
        )
        self.after.wait_for(call_id, pending)
        looking.add_done_callback(partial(self._logged, plan, inbound, is_check))
        outcome = await proceed(inbound)
        if not 200 <= outcome.status < 300:
            self.after.forget(call_id)
        return outcome

    def _logged(
        self,
        plan: Plan,
        inbound: Inbound,
        is_check: bool,  # noqa: FBT001 - bound by `partial`
        looking: asyncio.Future[Found | None],
    ) -> None:
        """Note a look-up that served nothing."""
        found = None if looking.cancelled() or looking.exception() else looking.result()
        result = _result(found, is_check=is_check)
        self._note(plan, inbound, found, result)

    def _note(self, plan: Plan, inbound: Inbound, found: Found | None, result: str) -> None:
        self.desk.note(partial(self.desk.reader.log, plan, inbound.call.id, found, result))
        if found is not None:
            self._count(plan, {"lookups": 1, "look_us": found.took_us})

    def _count(self, plan: Plan, amounts: dict[str, int]) -> None:
        self.desk.note(partial(self.desk.reader.count, plan, amounts))


def _may_serve(plan: Plan, position: Position) -> bool:
    standing = position.standing
    if plan.mode != "serve":
        return False
    is_free = plan.rules.is_uncertified_allowed and not standing.breaches
    return standing.threshold is not None or is_free


def _result(found: Found | None, *, is_check: bool) -> str:
    """A look-up that served nothing, in a word."""
    if found is None:
        return "no room"
    if found.looked is None:
        return found.why_not
    decision = found.looked.decision
    if decision.action == "serve":
        return "checked" if is_check else "too slow"
    if decision.entry is None:
        return "vetoed" if decision.comparison is not None else "nothing near"
    return "near" if decision.action == "judge" else "apart"
