"""What a running call holds of its budgets: the worst case before each try, more as a stream flows.

E1  Nothing is sent before the most it can cost is held on every budget that it falls under.
E2  What a client gets of a stream is paid for before it goes out.
E3  A call's reservation is settled where its entry is posted, at the entry's cost, once.

A token is at least one byte of text, so bytes bound what a provider can bill that is seen.
Reasoning that a provider does not show is not bounded while it streams without a limit of its own;
where that makes a call cost more than it held, it is booked in full and told as an overrun.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec

from farthing.budgets import Refused, Reservation, Treasurer, Wait
from farthing.call import Call, Endpoint
from farthing.errors import CallerError
from farthing.gateway.inbound import Inbound
from farthing.gateway.pricer import Price, Pricer
from farthing.gateway.refusal import HeldBack
from farthing.gateway.targets import Target
from farthing.money import Money
from farthing.usage import Usage

__all__ = ["Escrow", "Hold", "OverBudget", "UnpricedUnderBudget"]

_BUSY_S = 1  # running calls give back what they do not need within seconds
_THROTTLE_S = 10
_SMALLEST_SLICE = 256  # output tokens; below it a stream is not worth beginning
_SMALLEST_STEP = 64  # output tokens by which a stream goes on while money is short


class OverBudget(HeldBack):
    """A budget has no room for the call; `refused` has the arithmetic.

    SDKs do not try again by themselves, except where the budget is set to throttle.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.refused = refused
        self.code = refused.code

    @property
    def told(self) -> dict[str, Any]:
        """What a stream that is stopped says of it."""
        return {"code": self.code, "message": self.refused.midway, **self.details}

    @property
    def details(self) -> dict[str, Any]:
        """The arithmetic, for the body of the refusal; sums in USD."""
        refused = self.refused
        return {
            "budget": refused.budget,
            "key": refused.key,
            "window": refused.window,
            "limit_usd": str(refused.limit),
            "spent_usd": str(refused.spent),
            "reserved_usd": str(refused.reserved),
            "needed_usd": str(refused.needed),
            "shortfall_usd": str(refused.shortfall),
            "resets_at": refused.resets_at or None,
        }

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What is left, and when to try again, where that is of use."""
        refused = self.refused
        left = Money(max(0, (refused.limit - refused.spent).nanodollars))
        told = [(b"x-farthing-budget", str(left).encode())]
        if self.is_retriable or refused.code == "budget_busy":
            wait_s = _BUSY_S if refused.code == "budget_busy" else _THROTTLE_S
            told.append((b"retry-after", b"%d" % wait_s))
        return told

    @property
    def is_retriable(self) -> bool:
        """Whether the budget slows its callers down rather than to turn them away."""
        return self.refused.action == "throttle"


class UnpricedUnderBudget(CallerError):
    """The call falls under a budget and nobody knows what it will cost."""

    code = "unpriced_under_budget"
    status = 400


class Hold:
    """The money of one running call; one task uses it.

    `usage` and `price` are the most that the current try can use and cost. `tokens` is the output
    they cover; past `ask_at` it is time to `cover` more. Infinite where the whole is covered.
    """

    __slots__ = (
        "_asking",
        "_escrow",
        "_inbound",
        "_is_out",
        "_spent",
        "_step",
        "_target",
        "ask_at",
        "price",
        "refused",
        "reservation",
        "tokens",
        "usage",
    )

    def __init__(self, escrow: Escrow, inbound: Inbound, reservation: Reservation) -> None:
        self._escrow = escrow
        self._inbound = inbound
        self.reservation = reservation
        self.refused: Refused | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_out = False

    def begin(self, target: Target, usage: Usage, price: Price, spent: Money) -> None:
        """A try at `target` begins, of which this is the worst case; earlier tries cost `spent`."""
        self._target = target
        self._spent = spent
        self._step = min(self._escrow.slice_tokens, usage.output)
        self._cover(usage, price)

    def _cover(self, usage: Usage, price: Price) -> None:
        self.usage = usage
        self.price = price
        whole = self._inbound.call.output_most * max(1, self._inbound.view.choices)
        if self._escrow.is_sliced(self._inbound) and not 0 < whole <= usage.output:
            self.tokens: float = usage.output
            self.ask_at = self.tokens - self._step / 2
        else:
            self.tokens = self.ask_at = math.inf

    @property
    def output_limit(self) -> int:
        """The limit on output a choice that the request must be given; 0: it has its own."""
        call = self._inbound.call
        if call.is_streamed or call.output_most or not self.usage.output:
            return 0
        return self._escrow.output_tokens

    def paid(self, usage: Usage) -> Usage:
        """An estimate of what was used, no more than what is held: the rest went to nobody."""
        beyond = usage.output + usage.reasoning - self.usage.output
        if beyond <= 0 or not usage.is_estimated:
            return usage
        hidden = min(usage.reasoning, self.usage.output)
        return msgspec.structs.replace(usage, reasoning=hidden, output=self.usage.output - hidden)

    async def covers(self, output_most: int) -> bool:
        """Whether what is held pays for so much output; asks for more in time.

        False: no more is to be had, and `refused` says why.
        """
        if self._asking is None and output_most > self.ask_at:
            self._ask(output_most)
        while output_most > self.tokens:
            if self._asking is None:
                self._ask(output_most)
            if self._asking is not None:
                await asyncio.shield(self._asking)
            if self._is_out:
                return False
        return True

    def stop_asking(self) -> None:
        """The stream is over."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _ask(self, output_most: int) -> None:
        choices = max(1, self._inbound.view.choices)
        wanted = -(-(max(int(self.tokens), output_most) + self._step) // choices)
        most = self._inbound.call.output_most or wanted
        usage, price = self._escrow.worst(self._inbound, self._target, min(wanted, most))
        if price.cost is None:  # it had one when the call began; what is held is all there is
            self.tokens = self.ask_at = math.inf
            return
        more = self._spent + price.cost - self.reservation.held
        self._asking = asyncio.create_task(self._extend(more, usage, price))

    async def _extend(self, more: Money, usage: Usage, price: Price) -> None:
        """Hold `more`; after a refusal less is asked for, and only once it is needed."""
        refused = self.refused = await self._escrow.treasurer.extend(self.reservation, more)
        self._asking = None
        if refused is None:
            self._is_out = False
            self._step = min(2 * self._step, self._escrow.slice_tokens)
            self._cover(usage, price)
            self._inbound.settlement.reserved_more(usage, price)
        else:
            self._is_out = self._step <= _SMALLEST_STEP
            self._step = min(self._step, _SMALLEST_STEP)
            self.ask_at = self.tokens


class Escrow:
    """Holds money for calls, at one worker."""

    def __init__(
        self, treasurer: Treasurer, pricer: Pricer, *, slice_tokens: int, output_tokens: int
    ) -> None:
        """`slice_tokens` of output at a time for streams; `output_tokens` for other calls."""
        self.treasurer = treasurer
        self.slice_tokens = slice_tokens
        self.output_tokens = output_tokens
        self._pricer = pricer

    def is_sliced(self, inbound: Inbound) -> bool:
        """Whether the call is paid for as it flows: a stream that may be longer than a slice."""
        call = inbound.call
        return call.is_streamed and not 0 < call.output_most <= self.slice_tokens

    def worst(self, inbound: Inbound, target: Target, output: int) -> tuple[Usage, Price]:
        """The most a try can use, and cost, if its output is at most so many tokens a choice."""
        return self._pricer.worst(inbound.call, inbound.view, target, output)

    async def admit(self, inbound: Inbound, target: Target, model: str) -> Hold | None:
        """Hold the worst case of a try at `target`; None where no budget counts the call.

        `model` is the name that budgets know the call by.

        Raises:
            OverBudget: a budget has no room for it; nothing was sent.
            UnpricedUnderBudget: a budget counts it, and it has no price.
        """
        if inbound.call.endpoint is Endpoint.ANTHROPIC_COUNT_TOKENS:
            return None  # no provider bills it
        settlement = inbound.settlement
        hold = settlement.hold
        spent = settlement.cost
        outputs: tuple[int, ...] = (inbound.call.output_most or self.output_tokens,)
        if self.is_sliced(inbound):
            outputs = (self.slice_tokens, min(_SMALLEST_SLICE, self.slice_tokens))
        refused: Refused | None = None
        for output in outputs:
            usage, price = self.worst(inbound, target, output)
            given = await self._held(inbound.call, hold, model, price, spent)
            if isinstance(given, Refused):
                refused = given
                if not given.is_lasting:
                    break  # others hold what is left; small slices would only get in their way
                continue
            if given is None:
                return None
            hold = hold or Hold(self, inbound, given)
            settlement.hold = hold
            hold.begin(target, usage, price, spent)
            return hold
        assert refused is not None  # noqa: S101 - there is at least one output
        raise OverBudget(refused)

    async def _held(
        self, call: Call, hold: Hold | None, model: str, price: Price, spent: Money
    ) -> Reservation | Refused | None:
        if price.cost is None:
            return self._unpriced(call, model)
        if hold is not None:
            more = spent + price.cost - hold.reservation.held
            if more.nanodollars <= 0:
                return hold.reservation
            refused = await self.treasurer.extend(hold.reservation, more)
            return refused or hold.reservation
        given = self.treasurer.take(call.attribution, model, price.cost)
        if isinstance(given, Wait):
            given = await self.treasurer.reserve(call.attribution, model, price.cost)
        if isinstance(given, Refused) or given.charges:
            return given
        given.abandon()
        return None

    def _unpriced(self, call: Call, model: str) -> None:
        """Let a call without a price pass only where no budget holds calls back.

        Raises:
            UnpricedUnderBudget: one does.
        """
        given = self.treasurer.take(call.attribution, model, Money(0))
        if isinstance(given, Reservation):
            is_free = not given.is_enforced
            given.abandon()
            if is_free:
                return
        raise UnpricedUnderBudget(
            f"No price is known for {model!r}, and the call falls under a budget, which would "
            "not count it. Nothing was sent and nothing was charged. Add a [[price]] row for the "
            "model, or set pricing.unknown to estimate."
        )
