"""Standings out of the budgets' accounts: scopes from the settings, rolling buckets added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from farthing.budgets.account import Account
from farthing.budgets.settings import BudgetSettings
from farthing.budgets.standing import Standing
from farthing.money import total

__all__ = ["AccountStandings"]


class _Accounts(Protocol):
    """What is needed of a `BudgetStore`."""

    def accounts(self, now_us: int, budget: str = "") -> list[Account]: ...


class AccountStandings:
    """The `Standings` of a store's accounts.

    A budget that is not in the settings any more still has its accounts; its scope is then read
    from their keys.
    """

    def __init__(self, store: _Accounts, budgets: Sequence[BudgetSettings]) -> None:
        self._store = store
        self.replace_budgets(budgets)

    def replace_budgets(self, budgets: Sequence[BudgetSettings]) -> None:
        """Go by these settings from now on."""
        self._budgets = {budget.name: budget for budget in budgets}

    def open(self, now_us: int) -> list[Standing]:
        """See `Standings`; by budget, key and time."""
        calendar: list[Standing] = []
        rolling: dict[tuple[str, str], list[Account]] = {}
        for account in self._store.accounts(now_us):
            if account.limit.nanodollars < 0:
                continue  # charged before its budget was opened here
            if account.span.rolling_us:
                rolling.setdefault((account.budget, account.key), []).append(account)
            else:
                calendar.append(self._standing([account], now_us))
        made = calendar + [self._standing(buckets, now_us) for buckets in rolling.values()]
        return sorted(made, key=lambda s: (s.budget, s.key, s.start_us))

    def find(self, budget: str, key: str, window: str, at_us: int) -> Standing | None:
        """See `Standings`; of a rolling window all buckets that counted at `at_us`."""
        of_key = [a for a in self._store.accounts(at_us, budget) if a.key == key]
        named = [account for account in of_key if account.span.id == window]
        if not named:
            return None
        length_us = named[0].span.rolling_us
        if length_us:
            named = [a for a in of_key if a.span.rolling_us == length_us]
            named = [a for a in named if a.span.start_us <= at_us]
        return self._standing(named, at_us) if named else None

    def _standing(self, accounts: Iterable[Account], now_us: int) -> Standing:
        """One window's accounts as one standing; the limit is the latest one's."""
        found = sorted(accounts, key=lambda account: account.span.start_us)
        last = found[-1]
        settings = self._budgets.get(last.budget)
        length_us = last.span.rolling_us
        return Standing(
            budget=last.budget,
            scope=last.key if settings is None else settings.scope,
            key=last.key,
            window=last.span.id.partition(" ")[0] if length_us else last.span.id,
            start_us=now_us - length_us if length_us else last.span.start_us,
            end_us=now_us if length_us else last.span.end_us,
            limit=last.limit,
            spent=total([account.committed for account in found]),
            reserved=total([account.leased for account in found]),
            is_rolling=bool(length_us),
            passed_calls=sum(account.passed_calls for account in found),
            passed=total([account.passed for account in found]),
            mode="on" if settings is None else settings.mode,
            at_limit="block" if settings is None else settings.at_limit,
        )
