"""One budget's money for one scope key in one span of time."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from farthing.budgets.settings import BudgetSettings
from farthing.budgets.window import Span
from farthing.errors import ConfigError
from farthing.money import ZERO, Money

__all__ = ["Account", "account_id", "check_names"]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the store says of an account: committed + leased never exceeds an enforced limit.

    `committed` is the sum of the ledger's entries charged to it, `leased` what workers hold for
    calls that are running or not yet drained, and for calls to come. `passed_calls`, which cost
    `passed`, would have been refused, were the budget enforced.
    """

    id: str
    budget: str
    key: str
    span: Span
    limit: Money
    committed: Money
    leased: Money
    passed_calls: int = 0
    passed: Money = ZERO

    @property
    def free(self) -> Money:
        """What may still be leased; negative where committed calls exceed the limit."""
        return self.limit - self.committed - self.leased


def account_id(budget: str, key: str, span: Span) -> str:
    """The name under which entries are charged: `BUDGET/SPAN/KEY`.

    Neither of the first two holds a slash, so that the three can be told apart again.
    """
    return f"{budget}/{span.id}/{key}"


def check_names(budgets: Iterable[BudgetSettings]) -> None:
    """Raises ConfigError: two budgets bear one name, and would share their accounts."""
    seen: set[str] = set()
    for budget in budgets:
        if budget.name in seen:
            raise ConfigError(
                f"Two budgets are named {budget.name!r}. Nothing was started. Name them apart."
            )
        seen.add(budget.name)
