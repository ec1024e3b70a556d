"""The answer of a budget that has no room for a call, with its arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from farthing.budgets.settings import AtLimit
from farthing.money import Money

__all__ = ["Refused"]

_NOTHING = "Nothing was sent and nothing was charged."


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Why a budget holds a call back, and what it wants done instead.

    `budget_exceeded`: spent + needed > limit, even if nobody else had anything reserved; trying
    again is of no use before `resets_us`. `budget_busy`: what other calls have reserved stands in
    the way; some of it comes back as they end. `spent` is what calls have cost so far in the window,
    `reserved` what is held for other calls that run or may begin, `needed` what this call holds
    already and asks for; `shortfall` is what is missing: spent + reserved + needed - limit. `detail` tells of trouble with the store.
    """

    code: Literal["budget_exceeded", "budget_busy"]
    budget: str
    key: str
    window: str
    action: AtLimit
    limit: Money
    spent: Money
    reserved: Money
    needed: Money
    shortfall: Money
    resets_us: int
    downgrade_to: str = ""
    detail: str = ""

    @property
    def is_lasting(self) -> bool:
        """Whether trying again soon is of no use."""
        return self.code == "budget_exceeded"

    @property
    def resets_at(self) -> str:
        """When the window makes room, as an RFC 3339 time; empty for never."""
        try:
            return f"{datetime.fromtimestamp(self.resets_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        except (ValueError, OverflowError, OSError):
            return ""

    @property
    def _held(self) -> str:
        return f" and holds {self.reserved} for other calls" if self.reserved else ""

    @property
    def midway(self) -> str:
        """The same for a stream that has begun: it stops here."""
        until = f", or wait until {self.resets_at}" if self.is_lasting and self.resets_at else ""
        return (
            f"Budget {self.budget!r} ({self.key}, {self.window}) of {self.limit} USD has spent"
            f" {self.spent}{self._held}; to go on, this call may cost up to {self.needed} in all,"
            f" {self.shortfall} more than is left. The stream was stopped here; what was sent of it"
            f" is charged. Raise the limit{until}."
        )

    def __str__(self) -> str:
        """What happened, what was kept, what to do."""
        whose = f"Budget {self.budget!r} ({self.key}, {self.window})"
        if self.detail:
            return f"{whose} can't be asked: {self.detail} {_NOTHING} Try again shortly."
        if not self.is_lasting:
            return (
                f"{whose} of {self.limit} USD has spent {self.spent} and holds {self.reserved} for"
                f" other calls; this call may cost up to {self.needed}, {self.shortfall} more than"
                f" is free now. {_NOTHING} Try again shortly: some of what is held comes back."
            )
        until = f", or wait until {self.resets_at}" if self.resets_at else ""
        return (
            f"Budget {self.budget!r} ({self.key}, {self.window}) of {self.limit} USD has spent"
            f" {self.spent}{self._held}; this call may cost up to {self.needed}, {self.shortfall} more than is"
            f" left. {_NOTHING} Ask for less output, raise the limit{until}."
        )
