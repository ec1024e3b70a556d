"""The stage that reaches providers: targets in order, retries, breakers; the one retry owner.

A try is repeated only before the first byte went to the client, and only where the provider said
that it is worth it. A call that the provider may have run is not sent twice, unless configured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from random import Random

import msgspec

from farthing.clock import Clock
from farthing.config import RetrySettings
from farthing.errors import ProviderError
from farthing.gateway import retry
from farthing.gateway.escrow import OverBudget
from farthing.gateway.exchange import Broken, Exchange, Failure, Refused
from farthing.gateway.inbound import Inbound, Outcome
from farthing.gateway.refusal import refusal
from farthing.gateway.targets import Target, Targets, protocol_of
from farthing.gateway.upstreams import Upstream

__all__ = ["Attempts"]

Sleep = Callable[[float], Awaitable[None]]


class AllOut(ProviderError):
    """Every target's breaker is open."""

    code = "providers_unavailable"
    status = 503


class Attempts:
    """Serves a call by trying its targets."""

    def __init__(  # noqa: PLR0913 - wired once, at start
        self,
        *,
        settings: RetrySettings,
        targets: Targets,
        upstreams: Mapping[str, Upstream],
        exchange: Exchange,
        clock: Clock,
        sleep: Sleep,
        random: Random,
    ) -> None:
        self._retry = settings
        self._targets = targets
        self._upstreams = upstreams
        self._exchange = exchange
        self._clock = clock
        self._sleep = sleep
        self._random = random

    def __call__(self, inbound: Inbound) -> Awaitable[Outcome]:
        """The first good answer; else the last failure, in the caller's protocol.

        Raises:
            NoTarget: no provider serves the model.
            UnknownPrice: the policy refuses calls without a known price.
            OverBudget: a budget has no room for it, nor for the model it is to be served by then.
        """
        if self._exchange.has_budgets:
            return self._serve_within_budgets(inbound)
        return self._serve(inbound, inbound.call.model)

    async def _serve_within_budgets(self, inbound: Inbound) -> Outcome:
        try:
            return await self._serve(inbound, inbound.call.model)
        except OverBudget as error:
            refused = error.refused
            if refused.action != "downgrade" or inbound.settlement.attempts:
                raise
            return await self._serve(inbound, refused.downgrade_to)

    async def _serve(self, inbound: Inbound, model: str) -> Outcome:
        """Serve the call as one for `model`, the name that targets and budgets go by."""
        failure: Failure | None = None
        protocol = protocol_of(inbound.call.endpoint)
        targets = self._targets.find(model, protocol)
        meant = targets[0].provider
        if model != inbound.call.model:
            meant = self._targets.find(inbound.call.model, protocol)[0].provider
        for target in targets:
            upstream = self._upstreams[target.provider]
            breaker = upstream.breaker
            if not (breaker.is_closed or breaker.admits(self._clock.monotonic_us())):
                continue
            seen = inbound if target.provider == meant else _at_another(inbound)
            tried = await self._exchange.send(seen, target, model)
            if not isinstance(tried, Outcome):
                tried = await self._retried(seen, target, model, tried)
            if isinstance(tried, Outcome):
                breaker.succeeded()
                return tried
            failure = tried
            if not self._may_repeat(failure):
                break
        return self._given_up(inbound, failure)

    async def _retried(
        self, inbound: Inbound, target: Target, model: str, tried: Failure
    ) -> Outcome | Failure:
        """Try the target again after its first failure, as often as that is of use."""
        upstream = self._upstreams[target.provider]
        for number in range(1, self._retry.retries_max + 2):
            self._judge(upstream, tried)
            wait_s = self._wait_s(tried, number)
            if wait_s is None:
                return tried
            await self._sleep(wait_s)
            if not upstream.breaker.admits(self._clock.monotonic_us()):
                return tried
            again = await self._exchange.send(inbound, target, model)
            if isinstance(again, Outcome):
                return again
            tried = again
        raise AssertionError("unreachable")  # after the last retry there is no wait

    def _wait_s(self, failure: Failure, number: int) -> float | None:
        """Seconds until the next try at the same target; None: no more of them."""
        if number > self._retry.retries_max or not self._may_repeat(failure):
            return None
        asked_s = None
        if isinstance(failure, Refused):
            outcome = failure.outcome
            assert isinstance(outcome.body, bytes)  # noqa: S101 - errors are read whole
            if not retry.mends_by_waiting(outcome.status, outcome.body):
                return None
            asked_s = self._asked_s(outcome)
        return retry.wait_s(self._retry, number, asked_s, self._random)

    def _asked_s(self, outcome: Outcome) -> float | None:
        """The wait that the provider asks for."""
        return retry.retry_after_s(outcome.headers, self._clock.now_us() / 1_000_000)

    def _may_repeat(self, failure: Failure) -> bool:
        if isinstance(failure, Refused):
            return failure.outcome.status in retry.RETRIED_STATUSES
        return self._retry.retry_ambiguous or not failure.error.may_have_run

    def _judge(self, upstream: Upstream, failure: Failure) -> None:
        """Tell the breaker; only the provider's own faults count against it."""
        if isinstance(failure, Broken) or retry.is_provider_fault(failure.outcome.status):
            upstream.breaker.failed(self._clock.monotonic_us())
        else:
            upstream.breaker.succeeded()

    def _given_up(self, inbound: Inbound, failure: Failure | None) -> Outcome:
        """The provider's own words where there are any, else ours.

        Where Farthing retries, SDKs are told not to, whatever the provider told us: both together
        would multiply. Only a wait too long for us is left to them.
        """
        if failure is None:
            return refusal(
                inbound.codec,
                AllOut(
                    "Every provider for this model is out after repeated failures. Nothing was sent "
                    "and nothing was charged. Try again in a few seconds, or see /healthz."
                ),
            )
        if not isinstance(failure, Refused):
            return refusal(inbound.codec, failure.error)
        outcome = failure.outcome
        if self._retry.retries_max > 0 and outcome.status in retry.RETRIED_STATUSES:
            asked_s = self._asked_s(outcome)
            if asked_s is None or asked_s <= self._retry.wait_s_max:
                outcome.headers[:] = [h for h in outcome.headers if h[0] != b"x-should-retry"]
                outcome.headers.append((b"x-should-retry", b"false"))
        return outcome


def _at_another(inbound: Inbound) -> Inbound:
    """The call as another provider gets it than the one its caller means by the model's name.

    The caller's own credential, where one is passed on, is none of that provider's business.
    """
    return msgspec.structs.replace(inbound, caller=inbound.caller.at_another())
