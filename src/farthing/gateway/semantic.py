"""The stage of the semantic layer, behind the exact cache: other words for a question asked before.

In shadow nothing waits for it: the look-up runs beside the call, and the answers are compared when
the real one is there. A call waits (at most `wait_ms_max`) only where something may be served.
A miss says in the header in a word why nothing was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from farthing.clock import Clock
from farthing.codecs import NotReplayable
from farthing.gateway.headers import first
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.modes import ModesBoard
from farthing.gateway.replaying import CACHE_HEADER, Replayer
from farthing.gateway.semantic_acts import Again, Closed, Counted, Gone, Logged, Verdict
from farthing.gateway.semantic_after import LEVER, After, Pending
from farthing.gateway.semantic_desk import SemanticDesk
from farthing.gateway.semantic_plan import Plan, Position
from farthing.gateway.semantic_planner import Planner
from farthing.gateway.semantic_principal import principal_of
from farthing.ledger import Entry
from farthing.levers.cache import Answers, Asked, Stored
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import WordingRow

__all__ = ["SemanticCache"]

_ALIAS: Final = b"hit-alias"
_SEMANTIC: Final = b"hit-semantic"
_HEARD_MAX: Final = 20_000

Pause = Callable[[float], Awaitable[None]]


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
        self._heard: set[tuple[str, str, str]] = set()  # of whom it was noted already
        self.pause: Pause = asyncio.sleep
        self.desk = desk
        self.after = after

    def __call__(self, inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
        """Serve the call from a like question's answer, or from what lies behind."""
        asked = inbound.asked
        if asked is None:
            return proceed(inbound)
        plan = self._planner.plan(inbound, asked)
        if plan is None:
            return _telling(proceed(inbound), asked, self._planner.why_not(asked))
        position = self.desk.board.position(plan.course.course)
        if position.stopped or self._board.is_stopped:
            return _telling(proceed(inbound), asked, "stopped")
        return self._served(inbound, proceed, asked, plan, position)

    def heard(self, inbound: Inbound, asked: Asked, stored: Stored) -> None:
        """Somebody was served an exact answer: he asks what its first asker did."""
        keys, prints, key = asked.keys, asked.prints, inbound.caller.key
        if keys is None or prints is None or not self._planner.is_on(asked.feature):
            return
        user = inbound.call.attribution.user
        known = (stored.call_id, "" if key is None else key.id, user)
        if known in self._heard:
            return
        if len(self._heard) >= _HEARD_MAX:
            self._heard.clear()
        self._heard.add(known)
        principal = principal_of(key, user, keys, self._settings.unnamed)
        self.desk.note(Again(prints.key, keys.tenant_mark, principal))

    def start(self) -> None:
        """Begin to follow what other workers write."""
        self.desk.start()

    async def close(self) -> None:
        """Drop what is under way."""
        await self.after.close()
        self._answers.flush()  # what is noted next belongs to answers that are there
        self.desk.close()

    async def _served(
        self, inbound: Inbound, proceed: Proceed, asked: Asked, plan: Plan, position: Position
    ) -> Outcome:
        is_check = plan.mode != "shadow" and self._random.random() < self._settings.sampling
        standing = position.standing
        is_back = standing.breaches > 0 and standing.threshold is None
        call_id = inbound.call.id
        if plan.mode != "shadow" and not is_check and not is_back:
            row = self.desk.board.wording(plan.key, plan.writer)
            given = None if row is None else self._give(inbound, asked, plan, row.entry, _ALIAS)
            if row is not None and isinstance(given, Outcome):
                self.desk.note(Logged(plan, call_id, "hit-alias"))
                return await self._paused(inbound, given, is_own=row.writer == plan.writer)
        why = _why_not_waited(plan, position, is_back=is_back)
        if why or is_check:
            why = why or "checked"
            number = self.desk.look(plan, call_id, is_check=is_check)
        else:
            verdict = await self.desk.verdict(plan, call_id)
            given = self._hit(inbound, asked, plan, verdict)
            if isinstance(given, Outcome):
                is_own = verdict.writer == plan.writer
                return await self._paused(inbound, given, is_own=is_own)
            why, number = given, verdict.number
        going = self._passed(inbound, proceed, plan, number, is_check=is_check)
        return await _telling(going, asked, why)

    async def _paused(self, inbound: Inbound, outcome: Outcome, *, is_own: bool) -> Outcome:
        """A hit; from another's question it takes a while, and does not say how old it is."""
        if is_own:
            return outcome
        outcome.headers = [pair for pair in outcome.headers if pair[0] != b"age"]
        if least_ms := self._settings.shared_hit_ms_min:
            spent_us = self._clock.now_us() - inbound.call.started_us
            await self.pause(max(0.0, least_ms / 1000 - spent_us / 1_000_000))
        return outcome

    def _hit(self, inbound: Inbound, asked: Asked, plan: Plan, verdict: Verdict) -> Outcome | str:
        """The answer to a like question; else in a word why not."""
        if verdict.why_not:
            if verdict.why_not == "too-slow":
                self.desk.note(Closed(verdict.number, is_served=False))
            return verdict.why_not
        entry = verdict.entry
        given = self._give(inbound, asked, plan, entry, _SEMANTIC)
        is_served = isinstance(given, Outcome)
        self.desk.note(Closed(verdict.number, is_served))
        if is_served:
            self.desk.board.note(WordingRow(0, plan.key, entry, "semantic", verdict.writer))
        elif given == "gone":
            self.desk.tell(Gone(entry))
        return given

    def _give(
        self, inbound: Inbound, asked: Asked, plan: Plan, entry: bytes, told: bytes
    ) -> Outcome | str:
        """The answer that stands under `entry`; else in a word why it may not be given."""
        now_us = self._clock.now_us()
        answer = self._answers.find_key(entry, plan.keys, now_us)
        if answer is None:
            return "gone"
        if asked.is_too_old(answer.stored.created_us, now_us):
            return "too-old"
        try:
            outcome = self._replayer.give(inbound, answer, lever=LEVER, told=told, now_us=now_us)
        except NotReplayable:
            return "another-form"
        self._answers.used(entry, now_us)
        self._answers.count(asked.feature, told.decode(), "", now_us)
        name = "hits" if told is _SEMANTIC else "alias_hits"
        sums = "saved_nd" if told is _SEMANTIC else "alias_saved_nd"

        def settled(entry: Entry, ended_us: int) -> None:
            del ended_us
            saved = sum(move.saved.nanodollars for move in entry.moves if move.lever == LEVER)
            self.desk.note(Counted(plan.course, {name: 1, sums: saved}))

        inbound.settlement.listeners.append(settled)
        return outcome

    async def _passed(
        self, inbound: Inbound, proceed: Proceed, plan: Plan, number: int, *, is_check: bool
    ) -> Outcome:
        """Go on to the provider; what comes is compared with what was near."""
        call_id = inbound.call.id
        is_drawn = self._random.random() < self._settings.shadow_sampling
        pending = Pending(
            plan=plan, inbound=inbound, number=number, is_check=is_check, is_drawn=is_drawn
        )
        self.after.wait_for(call_id, pending)
        outcome = await proceed(inbound)
        if not outcome.is_good:
            self.after.forget(call_id)
        return outcome


def _may_serve(plan: Plan, position: Position) -> bool:
    standing = position.standing
    if plan.mode != "serve":
        return False
    is_free = plan.rules.is_uncertified_allowed and not standing.breaches
    return standing.threshold is not None or is_free


async def _telling(going: Awaitable[Outcome], asked: Asked, why: str) -> Outcome:
    """What comes, with the reason why this layer served nothing, unless more was said already."""
    outcome = await going
    is_miss = why and asked.rules.mode == "on" and not asked.verdict.why_not_served
    if is_miss and first(outcome.headers, CACHE_HEADER) is None:
        outcome.headers.append((CACHE_HEADER, f"miss; semantic={why}".encode("latin-1", "replace")))
    return outcome


def _why_not_waited(plan: Plan, position: Position, *, is_back: bool) -> str:
    """Why a call waits for no look-up, in a word; empty: it does."""
    if plan.mode != "serve":
        return plan.mode
    if is_back:
        return "back-in-shadow"
    return "" if _may_serve(plan, position) else "uncertified"
