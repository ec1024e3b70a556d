"""The account of one running call: intents before each dispatch, one settlement at the end.

Every path ends in `close`: success, provider error, time-out, client gone. It never awaits, so
nothing can interrupt it; a second `close` does nothing (L2). If the process dies first, the last
intent stands in the journal and is posted as interrupted with its reserved cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from farthing.call import Attempt, Call
from farthing.gateway.pricer import Price
from farthing.ledger import CallStatus, Entry, LeverMove
from farthing.money import ZERO, Money, total
from farthing.pricing import RateCard
from farthing.usage import Usage

if TYPE_CHECKING:
    from farthing.gateway.desk import Desk
    from farthing.gateway.escrow import Hold

__all__ = ["Branch", "Settlement"]

_INTERRUPTED: Final = CallStatus.INTERRUPTED  # to find a member of an enum takes time


class Settlement:
    """The account of one call; not shared between tasks."""

    __slots__ = (
        "_arrived_us",
        "_attempts",
        "_call",
        "_cost",
        "_desk",
        "_is_baseline_known",
        "_moves",
        "_noted",
        "_reserved",
        "_told",
        "attempts",
        "branches",
        "closing",
        "entry",
        "hold",
        "lever",
        "listeners",
        "upstream_us",
    )

    def __init__(self, desk: Desk, call: Call, arrived_us: int) -> None:
        self._desk = desk
        self._call = call
        self._arrived_us = arrived_us
        self._attempts: tuple[Attempt, ...] = ()
        self._cost: Money | None = ZERO  # None once an attempt has no price
        self._moves: tuple[LeverMove, ...] = ()
        self._is_baseline_known = True
        self._told = ""
        self._noted: RateCard | None = None
        self._reserved: Attempt | None = None
        self.hold: Hold | None = None
        self.branches: tuple[Branch, ...] = ()  # tries side by side; each holds its own money
        self.closing: tuple[Callable[[], None], ...] = ()  # asked before the entry is made, once
        self.lever = ""  # where set: the call was made for this lever, which spent all it costs
        self.listeners: list[Callable[[Entry, int], None]] = []  # told once, and when (monotonic)
        self.attempts = 0  # numbered so far; without branches, those that have ended
        self.upstream_us = 0
        self.entry: Entry | None = None

    def branch(self) -> Branch:
        """An account for a try of this call that runs beside others."""
        made = Branch(self._desk, self._call, self._arrived_us, self)
        self.branches += (made,)
        return made

    @property
    def cost(self) -> Money:
        """What the attempts that have ended cost, as far as it is known.

        Without those of branches, whose money they hold themselves.
        """
        if self._cost is None:
            return ZERO
        return self._cost - self._beside() if self.branches else self._cost

    @property
    def ended_attempts(self) -> tuple[Attempt, ...]:
        """The attempts that have ended."""
        return self._attempts

    @property
    def running(self) -> Attempt | None:
        """The attempt that runs now, as its intent has it."""
        return self._reserved

    @property
    def cost_told(self) -> str:
        """The booked cost in USD for people and headers, or `unpriced`."""
        return "unpriced" if self._cost is None else str(self._cost)

    def dispatching(self, reserved: Attempt, price: Price, begun_us: int) -> None:
        """Journal the intent: `reserved`, interrupted, is how the attempt stands if we die now.

        `begun_us` is now on the monotonic clock.
        """
        self._note(price.card)
        self._reserved = reserved
        attempts = (*self._attempts, reserved)
        entry = self._made(_INTERRUPTED, attempts, self._with(reserved), "", begun_us)
        self._desk.journal.intend(entry)

    def intend_all(self, running: Sequence[Attempt], now_us: int) -> None:
        """Journal the intent of attempts that run side by side."""
        cost = self._cost
        for one in running:
            cost = None if cost is None or one.cost is None else cost + one.cost
        attempts = (*self._attempts, *running)
        self._desk.journal.intend(self._made(_INTERRUPTED, attempts, cost, "", now_us))

    def claim_number(self) -> int:
        """The number of an attempt that runs beside others; none is given twice."""
        self.attempts += 1
        return self.attempts

    def reserved_more(self, usage: Usage, price: Price) -> None:
        """The running attempt may use, and cost, more than its intent says: journal another."""
        if self._reserved is None or self.entry is not None:
            return
        more = msgspec.structs.replace(
            self._reserved, usage=usage, cost=price.cost, card_cost=price.card_cost
        )
        self.dispatching(more, price, self._desk.clock.monotonic_us())

    def ended(self, attempt: Attempt, price: Price) -> None:
        """An attempt ended; it stands in the entry whatever comes after it."""
        if price.card is not self._noted:
            self._note(price.card)
        self._reserved = None
        self._attempts = (*self._attempts, attempt)
        self.attempts = max(self.attempts, len(self._attempts))
        self._cost = self._with(attempt)
        self.upstream_us += attempt.duration_us

    def moved(self, move: LeverMove, note: str, *, is_known: bool = True) -> None:
        """A lever saved or spent on this call; `note` says how, for whoever looks at the call.

        `is_known` is false where nobody can say what the call would have cost without it.
        """
        self._moves = (*self._moves, move)
        self._is_baseline_known = self._is_baseline_known and is_known
        self._told = note

    def told(self, note: str) -> None:
        """Keep a note for whoever looks at the call, though no money moved."""
        self._told = note

    def close(self, status: CallStatus, detail: str = "") -> Entry:
        """Settle the call, once; later closings return the entry that stands."""
        if self.entry is None:
            for act in self.closing:
                act()
            now_us = self._desk.clock.monotonic_us()
            self.entry = self._made(status, self._attempts, self._cost, detail, now_us)
            self._desk.post(self.entry)
            if self.hold is not None:
                self.hold.reservation.settle(self.entry.cost - self._beside())
            for branch in self.branches:
                if branch.hold is not None:
                    branch.hold.reservation.settle(branch.cost)
            for hear in self.listeners:
                hear(self.entry, now_us)
        return self.entry

    def _note(self, card: RateCard | None) -> None:
        """Keep the card's content in the journal, before an entry names it."""
        if card is not None:
            self._desk.journal.note_card(card)
        self._noted = card

    def _with(self, attempt: Attempt) -> Money | None:
        """The cost of the call with one more attempt."""
        if self._cost is None or attempt.cost is None:
            return None
        return self._cost + attempt.cost if self._attempts else attempt.cost

    def _without_levers(self, cost: Money | None) -> Money | None:
        """The baseline: baseline - saved + spent = cost."""
        if cost is None or not self._is_baseline_known:
            return None
        for move in self._moves:
            cost = cost + move.saved - move.spent
        return cost

    def _made(
        self,
        status: CallStatus,
        attempts: tuple[Attempt, ...],
        cost: Money | None,
        detail: str,
        now_us: int,
    ) -> Entry:
        call = self._call
        duration_us = now_us - self._arrived_us
        moves = self._moves
        baseline = self._without_levers(cost) if moves else cost
        if self.lever:
            moves = (LeverMove(lever=self.lever, saved=ZERO, spent=cost or ZERO),)
            baseline = None if cost is None else ZERO
        return Entry(
            call_id=call.id,
            endpoint=call.endpoint,
            model=call.model,
            is_streamed=call.is_streamed,
            status=status,
            started_us=call.started_us,
            duration_us=duration_us,
            overhead_us=max(0, duration_us - self.upstream_us),
            attribution=call.attribution,
            conversation=call.conversation,
            attempts=attempts,
            baseline=baseline,
            moves=moves,
            detail=detail or self._told,
            charges=self._charges() if attempts else (),
        )

    def _beside(self) -> Money:
        """What branches cost, which they settle themselves."""
        return total(tuple(branch.cost for branch in self.branches))

    def _charges(self) -> tuple[str, ...]:
        """The accounts of budgets that are charged; the same for a call and its branches."""
        if not self.branches:
            return () if self.hold is None else self.hold.reservation.charges
        holds = (self.hold, *(branch.hold for branch in self.branches))
        return next((hold.reservation.charges for hold in holds if hold is not None), ())


