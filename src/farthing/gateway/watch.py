"""The stages that hold back callers who ask too much: rate limits per key, sessions that run away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from farthing.budgets.runaway import Evidence, RunawayDetector, mark_of
from farthing.clock import Clock
from farthing.gateway.headers import Headers
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.refusal import HeldBack
from farthing.gateway.targets import protocol_of
from farthing.ledger import Entry
from farthing.limits import (
    Limiter,
    Limits,
    TooMany,
    anthropic_headers,
    openai_headers,
    retry_headers,
)

__all__ = ["RateLimited", "RateLimits", "Runaway", "RunawayWatch"]


class RateLimited(HeldBack):
    """The caller's key has used up a limit; nothing was sent."""

    code = "rate_limited"

    def __init__(self, refused: TooMany) -> None:
        super().__init__(str(refused))
        self.refused = refused

    @property
    def details(self) -> dict[str, Any]:
        """The limit and what is left of it."""
        refused = self.refused
        return {
            "limit": refused.limit,
            "what": refused.what,
            "asked": refused.asked,
            "remaining": refused.remaining,
        }

    @property
    def headers(self) -> Headers:
        """When to try again."""
        return retry_headers(self.refused)

    @property
    def is_retriable(self) -> bool:
        """What fits later may be tried again."""
        return not self.refused.is_never


class RateLimits:
    """The stage of requests and tokens a minute, and of running calls, per key."""

    def __init__(self, limiter: Limiter, clock: Clock) -> None:
        self._limiter = limiter
        self._clock = clock

    async def __call__(self, inbound: Inbound, proceed: Proceed) -> Outcome:
        """Serve the call if its key's limits allow, and tell in headers what is left of them.

        Raises:
            RateLimited: they do not.
        """
        key, view = inbound.caller.key, inbound.view
        now_us = self._clock.monotonic_us()
        tokens = view.input_estimate + inbound.call.output_most * max(1, view.choices)
        tenant = "" if key is None else key.tenant
        permit = self._limiter.admit("" if key is None else key.id, tokens, now_us, tenant=tenant)
        if isinstance(permit, TooMany):
            raise RateLimited(permit)

        def settle(entry: Entry, ended_us: int) -> None:
            permit.settle(_tokens(entry), ended_us)

        inbound.settlement.listeners.append(settle)
        outcome = await proceed(inbound)
        own = self._headers(inbound, permit.limits)
        if own:
            names = {name for name, _ in own}
            outcome.headers[:] = [pair for pair in outcome.headers if pair[0] not in names]
            outcome.headers += own
        return outcome

    def _headers(self, inbound: Inbound, limits: Limits) -> Headers:
        if protocol_of(inbound.call.endpoint) == "anthropic":
            return anthropic_headers(limits, self._clock.now_us())
        return openai_headers(limits)


class Runaway(HeldBack):
    """The session was stopped; nothing was sent."""

    code = "session_stopped"

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(
            f"{evidence} It was stopped by this gateway's rules. Nothing was sent and nothing was "
            "charged. Begin another session; this one is free again once the gateway has "
            "restarted, by the rules that [runaway] in farthing.toml then sets."
        )
        self.evidence = evidence

    @property
    def details(self) -> dict[str, Any]:
        """The evidence."""
        found = self.evidence
        return {
            "reason": found.reason,
            "session": found.session,
            "steps": found.steps,
            "equal_calls": found.equal_calls,
            "spent_usd": str(found.spent),
        }


class RunawayWatch:
    """The stage that looks for sessions and traces that run away.

    `tell` hears of each that is noticed, once a rule; it must not block.
    """

    def __init__(
        self, detector: RunawayDetector, clock: Clock, tell: Callable[[Evidence], None]
    ) -> None:
        self._detector = detector
        self._clock = clock
        self._tell = tell
        self._told: set[tuple[str, str]] = set()

    async def __call__(self, inbound: Inbound, proceed: Proceed) -> Outcome:
        """Serve the call unless its session is stopped.

        Raises:
            Runaway: it is.
        """
        whom = inbound.call.attribution
        session = whom.session or whom.trace
        if not session:
            return await proceed(inbound)
        mark = mark_of(bytes(inbound.view.last_message))
        evidence = self._detector.look(session, mark, self._clock.now_us())
        if evidence is not None:
            self._tell_once(evidence)
            if evidence.action == "stop":
                raise Runaway(evidence)
        inbound.settlement.listeners.append(self._book)
        return await proceed(inbound)

    def _book(self, entry: Entry, ended_us: int) -> None:
        del ended_us
        whom = entry.attribution
        self._detector.book(whom.session or whom.trace, entry.cost, self._clock.now_us())

    def _tell_once(self, evidence: Evidence) -> None:
        what = (evidence.session, f"{evidence.action} {evidence.reason}")
        if what not in self._told:
            if len(self._told) >= _TOLD_MAX:
                self._told.clear()
            self._told.add(what)
            self._tell(evidence)


_TOLD_MAX = 10_000


def _tokens(entry: Entry) -> int:
    """All tokens that went in and came out."""
    usages: Sequence[Any] = [attempt.usage for attempt in entry.attempts]
    return sum(usage.prompt_tokens + usage.completion_tokens for usage in usages)
