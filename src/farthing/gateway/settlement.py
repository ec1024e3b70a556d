"""The account of one running call: intents before each dispatch, one settlement at the end.

Every path ends in `close`: success, provider error, time-out, client gone. It never awaits, so
nothing can interrupt it; a second `close` does nothing (L2). If the process dies first, the last
intent stands in the journal and is posted as interrupted with its reserved cost.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from farthing.call import Attempt, Call
from farthing.clock import Clock
from farthing.gateway.pricer import Price
from farthing.ledger import CallStatus, Entry, JournalError, LeverMove
from farthing.money import ZERO, Money
from farthing.pricing import RateCard
from farthing.usage import Usage

if TYPE_CHECKING:
    from farthing.gateway.escrow import Hold

__all__ = ["Desk", "JournalLike", "Settlement"]

_LOG = logging.getLogger("farthing")
_RECENT_MAX = 2048
_UNWRITTEN_MAX = 10_000


class JournalLike(Protocol):
    """What the desk writes to; `farthing.ledger.Journal` is one."""

    @property
    def run(self) -> str:
        """The run under which leases are held; empty: none can be."""
        ...

    def intend(self, entry: Entry) -> None:
        """Note what shall stand if this process dies now."""
        ...

    def settle(self, entry: Entry) -> None:
        """Note how the call ended."""
        ...

    def note_card(self, card: RateCard) -> None:
        """Note the content of a rate card that an entry names."""
        ...


class Desk:
    """Where settlements are written; keeps the latest entries at hand for questions by id."""

    def __init__(self, journal: JournalLike, clock: Clock) -> None:
        self.journal = journal
        self.clock = clock
        self._recent: deque[Entry] = deque(maxlen=_RECENT_MAX)
        self.unwritten: deque[Entry] = deque(maxlen=_UNWRITTEN_MAX)
        self.running = 0
        self.opened = 0

    def open(self, call: Call, arrived_us: int) -> Settlement:
        """Begin the account of `call`, which arrived at `arrived_us` (monotonic)."""
        self.running += 1
        self.opened += 1
        return Settlement(self, call, arrived_us)

    def post(self, entry: Entry) -> None:
        """Write a settled entry and keep it at hand.

        When the disk refuses it, the entry waits for `write_again`; its intent stands meanwhile.
        """
        self.running -= 1
        try:
            self.journal.settle(entry)
        except JournalError:
            if not self.unwritten:
                _LOG.exception("call %s could not be settled; it is tried again", entry.call_id)
            self.unwritten.append(entry)
        self._recent.append(entry)

    def recent(self, call_id: str) -> Entry | None:
        """The entry of a call that ended not long ago at this worker."""
        return next((entry for entry in self._recent if entry.call_id == call_id), None)

    def write_again(self) -> None:
        """Write what the disk refused before; stops at the first refusal."""
        while self.unwritten:
            try:
                self.journal.settle(self.unwritten[0])
            except JournalError:
                return
            self.unwritten.popleft()


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
        self.lever = ""  # where set: the call was made for this lever, which spent all it costs
        self.listeners: list[Callable[[Entry, int], None]] = []  # told once, and when (monotonic)
        self.upstream_us = 0
        self.entry: Entry | None = None

    @property
    def attempts(self) -> int:
        """How many attempts have ended."""
        return len(self._attempts)

    @property
    def cost(self) -> Money:
        """What the attempts that have ended cost, as far as it is known."""
        return ZERO if self._cost is None else self._cost

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
        entry = self._made(CallStatus.INTERRUPTED, attempts, self._with(reserved), "", begun_us)
        self._desk.journal.intend(entry)

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
        self._cost = self._with(attempt)
        self.upstream_us += attempt.duration_us

    def moved(self, move: LeverMove, note: str, *, is_known: bool = True) -> None:
        """A lever saved or spent on this call; `note` says how, for whoever looks at the call.

        `is_known` is false where nobody can say what the call would have cost without it.
        """
        self._moves = (*self._moves, move)
        self._is_baseline_known = self._is_baseline_known and is_known
        self._told = note

    def close(self, status: CallStatus, detail: str = "") -> Entry:
        """Settle the call, once; later closings return the entry that stands."""
        if self.entry is None:
            now_us = self._desk.clock.monotonic_us()
            self.entry = self._made(status, self._attempts, self._cost, detail, now_us)
            self._desk.post(self.entry)
            if self.hold is not None:
                self.hold.reservation.settle(self.entry.cost)
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
            charges=self.hold.reservation.charges if self.hold is not None and attempts else (),
        )
