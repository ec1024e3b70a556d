"""What a store of budgets must do: hand out leases so that no account's limit is ever exceeded.

SQLite does it on one machine; others may elsewhere. A lease belongs to a holder, the run of a
journal, and is kept as two sums that only the store writes: all that the holder was granted, less
what it gave back, and how much of that the ledger has booked since. Both are told with each answer,
so that an answer that got lost does no harm: the next one says the same again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from farthing.budgets.account import Account
from farthing.budgets.settings import BudgetSettings
from farthing.budgets.window import Span
from farthing.money import ZERO, Money

__all__ = ["LEASE_TTL_US", "Ask", "BudgetStore", "Grant"]

LEASE_TTL_US = 30_000_000


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder gives back to an account, and then wants from it; neither: only to look.

    `least` is the smallest sum that is of use now, `need` what calls wait for, `want` what would
    spare further asking.
    """

    id: str
    budget: BudgetSettings
    key: str
    span: Span
    back: Money = ZERO
    least: Money = ZERO
    need: Money = ZERO
    want: Money = ZERO


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """How an account and the asker's lease on it stand, after the ask.

    `granted` is all that the holder has been granted, less what it gave back; `drained` what the
    ledger booked of its calls. `spent` and `leased` are over everybody, in a rolling window over
    all buckets that count. `resets_us` is when the window makes room for what was asked.
    """

    id: str
    granted: Money
    drained: Money
    limit: Money
    spent: Money
    leased: Money
    resets_us: int
    is_wanted: bool = False


class BudgetStore(Protocol):
    """The accounts and leases. All methods may block, and raise `StoreError` on trouble."""

    def tend(self, holder: str, asks: Sequence[Ask], now_us: int) -> list[Grant]:
        """Do what is asked, in one transaction; one answer an ask, in their order.

        Of an enforced account, committed + leased never exceeds the limit after it. Grants shrink
        as the window empties, down to what is needed; where even `least` is not free, nothing is
        granted and the account is marked as wanted, so that other holders give back.
        """
        ...

    def wanted(self, now_us: int) -> set[tuple[str, str]]:
        """The budgets and keys for whose money some holder waits."""
        ...

    def heartbeat(self, holder: str, now_us: int) -> None:
        """Say that the holder lives; its leases last for `LEASE_TTL_US` from now."""
        ...

    def configure(self, budgets: Sequence[BudgetSettings], now_us: int) -> list[str]:
        """Give the accounts that count now the limits and thresholds of their budgets as set.

        What was committed stays. The ids of the accounts that changed come back.
        """
        ...

    def accounts(self, now_us: int, budget: str = "") -> list[Account]:
        """The accounts that count at an instant, of one budget or all, by budget, key and time."""
        ...

    def note_passed(self, passed: Mapping[str, tuple[int, int]]) -> None:
        """Add to the calls, and their cost in nanodollars, that accounts would have refused."""
        ...

    def sweep(self, now_us: int) -> list[str]:
        """Return what lapsed leases hold whose holders left no journal; the holders' names."""
        ...

    def close(self) -> None:
        """Free what it holds; another call opens it again."""
        ...
