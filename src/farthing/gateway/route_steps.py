"""Carries out a routing step: asks the models that the decision names, and takes the answer.

Voters are tries of the same call, side by side, each with money of its own; nothing of theirs goes
out before it is decided whose answer is taken. The last model of a step streams as any call does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import msgspec

from farthing.call import AttemptStatus
from farthing.clock import Clock
from farthing.codecs import NotReplayable, replayed, said_in, with_effort
from farthing.errors import CallerError
from farthing.gateway.cost_comment import cost_comment, is_cost_told
from farthing.gateway.escrow import OverBudget
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.pricer import UnknownPrice
from farthing.gateway.settlement import Settlement
from farthing.gateway.targets import NoTarget
from farthing.levers.routing.answers import final_answer
from farthing.levers.routing.step import Accept, Answered, Ask, Single, Step, decide
from farthing.levers.routing.validators import passed_by
from farthing.wire import close_iterator

__all__ = ["Known", "Served", "StepRunner", "scores_of"]

_LOG = logging.getLogger("farthing")
_LOST: Final = frozenset({AttemptStatus.TIMEOUT, AttemptStatus.CUT, AttemptStatus.CANCELLED})


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a call before it is answered.

    `schema` is the JSON schema that it asks for, for validators; `scores` are learned.
    """

    schema: object = None
    scores: Mapping[str, float] = {}


class Served(msgspec.Struct, kw_only=True):
    """What a step came to. `account` is where the attempt stands whose answer was taken."""

    outcome: Outcome
    model: str
    account: Settlement
    asked: tuple[str, ...] = ()
    has_voted: bool = False
    note: str = ""


class _Voted(msgspec.Struct, kw_only=True):
    """One model's answer, held back."""

    account: Settlement
    outcome: Outcome | None = None