class Branch(Settlement):
    """The account of one of several tries of a call that run side by side.

    It holds money of its own. Whatever happens to the process, the intents in the journal cover
    every try that runs; whatever happens to a try, its attempt stands in the call's entry.
    """

    __slots__ = ("_number", "_whole")

    def __init__(self, desk: Desk, call: Call, arrived_us: int, whole: Settlement) -> None:
        super().__init__(desk, call, arrived_us)
        self._whole = whole
        self._number = 0

    def dispatching(self, reserved: Attempt, price: Price, begun_us: int) -> None:
        """Journal an intent that covers this try and all that run beside it."""
        self._number = self._whole.claim_number()
        self._note(price.card)
        self._reserved = msgspec.structs.replace(reserved, number=self._number)
        self._intend(begun_us)

    def reserved_more(self, usage: Usage, price: Price) -> None:
        """The try may use, and cost, more than its intent says: journal another."""
        if self._reserved is None:
            return
        self._reserved = msgspec.structs.replace(
            self._reserved, usage=usage, cost=price.cost, card_cost=price.card_cost
        )
        self._intend(self._desk.clock.monotonic_us())

    def ended(self, attempt: Attempt, price: Price) -> None:
        """The try ended; it stands in the whole call's account."""
        number = self._number or self._whole.claim_number()
        self._number = 0
        booked = msgspec.structs.replace(attempt, number=number)
        super().ended(booked, price)
        self._whole.ended(booked, price)

    def close(self, status: CallStatus, detail: str = "") -> Entry:
        """Nothing is posted: the call's account closes with the call."""
        now_us = self._desk.clock.monotonic_us()
        return self._made(status, self._attempts, self._cost, detail, now_us)

    def _intend(self, now_us: int) -> None:
        running = [branch.running for branch in self._whole.branches]
        self._whole.intend_all([one for one in running if one is not None], now_us)
