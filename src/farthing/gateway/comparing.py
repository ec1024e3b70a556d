"""Compares what levers serve with the reference, for a share of the calls, off the callers' path.

It serves any lever. A lever says of a call which of the two answers its caller got, and which model
gives the other one; for a share of such calls that other answer is made too, a judge compares, and
the comparison is kept with the probability with which the call was chosen. Nobody waits for it, and
a stream is not held up: a copy of what passes is kept, and only for the calls that were chosen.
"""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import Final

import msgspec

from farthing.call import UNATTRIBUTED
from farthing.clock import Clock
from farthing.codecs import Shown, shown, with_tier
from farthing.errors import ProviderError
from farthing.evidence import (
    REPEATS,
    Compared,
    Evidence,
    EvidenceRules,
    EvidenceSettings,
    Keeper,
    Mode,
)
from farthing.gateway.aside import Aside, AsideAnswer, Asker
from farthing.gateway.copied_answer import CopiedStream, WholeAnswer
from farthing.gateway.feedback import Given
from farthing.gateway.headers import is_events
from farthing.gateway.inbound import Inbound, Outcome
from farthing.gateway.judging import Judges, Score, seen_of
from farthing.gateway.modes import ModesBoard
from farthing.gateway.route_account import LEVER as ROUTING
from farthing.ledger import CallStatus, Entry
from farthing.levers.routing.serving import read_choice, watched_as
from farthing.money import ZERO, Money

__all__ = ["Comparer", "Pairing"]

_BEGUN_MAX: Final = 10_000
# The candidate's own fault: it could not have served the call.
_UNFIT: Final = frozenset({400, 413, 422})


class Incomplete(ProviderError):
    """One of the two answers could not be had; nothing is compared."""

    code = "comparison_incomplete"


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """The two answers to one call: a lever's and the reference's, by the models that give them.

    `lever` is what is judged; up to its colon, if it has one, it names the lever that pays.
    The caller got the lever's where `is_candidate_served`. `shown` is the lever's answer where it
    is at hand without asking (a cache's in shadow). `version` names what is judged; it begins in the
    mode `begins`.
    """

    lever: str
    scope: str
    version: str
    candidate: str
    reference: str
    is_candidate_served: bool
    shown: Shown | None = None
    begins: Mode = Mode.SHADOW

    @property
    def payer(self) -> str:
        """The lever that what this costs is booked on."""
        return _payer(self.lever)


def _watched(entry: Entry, lever: str) -> str:
    """What is judged where a lever moved a call: of routing, the policies of that floor."""
    choice = read_choice(entry.detail) if lever == ROUTING else None
    return lever if choice is None else watched_as(choice.pool, choice.floor)


def _policy_of(entry: Entry, lever: str) -> str:
    """The policy that served a call, where routing is judged; empty: none is known."""
    choice = read_choice(entry.detail) if _payer(lever) == ROUTING else None
    return "" if choice is None else choice.policy


def _payer(lever: str) -> str:
    return lever.partition(":")[0]


