"""A call that needs more than its worker has leased, and so waits for the store."""

from __future__ import annotations

import msgspec

from farthing.budgets.holding import Holding
from farthing.budgets.refusal import Refused

__all__ = ["Wait"]


class Wait(msgspec.Struct, frozen=True):
    """A call needs `needed` more of these accounts than its worker has leased; it holds nothing new.

    `held` is what the call holds already.
    """

    holdings: tuple[Holding, ...]
    needed: int
    held: int = 0

    def owe(self, sign: int) -> None:
        """Let new calls leave to this one what it waits for (1), or no more (-1).

        A stream that runs comes before calls that have not begun: it would end cut short.
        """
        if self.held:
            for holding in self.holdings:
                holding.owed += sign * self.needed

    def busy(self, now_us: int, trouble: str = "") -> Refused:
        """The refusal, where waiting was in vain."""
        lacking = [h for h in self.holdings if h.free < self.needed] or list(self.holdings)
        return lacking[0].refusal(self.held + self.needed, now_us, trouble, held=self.held)
