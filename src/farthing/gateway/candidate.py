"""The stage that tries a candidate model for a feature: watched first, then for more of its calls.

`[evidence] candidate = "gpt-4o-mini"` names it. In shadow the model that was asked for serves, and
the candidate's answer is made beside it for a share of the calls. As the evidence allows it, the
candidate serves 1, 10, 50 and then all per cent of the sessions; the other model is the reference.
A candidate that fails costs no call: the model that was asked for serves it then.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from farthing.call import UNATTRIBUTED, Endpoint
from farthing.errors import FarthingError
from farthing.evidence import EvidenceSettings, Mode
from farthing.gateway.comparing import Comparer, Pairing
from farthing.gateway.identify import ModelNotAllowed, check_model
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.pricer import Pricer
from farthing.gateway.targets import NoTarget, Target, Targets, protocol_of
from farthing.ledger import LeverMove
from farthing.money import ZERO, Money, total

__all__ = ["LEVER", "CandidateTrial"]

LEVER: Final = "candidate"
_TRIED: Final = frozenset({Endpoint.OPENAI_CHAT, Endpoint.ANTHROPIC_MESSAGES})
_VIRTUAL: Final = "farthing/"  # pools choose for themselves
_HEADER: Final = b"x-farthing-evidence"


class CandidateTrial:
    """Serves calls by the candidate as far as its evidence goes."""

    def __init__(
        self, settings: EvidenceSettings, comparer: Comparer, targets: Targets, pricer: Pricer
    ) -> None:
        self._settings = settings
        self._comparer = comparer
        self._targets = targets
        self._pricer = pricer

    def __call__(self, inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
        """Serve the call; one that no candidate is tried for passes at once."""
        call = inbound.call
        rules = self._settings.rules_of(call.attribution.feature)
        if (
            not rules.is_on
            or not rules.candidate
            or rules.candidate == call.model
            or call.endpoint not in _TRIED
            or call.model.startswith(_VIRTUAL)
        ):
            return proceed(inbound)
        return self._tried(inbound, proceed, rules.candidate)

    async def _tried(self, inbound: Inbound, proceed: Proceed, candidate: str) -> Outcome:
        call = inbound.call
        protocol = protocol_of(call.endpoint)
        try:
            check_model(inbound.caller.key, candidate)
            own = self._targets.find(call.model, protocol)
            self._targets.find(candidate, protocol)
        except (ModelNotAllowed, NoTarget):
            return await proceed(inbound)
        scope = call.attribution.feature or UNATTRIBUTED
        mode = self._comparer.mode(LEVER, scope, candidate)
        is_candidates = mode.share > 0 and _place(inbound) < mode.share
        pairing = Pairing(
            lever=LEVER,
            scope=scope,
            version=candidate,
            candidate=candidate,
            reference=call.model,
            is_candidate_served=is_candidates,
        )
        if is_candidates:
            inbound.settlement.closing += (self._booking(inbound, own, mode),)
            outcome = await self._by_candidate(inbound, proceed, pairing)
            if outcome is not None:
                outcome.headers.append((_HEADER, f"candidate; {mode}".encode()))
                return self._comparer.follow(inbound, outcome, pairing)
            return await proceed(inbound)
        outcome = await proceed(inbound)
        return self._comparer.follow(inbound, outcome, pairing)

    async def _by_candidate(
        self, inbound: Inbound, proceed: Proceed, pairing: Pairing
    ) -> Outcome | None:
        """The candidate's answer; None where it could not serve the call."""
        call = msgspec.structs.replace(inbound.call, model=pairing.candidate)
        try:
            outcome = await proceed(msgspec.structs.replace(inbound, call=call))
        except FarthingError:
            return None
        if outcome.status < 400:
            return outcome
        self._comparer.failed(inbound, pairing, outcome.status)
        return None

    def _booking(self, inbound: Inbound, own: tuple[Target, ...], mode: Mode) -> Callable[[], None]:
        def book() -> None:
            self._book(inbound, own, mode)

        return book

    def _book(self, inbound: Inbound, own: tuple[Target, ...], mode: Mode) -> None:
        """Book what the candidate saved: beside an estimate, its usage at the other's price."""
        settlement = inbound.settlement
        attempts = settlement.ended_attempts
        if not attempts:
            return
        taken, others = attempts[-1], attempts[:-1]
        lost = total(tuple(one.cost for one in others if one.cost is not None))
        if Target(taken.provider, taken.model) in own:
            if others:
                move = LeverMove(lever=LEVER, saved=ZERO, spent=lost)
                settlement.moved(move, "the candidate failed; the model asked for served")
            return
        note = f"served by the candidate {taken.model} ({mode})"
        price = self._pricer.price(inbound.call, own[0], own[0].model, taken.usage, taken.terms)
        if taken.cost is None or price.cost is None:
            move = LeverMove(lever=LEVER, saved=ZERO, spent=lost)
            settlement.moved(move, note, is_known=False)
            return
        less: Money = price.cost - taken.cost
        is_cheaper = less.nanodollars > 0
        move = LeverMove(
            lever=LEVER,
            saved=less if is_cheaper else ZERO,
            spent=lost if is_cheaper else lost - less,
        )
        settlement.moved(move, note)


def _place(inbound: Inbound) -> float:
    """Where the call's session lies in 0..1: a session is served by one model while a mode lasts."""
    call = inbound.call
    whom = call.attribution
    unit = whom.session or whom.trace or f"{whom.user} {call.conversation.last_turn}".strip()
    return zlib.crc32(f"{whom.tenant} {unit or call.id}".encode()) / 2**32
