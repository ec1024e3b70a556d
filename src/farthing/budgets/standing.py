"""Where an account of a budget stands, as status, forecasts and alerts look at it."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from farthing.money import Money

__all__ = ["Standing", "Standings"]

_ENDLESS_US: Final = 2**57  # in the 66th century; later ends are none


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One budget's money for one key in one window.

    `reserved` is what workers hold for calls that run or are to come. A calendar window has an
    `end_us`; a rolling one counts the `end_us - start_us` before now and never ends
    (`is_rolling`). `passed_calls`, which cost `passed`, went through although a budget that
    is not enforced would have refused them. `forecast_thresholds` are percentages of the limit. `scope` is the budget's scope as written, `key` the same with each `*` filled.
    """

    budget: str
    scope: str
    key: str
    window: str
    start_us: int
    end_us: int
    limit: Money
    spent: Money
    reserved: Money = Money(0)
    is_rolling: bool = False
    mode: str = "on"
    at_limit: str = "block"
    passed_calls: int = 0
    passed: Money = Money(0)
    forecast_thresholds: tuple[int, ...] = (100,)

    @property
    def has_end(self) -> bool:
        """Whether there is an end to forecast: a rolling window and a lifetime have none."""
        return not self.is_rolling and self.end_us < _ENDLESS_US


class Standings(Protocol):
    """Where standings come from: the budgets' store."""

    def open(self, now_us: int) -> list[Standing]:
        """The accounts whose windows count at `now_us`."""
        ...

    def find(self, budget: str, key: str, window: str, at_us: int) -> Standing | None:
        """One account that counted at `at_us`, open or past; None: it is not known any more."""
        ...
