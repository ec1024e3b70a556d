"""The account of one routed call: what it would have cost at the incumbent, and what is noted of it.

Where the incumbent answered too, its own cost is the baseline. Else it is an estimate: the usage of
the answer that was taken, at the incumbent's card. Where the incumbent would have had the session's
prompt in its cache, and the switch lost it, those tokens count at the incumbent's cache price, so
that the lost prompt cache is charged to the switch.
"""

from __future__ import annotations

from typing import Final

import msgspec

from farthing.call import Attempt, AttemptStatus, Endpoint
from farthing.gateway.inbound import Inbound
from farthing.gateway.pricer import Pricer
from farthing.gateway.route_board import RouteBoard
from farthing.gateway.route_pins import Pin
from farthing.gateway.route_pool import RoutePool
from farthing.gateway.route_steps import Served
from farthing.gateway.settlement import Settlement
from farthing.gateway.targets import NoTarget, Target
from farthing.ledger import LeverMove
from farthing.levers.routing.classes import UNKNOWN
from farthing.levers.routing.serving import Choice, write_choice
from farthing.money import ZERO, Money, total
from farthing.usage import STANDARD, Usage

__all__ = ["LEVER", "RouteAccount", "plain_choice"]

LEVER: Final = "routing"
_CACHED_US: Final = 300_000_000  # how long providers keep a prompt at least
_CACHED_LEAST: Final = 1024  # tokens; below it no provider caches
_CACHED_STEP: Final = 128


