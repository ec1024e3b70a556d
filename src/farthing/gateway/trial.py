"""The account of one try at one upstream: reserved before it, booked when it ends."""

from __future__ import annotations

from typing import Final

import msgspec

from farthing.call import Attempt, AttemptStatus, Pricing
from farthing.clock import Clock
from farthing.codecs import Answer, BilledPart
from farthing.gateway.headers import Headers
from farthing.gateway.inbound import Inbound
from farthing.gateway.pricer import FREE, Price, Pricer
from farthing.gateway.targets import Target
from farthing.money import ZERO
from farthing.usage import NO_USAGE, Usage

__all__ = ["Trial"]

_INTERRUPTED: Final = AttemptStatus.INTERRUPTED  # to find a member of an enum takes time
_REQUEST_IDS = (b"x-request-id", b"request-id")


class Trial:
    """One try; each of `answered`, `refused` and `lost` ends it and books its attempt."""

    __slots__ = (
        "_begun_us",
        "_clock",
        "_first_byte_us",
        "_pricer",
        "_started_us",
        "inbound",
        "target",
    )

    def __init__(self, pricer: Pricer, clock: Clock, inbound: Inbound, target: Target) -> None:
        self.inbound = inbound
        self.target = target
        self._pricer = pricer
        self._clock = clock
        self._first_byte_us = 0
        self._started_us = clock.now_us()
        self._begun_us = clock.monotonic_us()

    def begin(self) -> None:
        """Journal the intent; from here on the try is in the ledger whatever happens.

        Raises:
            UnknownPrice: no price is known and the policy is to refuse; nothing is journaled.
        """
        inbound, target = self.inbound, self.target
        hold = inbound.settlement.hold
        if hold is None:
            usage, price = self._pricer.reserve(inbound.call, inbound.view, target)
        else:
            usage, price = hold.usage, hold.price
        reserved = Attempt(
            number=inbound.settlement.attempts + 1,
            provider=target.provider,
            model=target.model,
            status=_INTERRUPTED,
            usage=usage,
            pricing=price.pricing,
            cost=price.cost,
            card_cost=price.card_cost,
            card_id="" if price.card is None else price.card.id,
            started_us=self._started_us,
        )
        inbound.settlement.dispatching(reserved, price, self._begun_us)

    def first_byte(self) -> None:
        """The answer's head is here."""
        self._first_byte_us = self._clock.monotonic_us() - self._begun_us

    def answered(
        self,
        answer: Answer,
        http_status: int,
        headers: Headers,
        status: AttemptStatus = AttemptStatus.OK,
        detail: str = "",
    ) -> None:
        """An answer came, whole or in part; it is priced by what it says it used."""
        hold = self.inbound.settlement.hold
        if hold is not None and answer.usage is not None and answer.usage.is_estimated:
            answer = msgspec.structs.replace(answer, usage=hold.paid(answer.usage))
        price = self._pricer.settle(self.inbound.call, self.target, answer)
        if price.cost is None and hold is not None:  # a budget must count it: what was held
            price = msgspec.structs.replace(price, pricing=Pricing.ESTIMATED, cost=hold.price.cost)
        detail = detail or answer.error or price.detail
        attempt = self._attempt(status, answer, price, http_status, headers, detail)
        self.inbound.settlement.ended(attempt, price)
        for part in answer.parts:
            self._billed_beside(part, answer, http_status, headers)

    def _billed_beside(
        self, part: BilledPart, answer: Answer, http_status: int, headers: Headers
    ) -> None:
        """Another model's share of the same answer (a server-side fallback): an attempt of its own.

        Where the provider told one sum for the whole answer, that sum already holds this share.
        """
        alone = Answer(usage=part.usage, model_served=part.model, terms=answer.terms)
        price = self._pricer.settle(self.inbound.call, self.target, alone)
        if answer.provider_cost is not None:
            price = msgspec.structs.replace(price, pricing=Pricing.PROVIDER, cost=ZERO)
        attempt = self._attempt(AttemptStatus.OK, alone, price, http_status, headers, part.kind)
        self.inbound.settlement.ended(attempt, price)

    def refused(self, http_status: int, headers: Headers, detail: str) -> None:
        """The provider answered with an error; it bills nothing for that."""
        attempt = self._attempt(
            AttemptStatus.ERROR, Answer(usage=None), FREE, http_status, headers, detail
        )
        self.inbound.settlement.ended(attempt, FREE)

    def lost(self, status: AttemptStatus, detail: str, *, may_have_run: bool) -> None:
        """No answer came; the estimated input is booked if the provider may have run the call."""
        answer, price = Answer(usage=None), FREE
        if may_have_run:
            usage = Usage(input=self.inbound.view.input_estimate, is_estimated=True)
            answer = Answer(usage=usage)
            price = self._pricer.settle(self.inbound.call, self.target, answer)
        self.inbound.settlement.ended(self._attempt(status, answer, price, detail=detail), price)

    def _attempt(
        self,
        status: AttemptStatus,
        answer: Answer,
        price: Price,
        http_status: int = 0,
        headers: Headers | None = None,
        detail: str = "",
    ) -> Attempt:
        target = self.target
        return Attempt(
            number=self.inbound.settlement.attempts + 1,
            provider=target.provider,
            model=target.model,
            status=status,
            model_served=answer.model_served,
            http_status=http_status,
            detail=detail,
            request_id=_request_id(headers) if headers else "",
            usage=answer.usage or NO_USAGE,
            terms=answer.terms,
            pricing=price.pricing,
            cost=price.cost,
            card_cost=price.card_cost,
            provider_cost=answer.provider_cost,
            card_id=price.card.id if price.card is not None else "",
            started_us=self._started_us,
            first_byte_us=self._first_byte_us,
            duration_us=self._clock.monotonic_us() - self._begun_us,
            finish_reason=answer.finish_reason,
        )


def _request_id(headers: Headers) -> str:
    for name, value in headers:
        if value and name in _REQUEST_IDS:
            return value.decode("latin-1")[:128]
    return ""
