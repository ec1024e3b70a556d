"""A worker's part of one account: what it leased, and what its calls have of that.

    granted = spent + reserved + free

`granted` is the store's figure, `spent` what this worker's calls cost since the lease began,
`reserved` is derived. All sums are integers in nanodollars here: reserving and settling touch each
of them on every call.
"""

from __future__ import annotations

from typing import Final

from farthing.budgets.account import account_id
from farthing.budgets.refusal import Refused
from farthing.budgets.settings import BudgetSettings
from farthing.budgets.store import Ask, Grant
from farthing.budgets.window import Span
from farthing.money import ZERO, Money

__all__ = ["UNKNOWN", "Holding"]

UNKNOWN: Final = 2**62  # no sum that is left is higher

_NEVER: Final = -(2**63)  # no free sum is lower
_FIRST_CALLS: Final = 8  # a first lease serves about so many calls
_FRESH_US: Final = 1_000_000
_BUSY_US: Final = 20_000
_QUICK_US: Final = 1_000_000
_IDLE_US: Final = 30_000_000


class Holding:
    """One account as one worker sees it. `free` and `spent` are moved by reservations."""

    __slots__ = (
        "_asked_again_us",
        "_denied",
        "_drained",
        "_granted",
        "_granted_at_us",
        "_is_answered",
        "_is_idle",
        "_is_wanted",
        "_leased",
        "_moved_us",
        "_resets_us",
        "_seen_us",
        "_spent_by_all",
        "_stride",
        "_was",
        "budget",
        "free",
        "id",
        "is_hungry",
        "key",
        "left",
        "limit",
        "low",
        "owed",
        "pins",
        "span",
        "spent",
    )

    def __init__(self, budget: BudgetSettings, key: str, span: Span) -> None:
        self.id = account_id(budget.name, key, span)
        self.budget = budget
        self.key = key
        self.span = span
        self.limit = budget.limit.nanodollars
        self.left = UNKNOWN  # what the window has left, but for what was spent here since
        self.free = self.spent = 0
        self.low = _NEVER
        self.owed = 0  # what running calls wait for; new ones leave it to them
        self.pins = 0  # calls that run and hold nothing yet
        self.is_hungry = False
        self._granted = self._drained = self._leased = self._spent_by_all = 0
        self._is_wanted = self._is_idle = self._is_answered = False
        self._seen_us = self._asked_again_us = self._granted_at_us = _NEVER
        self._denied = 0
        self._resets_us = span.counts_until_us
        self._stride = 0
        self._was = (0, 0)
        self._moved_us = _NEVER

    @property
    def reserved(self) -> int:
        """What calls hold that are running."""
        return self._granted - self.spent - self.free

    @property
    def is_used(self) -> bool:
        """Whether calls run on it, or it is about to be filled."""
        return self.is_hungry or self.pins > 0 or self.reserved > 0

    @property
    def is_done(self) -> bool:
        """Whether it can be forgotten: the store knows all of it, and tells it again if asked."""
        is_even = self.free == 0 and self._granted == self.spent == self._drained
        return self._is_idle and self._is_answered and is_even and not self.is_used

    @property
    def spent_by_all(self) -> int:
        """What the window has spent, as far as is known here: the ledger's sum and our own rest."""
        return self._spent_by_all + self.spent - self._drained

    def exceeds(self, needed: int, now_us: int) -> bool:
        """Whether the limit has no room for a call of `needed`, even if nobody held anything.

        Only if the store was seen of late; else it must be asked first.
        """
        return self.is_fresh(now_us) and self.spent_by_all + needed > self.limit

    def is_fresh(self, now_us: int) -> bool:
        """Whether the store was seen so recently that a refusal need not ask it again."""
        return 0 <= now_us - self._seen_us <= _FRESH_US

    def may_ask(self, needed: int, now_us: int) -> bool:
        """Whether asking is of use; just after a denial it is not, but for less."""
        is_denied = 0 < self._asked_again_us - now_us <= _BUSY_US  # though a clock be set back
        return needed < self._denied or not is_denied

    def refill(self, least: int, need: int) -> Ask:
        """What to ask for, where calls wait for `need` in all, and one of them for `least`.

        Where others wait as well, everything free is laid on the table, and no more asked for than
        calls need: two remainders that are of no use apart may together serve one call.
        """
        self._stride = max(self._stride, _FIRST_CALLS * least)
        self.is_hungry = self._is_idle = False
        self.low = _NEVER
        back = max(0, self.free) if self._is_wanted else 0
        self._take(back)
        least, need = max(0, least - self.free), max(0, need - self.free, -self.free)
        want = need if self._is_wanted else need + self._stride
        return self._ask(back=back, least=least, need=need, want=want)

    def give_back(self) -> Ask | None:
        """Everything free, because somebody else waits for it."""
        self._is_wanted = True
        return self._return(self.free)

    def end(self) -> Ask:
        """Everything free, because the span or the worker ends; calls keep what they hold."""
        return self._return(self.free) or self._ask()

    def tidy(self, now_us: int) -> Ask | None:
        """What this worker has no use for: after the span's end, when idle, or far too much.

        A holding that nobody uses any more is done once the ledger has booked what it paid for.
        """
        if self._was != (self.spent, self.free):
            self._was = (self.spent, self.free)
            self._moved_us = now_us
        if now_us >= self.span.end_us or now_us - self._moved_us >= _IDLE_US:
            self._is_idle = not self.is_used
            is_open = self._is_idle and not self.is_done
            return self._return(self.free) or (self._ask() if is_open else None)
        self._stride -= self._stride // 16 if self.free > 2 * self._stride else 0
        return self._return(self.free - 2 * self._stride if self.free > 4 * self._stride else 0)

    def apply(self, grant: Grant, ask: Ask, now_us: int) -> None:
        """Stand where the store says; what calls hold stays theirs."""
        reserved = self.reserved
        gained = grant.granted.nanodollars - self._granted
        self._drained = grant.drained.nanodollars
        # What the ledger booked under our name we have spent, though a former life did it.
        self.spent = max(self.spent, self._drained)
        self._granted = grant.granted.nanodollars
        self.free = self._granted - self.spent - reserved
        self.limit = grant.limit.nanodollars
        self._spent_by_all = grant.spent.nanodollars
        self._leased = grant.leased.nanodollars
        self.left = self.limit - self._spent_by_all + self._drained
        self._resets_us = grant.resets_us
        self._is_wanted = grant.is_wanted
        self._seen_us = now_us
        self._is_answered = True
        if ask.want:
            self._asked(gained, ask, now_us)

    def refusal(self, needed: int, now_us: int, trouble: str = "", *, held: int = 0) -> Refused:
        """Why a call that needs so much in all, and holds `held` of it, can't have it.

        Reserved is what others hold or may yet give out: neither the call's own part nor what is
        free here, for that it could have.
        """
        undrained = self.spent - self._drained
        reserved = max(0, self._leased - undrained - max(0, self.free) - held)
        is_lasting = self.exceeds(needed, now_us)
        missing = self.spent_by_all + reserved + needed - self.limit
        return Refused(
            code="budget_exceeded" if is_lasting else "budget_busy",
            budget=self.budget.name,
            key=self.key,
            window=self.span.id,
            action=self.budget.at_limit,
            limit=Money(self.limit),
            spent=Money(self.spent_by_all),
            reserved=Money(reserved),
            needed=Money(needed),
            shortfall=Money(max(0, missing)),
            resets_us=self._resets_us,
            downgrade_to=self.budget.downgrade_to,
            detail="" if is_lasting else trouble,
        )

    def _asked(self, gained: int, ask: Ask, now_us: int) -> None:
        """Learn from an answer: ask for more at once where it went quickly, pause where nothing came."""
        if gained < max(1, ask.need.nanodollars):
            self._asked_again_us = now_us + _BUSY_US
            self._denied = self.free + max(1, ask.least.nanodollars)
        if now_us - self._granted_at_us < _QUICK_US:
            self._stride = min(2 * self._stride, max(self._stride, self.limit // 8))
        self._granted_at_us = now_us
        if gained >= self._stride // 4:  # else the window is nearly empty: only calls ask
            self.low = min(gained, self.free) // 2

    def _return(self, back: int) -> Ask | None:
        if back <= 0:
            return None
        self._take(back)
        return self._ask(back=back)

    def _take(self, back: int) -> None:
        self.free -= back
        self._granted -= back

    def _ask(self, *, back: int = 0, least: int = 0, need: int = 0, want: int = 0) -> Ask:
        self._is_answered = False
        return Ask(
            id=self.id,
            budget=self.budget,
            key=self.key,
            span=self.span,
            back=Money(back) if back else ZERO,
            least=Money(least),
            need=Money(need),
            want=Money(want),
        )