class Comparer:
    """One worker's; belongs to the running event loop."""

    def __init__(  # noqa: PLR0913 - wired once, at start
        self,
        *,
        settings: EvidenceSettings,
        aside: Aside,
        board: ModesBoard,
        keeper: Keeper,
        judges: Judges,
        clock: Clock,
        random: Random,
    ) -> None:
        self._settings = settings
        self._aside = aside
        self._board = board
        self._keeper = keeper
        self._judges = judges
        self._clock = clock
        self._random = random
        self._begun: set[tuple[str, str, str]] = set()

    def mode(self, lever: str, scope: str, version: str, begins: Mode = Mode.SHADOW) -> Mode:
        """How far the lever may go for the scope; `begins` for a version that was not begun yet."""
        if self._board.is_stopped:
            return Mode.OFF
        state = self._board.state(lever, scope)
        if state.version == version and state.since_us:
            return state.mode
        key = (lever, scope, version)
        if key not in self._begun and len(self._begun) < _BEGUN_MAX:
            self._begun.add(key)
            if not self._aside.offer(
                partial(self._begin, key, begins), lever=_payer(lever), feature=scope
            ):
                self._begun.discard(key)
        return begins

    async def _begin(self, key: tuple[str, str, str], begins: Mode, asker: Asker) -> None:
        del asker
        now_us = self._clock.now_us()
        await asyncio.to_thread(partial(self._keeper.begin, *key, now_us, mode=begins))
        await self._board.refresh()

    def heard(self, given: Given) -> None:
        """What people say of a call counts, where they are the judge.

        A call that a lever served is that lever's; any other is the reference's own word on itself,
        which the lever's are held against.
        """
        scope = given.feature or UNATTRIBUTED
        rules = self._settings.rules_of(scope)
        if not rules.is_on or not self._settings.is_feedback(rules.judge):
            return
        named = (_watched(given.entry, move.lever) for move in given.entry.moves)
        lever = next((n for n in named if self._board.state(n, scope).since_us), REPEATS)
        version = self._board.state(lever, scope).version
        if lever != REPEATS and _policy_of(given.entry, lever) not in ("", version):
            return  # a policy's that another has replaced since
        compared = Compared(
            version=version,
            mode=self._board.mode(lever, scope),
            candidate_call=given.call_id,
            reason="feedback",
            evidence=Evidence(
                call=given.call_id,
                lever=lever,
                feature=scope,
                judge=rules.judge,
                score=given.score,
                reference=1.0,
                probability=1.0,
                at_us=self._clock.now_us(),
            ),
        )

        async def job(asker: Asker) -> None:
            del asker
            await asyncio.to_thread(self._keeper.note, compared, compared.evidence.at_us)
            await self._board.refresh()

        self._aside.offer(job, lever=_payer(lever), feature=scope)

    def follow(self, inbound: Inbound, outcome: Outcome, pairing: Pairing) -> Outcome:
        """The same outcome; where the call is chosen, it is compared once its caller has it all."""
        rules = self._settings.rules_of(pairing.scope)
        if not rules.is_on or self._settings.is_feedback(rules.judge):
            return outcome
        if self._random.random() >= rules.share:
            return outcome
        mode = self.mode(pairing.lever, pairing.scope, pairing.version, pairing.begins)
        if mode is Mode.OFF:
            return outcome
        done = partial(self._ended, inbound, pairing, rules, is_events(outcome.headers))
        if isinstance(outcome.body, bytes):
            inbound.settlement.listeners.append(WholeAnswer(outcome.body, done))
        else:
            outcome.body = CopiedStream(inbound, outcome.body, done)
        return outcome

    def failed(self, inbound: Inbound, pairing: Pairing, status: int) -> None:
        """The candidate could not serve a call, which the reference then served: that counts too."""
        rules = self._settings.rules_of(pairing.scope)
        if not rules.is_on or status not in _UNFIT or self._random.random() >= rules.share:
            return
        score = Score(candidate=0.0, reference=1.0, reason=f"status {status}", cost=ZERO)

        async def job(asker: Asker) -> None:
            del asker
            call = inbound.call.id
            await self._note(pairing, rules, call, (call, call), score)

        self._aside.offer(job, lever=pairing.payer, feature=pairing.scope)

    def _ended(
        self,
        inbound: Inbound,
        pairing: Pairing,
        rules: EvidenceRules,
        is_stream: bool,  # noqa: FBT001 - bound by `partial`
        entry: Entry,
        body: bytes,
    ) -> None:
        """The caller has its answer: the rest may be asked for."""
        if entry.status is not CallStatus.OK:
            return
        job = partial(self._compare, inbound, pairing, rules, is_stream, body)
        self._aside.offer(job, lever=pairing.payer, feature=pairing.scope)

    async def _compare(
        self,
        inbound: Inbound,
        pairing: Pairing,
        rules: EvidenceRules,
        is_stream: bool,  # noqa: FBT001 - bound by `partial`
        body: bytes,
        asker: Asker,
    ) -> None:
        self._judges.check(rules.judge, pairing.candidate)
        served = shown(inbound.codec.endpoint, body, is_stream=is_stream)
        ask = partial(self._asked, asker, inbound, pairing.payer)
        call = inbound.call.id
        paid: list[Money] = []
        calls = [call, call]  # the candidate's, the reference's
        if pairing.is_candidate_served:
            answer = await ask(pairing.reference, "the reference answer")
            candidate, reference = served, _good(answer)
            calls[1] = answer.entry.call_id
            paid.append(answer.entry.cost)
        elif pairing.shown is not None:
            candidate, reference = pairing.shown, served
        else:
            answer = await ask(pairing.candidate, "the candidate's answer")
            paid.append(answer.entry.cost)
            calls[0] = answer.entry.call_id
            if answer.status in _UNFIT:
                score = Score(
                    candidate=0.0, reference=1.0, reason=f"status {answer.status}", cost=paid[0]
                )
                await self._note(pairing, rules, call, (calls[0], call), score)
                return
            candidate, reference = _good(answer), served
        score = await self._judges.judge(asker, inbound, rules.judge, candidate, reference)
        whole = sum(paid, score.cost)
        priced = msgspec.structs.replace(score, cost=whole)
        await self._note(pairing, rules, call, (calls[0], calls[1]), priced)
        if self._random.random() < rules.repeat_share and not self._judges.is_alone(rules.judge):
            await self._repeat(asker, inbound, pairing, rules, (calls[1], reference))

    async def _repeat(
        self,
        asker: Asker,
        inbound: Inbound,
        pairing: Pairing,
        rules: EvidenceRules,
        reference: tuple[str, Shown],
    ) -> None:
        """The reference against itself."""
        answer = await self._asked(
            asker, inbound, pairing.payer, pairing.reference, "the reference once more"
        )
        again = _good(answer)
        score = await self._judges.judge(asker, inbound, rules.judge, again, reference[1])
        priced = msgspec.structs.replace(score, cost=score.cost + answer.entry.cost)
        noise = msgspec.structs.replace(pairing, lever=REPEATS, version=pairing.reference)
        rules = msgspec.structs.replace(rules, share=rules.share * rules.repeat_share)
        await self._note(
            noise, rules, inbound.call.id, (answer.entry.call_id, reference[0]), priced
        )

    async def _asked(
        self, asker: Asker, inbound: Inbound, lever: str, model: str, why: str
    ) -> AsideAnswer:
        """A second answer, at the tier of the configuration where its provider has that."""
        body = inbound.whole_body
        tiered = with_tier(inbound.codec.endpoint, body, self._settings.service_tier)
        answer = await asker.ask(inbound, model, lever=lever, why=why, body=tiered)
        if answer.status in _UNFIT and tiered != body:  # not for this model, or not at this tier
            answer = await asker.ask(inbound, model, lever=lever, why=why, body=body)
        return answer

    async def _note(
        self,
        pairing: Pairing,
        rules: EvidenceRules,
        call: str,
        calls: tuple[str, str],
        score: Score,
    ) -> None:
        """Keep a comparison; where it moves the lever, the move counts at once at this worker."""
        now_us = self._clock.now_us()
        mode = self._board.mode(pairing.lever, pairing.scope)
        compared = Compared(
            version=pairing.version,
            mode=mode,
            candidate_call=calls[0],
            reference_call=calls[1],
            reason=score.reason,
            evidence=Evidence(
                call=call,
                lever=pairing.lever,
                feature=pairing.scope,
                judge=rules.judge,
                score=score.candidate,
                reference=score.reference,
                probability=rules.share,
                at_us=now_us,
                cost=score.cost,
            ),
        )
        if pairing.lever != REPEATS and pairing.begins is not Mode.SHADOW:
            key = (pairing.lever, pairing.scope, pairing.version)
            begin = partial(self._keeper.begin, *key, now_us, mode=pairing.begins)
            await asyncio.to_thread(begin)
        state = await asyncio.to_thread(self._keeper.note, compared, now_us)
        if pairing.lever != REPEATS and state.mode is not mode:
            await self._board.refresh()


def _good(answer: AsideAnswer) -> Shown:
    """What it shows.

    Raises:
        Incomplete: it is an error.
    """
    if not answer.is_good:
        raise Incomplete(
            f"A second answer ended with status {answer.status}. Nothing is compared for this "
            f"call; what was spent is booked. See /api/calls/{answer.entry.call_id}."
        )
    return seen_of(answer)