class RouteAccount:
    """Closes with its call: `book` is asked once, before the entry is made."""

    def __init__(
        self, board: RouteBoard, pricer: Pricer, pool: RoutePool, inbound: Inbound
    ) -> None:
        self._board = board
        self._pricer = pricer
        self._pool = pool
        self._inbound = inbound
        self.choice = plain_choice(pool, "nothing was decided")
        self.served: Served | None = None
        self.pin_key: tuple[str, ...] = ()
        self.pin: Pin | None = None
        self.key = ""
        self.now_us = 0  # of day
        self.begun_us = 0  # monotonic

    def book(self) -> None:
        """Book what the lever saved and spent, and take the call into what is watched."""
        settlement = self._inbound.settlement
        served = self.served
        own = self._incumbent_targets()
        account = settlement if served is None else served.account
        taken = _taken(account)
        if served is not None:
            self._note(served)
        note = write_choice(self.choice)
        settlement.told(note)
        if taken is None:
            return
        attempts = settlement.ended_attempts
        if served is not None:
            self._heard(served, taken)
            self._remember(served, taken)
            self._learn(served, attempts)
        if len(attempts) == 1 and (taken.provider, taken.model) in own:
            return  # the incumbent alone: nothing moved
        baseline = self._baseline(taken, attempts, own)
        if taken.cost is None or baseline is None:
            settlement.moved(LeverMove(lever=LEVER, saved=ZERO, spent=ZERO), note, is_known=False)
            return
        others = total(tuple(a.cost for a in attempts if a.cost is not None)) - taken.cost
        less = baseline - taken.cost
        settlement.moved(
            LeverMove(
                lever=LEVER,
                saved=less if less.nanodollars > 0 else ZERO,
                spent=others if less.nanodollars > 0 else others - less,
            ),
            note,
        )

    def _note(self, served: Served) -> None:
        escalated = served.has_voted and served.account is self._inbound.settlement
        reason = self.choice.reason
        self.choice = msgspec.structs.replace(
            self.choice,
            served=served.model,
            asked=served.asked,
            escalated=escalated,
            reason=f"{reason}; {served.note}" if served.note else reason,
        )
        counts = self._pool.counts
        counts[self.choice.arm] += 1
        counts["escalated"] += escalated
        counts["failed_over"] += bool(served.note)
        if served.has_voted:
            self._pool.escalation(self.key, escalated=escalated)
        elif self.choice.reason.startswith("the key's share"):
            self._pool.escalation(self.key, escalated=False)
        if self.choice.policy:
            is_own = not self.choice.would  # charts know the policy's own step alone
            voted = escalated if served.has_voted and is_own else None
            name = self.choice.name
            self._pool.watch(self.choice.policy, name, self.now_us, escalated=voted)

    def _heard(self, served: Served, taken: Attempt) -> None:
        if self.choice.policy and taken.status is AttemptStatus.OK:
            self._pool.heard(
                self.choice.policy, served.model, taken.model, taken.model_served, self.now_us
            )

    def _remember(self, served: Served, taken: Attempt) -> None:
        if self.pin_key and taken.status is AttemptStatus.OK:
            tokens = _prompt(taken.usage)
            self._pool.pin(self.pin_key, Pin(served.model, self.begun_us, tokens))

    def _learn(self, served: Served, attempts: tuple[Attempt, ...]) -> None:
        """What the drawn step cost, where all of it is known."""
        choice = self.choice
        costs = [attempt.cost for attempt in attempts if attempt.cost is not None]
        if choice.explores and len(costs) == len(attempts) and not served.note:
            self._pool.explorer.learn(
                (choice.policy, choice.name), choice.step, total(tuple(costs))
            )

    def _incumbent_targets(self) -> frozenset[tuple[str, str]]:
        endpoint = self._inbound.call.endpoint
        try:
            found = self._board.targets(self._pool.settings.incumbent, endpoint)
        except NoTarget:
            return frozenset()
        return frozenset((target.provider, target.model) for target in found)

    def _baseline(
        self, taken: Attempt, attempts: tuple[Attempt, ...], own: frozenset[tuple[str, str]]
    ) -> Money | None:
        """What the incumbent would have cost; None where it has no price."""
        told = [
            a
            for a in attempts
            if (a.provider, a.model) in own and a.status is AttemptStatus.OK and a.cost is not None
        ]
        if told:
            return told[-1].cost
        if not own:
            return None
        call = self._inbound.call
        target = Target(*min(own))
        usage = self._warm(taken.usage)
        price = self._pricer.price(call, target, target.model, usage, taken.terms)
        if price.cost is None:
            price = self._pricer.price(call, target, target.model, usage, STANDARD)
        return price.cost

    def _warm(self, usage: Usage) -> Usage:
        """The usage as the incumbent would have had it, had it served the session before."""
        pin = self.pin
        if pin is None or self.begun_us - pin.at_us > _CACHED_US:
            return usage
        view = self._inbound.view
        if self._inbound.call.endpoint is Endpoint.ANTHROPIC_MESSAGES and not view.cache_write_ttl:
            return usage  # there a prompt is cached only where that is asked for
        cached = min(pin.prompt_tokens, _prompt(usage)) // _CACHED_STEP * _CACHED_STEP
        more = cached - usage.cache_read
        if cached < _CACHED_LEAST or more <= 0:
            return usage
        fresh = min(more, usage.input)
        written = min(more - fresh, usage.cache_write_5m)
        return msgspec.structs.replace(
            usage,
            cache_read=usage.cache_read + fresh + written,
            input=usage.input - fresh,
            cache_write_5m=usage.cache_write_5m - written,
        )


def plain_choice(pool: RoutePool, reason: str) -> Choice:
    """The incumbent, where no policy was asked."""
    return Choice(
        pool=pool.name, name=UNKNOWN, arm="incumbent", step=pool.settings.incumbent, reason=reason
    )


def _taken(account: Settlement) -> Attempt | None:
    """The attempt whose answer was taken: the last good one, else the last that cost anything."""
    attempts = account.ended_attempts
    good = [a for a in attempts if a.status is AttemptStatus.OK]
    if good:
        return good[-1]
    return attempts[-1] if attempts and attempts[-1].cost != ZERO else None


def _prompt(usage: Usage) -> int:
    return usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