class StepRunner:
    """Runs steps; holds nothing between calls."""

    def __init__(self, clock: Clock, stream_cost: str, *, retries_lost: bool) -> None:
        """`retries_lost`: a call that a provider may have run may be sent to another."""
        self._clock = clock
        self._stream_cost = stream_cost
        self._retries_lost = retries_lost

    async def run(
        self, step: Step, incumbent: str, inbound: Inbound, proceed: Proceed, known: Known
    ) -> Served:
        """Serve the call by the step; what fails of it, the incumbent serves.

        Raises:
            OverBudget: a budget has no room for it.
        """
        answers: dict[str, Answered] = {}
        voted: dict[str, _Voted] = {}
        scores = {**scores_of(inbound), **known.scores}
        while True:
            move = decide(step, answers, scores)
            if isinstance(move, Accept):
                return await self._accepted(move.model, voted, incumbent, inbound, proceed)
            if _is_last(step, move, answers, scores):
                (model,) = move.models
                served = await self._last(model, step, incumbent, inbound, proceed)
                served.asked = (*voted, *served.asked)
                served.has_voted = bool(voted)
                return served
            for model, one in zip(
                move.models, await self._vote(move, inbound, proceed), strict=True
            ):
                voted[model] = one
                answers[model] = _answered(inbound, one, known.schema)

    async def _vote(self, move: Ask, inbound: Inbound, proceed: Proceed) -> list[_Voted]:
        """Ask all of them at the same time; answers are whole, whatever the client asked for."""
        body = inbound.whole_body
        view = msgspec.structs.replace(
            inbound.view, is_streamed=False, wants_usage=False, has_stream_options=False
        )
        accounts = [inbound.settlement.branch() for _ in move.models]
        asked = [
            msgspec.structs.replace(
                inbound,
                call=msgspec.structs.replace(inbound.call, model=model, is_streamed=False),
                view=view,
                body=body,
                settlement=account,
            )
            for model, account in zip(move.models, accounts, strict=True)
        ]
        begun_us = self._clock.monotonic_us()
        before_us = inbound.settlement.upstream_us
        asking = (_held_back(proceed, one) for one in asked)
        found = await asyncio.gather(*asking, return_exceptions=True)  # none is left running
        inbound.settlement.upstream_us = before_us + self._clock.monotonic_us() - begun_us
        voted: list[_Voted] = []
        for account, outcome in zip(accounts, found, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            voted.append(_Voted(account=account, outcome=outcome))
        return voted

    async def _last(
        self, model: str, step: Step, incumbent: str, inbound: Inbound, proceed: Proceed
    ) -> Served:
        """The model whose answer is taken whatever it is; the incumbent where it fails."""
        effort = _effort_of(step, model)
        body = inbound.body
        if effort:
            body = with_effort(inbound.call.endpoint, body, effort)
        sent = msgspec.structs.replace(
            inbound, call=msgspec.structs.replace(inbound.call, model=model), body=body
        )
        try:
            outcome = await proceed(sent)
        except (UnknownPrice, NoTarget) as error:
            if model == incumbent:
                raise
            told = f"{model} could not be asked: {type(error).__name__}"
        else:
            served = Served(
                outcome=outcome, model=model, account=inbound.settlement, asked=(model,)
            )
            if model == incumbent or outcome.status < 400 or not self._may_ask_again(inbound):
                return served
            told = f"{model} answered with status {outcome.status}"
        return await self._instead(incumbent, inbound, proceed, (model,), told)

    async def _accepted(
        self,
        model: str,
        voted: dict[str, _Voted],
        incumbent: str,
        inbound: Inbound,
        proceed: Proceed,
    ) -> Served:
        """A voter's answer goes out, in the form that the client asked for."""
        one = voted[model]
        outcome = one.outcome
        told = f"{model} gave no answer"
        if outcome is not None and isinstance(outcome.body, bytes):
            try:
                body = self._in_form(inbound, outcome.body)
            except NotReplayable as error:
                told = f"the answer of {model} can't be streamed: {error}"
            else:
                headers = outcome.headers
                if inbound.view.is_streamed:
                    headers = [pair for pair in headers if pair[0] != b"content-type"]
                    headers.append((b"content-type", b"text/event-stream; charset=utf-8"))
                    headers.append((b"x-accel-buffering", b"no"))
                return Served(
                    outcome=Outcome(status=outcome.status, headers=headers, body=body),
                    model=model,
                    account=one.account,
                    asked=tuple(voted),
                    has_voted=True,
                )
        served = await self._instead(incumbent, inbound, proceed, tuple(voted), told)
        served.has_voted = True
        return served

    def _in_form(self, inbound: Inbound, body: bytes) -> bytes:
        if not inbound.view.is_streamed:
            return body
        call = inbound.call
        cut = replayed(inbound.codec, inbound.view, body, is_stream=False)
        made = cut.put_together(call.id[5:].encode(), self._clock.now_us() // 1_000_000)
        if is_cost_told(self._stream_cost, inbound.caller):
            made += cost_comment(call.id, inbound.settlement.cost_told)
        return made

    async def _instead(
        self, incumbent: str, inbound: Inbound, proceed: Proceed, asked: tuple[str, ...], told: str
    ) -> Served:
        sent = msgspec.structs.replace(
            inbound, call=msgspec.structs.replace(inbound.call, model=incumbent)
        )
        return Served(
            outcome=await proceed(sent),
            model=incumbent,
            account=inbound.settlement,
            asked=(*asked, incumbent),
            note=f"{told}; the incumbent serves",
        )

    def _may_ask_again(self, inbound: Inbound) -> bool:
        """Whether another model may be asked: a call that may have run is not sent twice."""
        attempts = inbound.settlement.ended_attempts
        return self._retries_lost or not attempts or attempts[-1].status not in _LOST


async def _held_back(proceed: Proceed, inbound: Inbound) -> Outcome | None:
    """One voter's whole answer; None where it has none."""
    try:
        outcome = await proceed(inbound)
    except OverBudget:
        raise
    except CallerError:
        return None
    if not isinstance(outcome.body, bytes):  # a provider that streams unasked
        await close_iterator(outcome.body)
        return None
    return outcome if outcome.is_good else None


def _answered(inbound: Inbound, one: _Voted, schema: object) -> Answered:
    """An answer as the decision sees it; one that is missing agrees with nothing."""
    if one.outcome is None or not isinstance(one.outcome.body, bytes):
        return Answered()
    try:
        said = said_in(inbound.call.endpoint, one.outcome.body)
        if said is None:
            return Answered()
        key = None if said.is_cut or said.is_refusal else final_answer(said.text, said.calls)
        return Answered(key=key, passed=passed_by(said.text, said, schema))
    except Exception:  # edge: an answer that we fail to read must not cost the call
        _LOG.exception("call %s: a voter's answer could not be compared", inbound.call.id)
        return Answered()


def _is_last(step: Step, move: Ask, answers: dict[str, Answered], scores: dict[str, float]) -> bool:
    """Whether this model's answer will be taken, whatever it says."""
    if len(move.models) != 1:
        return False
    after = decide(step, {**answers, move.models[0]: Answered()}, scores)
    return isinstance(after, Accept)


def scores_of(inbound: Inbound) -> dict[str, float]:
    """What is known of a call before it is answered."""
    conversation = inbound.call.conversation
    return {
        "input_tokens": float(inbound.view.input_estimate),
        "turn": float(conversation.turn),
        "step": float(conversation.step),
    }


def _effort_of(step: Step, model: str) -> str:
    """The effort at which a step asks a model as its last; empty: the model's own."""
    match step:
        case Single():
            return step.effort if step.model == model else ""
        case _:
            nested = [
                getattr(step, n) for n in ("otherwise", "cheap", "strong") if hasattr(step, n)
            ]
            return next((found for one in nested if (found := _effort_of(one, model))), "")
