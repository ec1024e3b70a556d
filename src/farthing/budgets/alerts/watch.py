"""Watches forecasts, and notes an event when one crosses a threshold and stays there.

A forecast is noisy, and an alert can't be taken back. So a crossing is told once the expected sum
has been beyond the threshold for a 20th of the window (15 minutes at least; 36 hours of a month, in
which a burst leaves the day that is looked back on); a fall to ten points below begins anew. Not
even an interval that lies wholly beyond is told sooner: a steady account has a narrow interval, and
its first burst is just what would mislead. Spending
that is itself beyond the threshold is told by its own event, not by this one. The outbox admits
an event once per budget, key, window and threshold, whoever notes it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import msgspec

from farthing.budgets.alerts.drivers import HOUR_US, History
from farthing.budgets.alerts.event import AlertEvent, Kind
from farthing.budgets.alerts.outbox import Outbox
from farthing.budgets.forecast import HISTORY_HOURS, Forecast, forecast_end
from farthing.budgets.standing import Standing
from farthing.money import Money

__all__ = ["ForecastWatch", "Hold", "hold_us"]

_HOLD_PARTS: Final = 20
_HOLD_US_LEAST: Final = 900_000_000
_LOOKS: Final = 4  # within the time that a crossing must hold
_RELEASE_POINTS: Final = 10
_ACCOUNTS_MOST: Final = 20_000


class Hold(msgspec.Struct, frozen=True):
    """Since when a forecast has been beyond a threshold; None: it is not."""

    since_us: int | None = None

    def look(
        self, forecast: Forecast, line: Money, release: Money, now_us: int, hold_us: int
    ) -> tuple[Hold, bool]:
        """The hold after a look, and whether the crossing is to be told.

        `line` is the threshold as a sum, `release` the sum below which the hold ends.
        """
        if forecast.expected is None or forecast.basis == "over":
            return self, False
        if forecast.expected < release:
            return Hold(), False
        if self.since_us is None:
            return (Hold(now_us) if forecast.expected >= line else self), False
        is_held = forecast.expected >= line and now_us - self.since_us >= hold_us
        return self, is_held


class _Watched:
    """One account: its holds by threshold, and when to look again."""

    __slots__ = ("holds", "next_us", "told")

    def __init__(self) -> None:
        self.holds: dict[int, Hold] = {}
        self.next_us = 0
        self.told: set[int] = set()


class ForecastWatch:
    """Looks at accounts and notes forecast events.

    What it remembers it may forget: a restart makes an alert later by the hold, never twice.
    """

    def __init__(self, outbox: Outbox, history: History) -> None:
        self._outbox = outbox
        self._history = history
        self._watched: OrderedDict[tuple[str, str, str], _Watched] = OrderedDict()

    def step(self, standings: Iterable[Standing], now_us: int) -> int:
        """Look at the accounts whose turn it is; how many events were noted."""
        return sum(self._look(standing, now_us) for standing in standings if standing.has_end)

    def _look(self, standing: Standing, now_us: int) -> int:
        watched = self._entry(standing)
        if now_us < watched.next_us or standing.mode == "off" or _is_far(standing, now_us):
            return 0
        held_us = hold_us(standing)
        watched.next_us = now_us + held_us // _LOOKS
        open_ = [
            (threshold, _part(standing.limit, threshold))
            for threshold in standing.forecast_thresholds
            if threshold not in watched.told
        ]
        open_ = [(threshold, line) for threshold, line in open_ if standing.spent < line]
        if not open_:
            return 0
        hours = self._history.hours(standing, now_us - HISTORY_HOURS * HOUR_US, now_us)
        forecast = forecast_end(standing.spent, hours, (standing.end_us - now_us) / HOUR_US)
        count = 0
        for threshold, line in open_:
            release = _part(standing.limit, threshold - _RELEASE_POINTS)
            before = watched.holds.get(threshold, Hold())
            watched.holds[threshold], is_told = before.look(
                forecast, line, release, now_us, held_us
            )
            if is_told:
                watched.told.add(threshold)
                count += self._outbox.add(_event(standing, threshold, now_us))
        return count

    def _entry(self, standing: Standing) -> _Watched:
        name = (standing.budget, standing.key, standing.window)
        watched = self._watched.get(name)
        if watched is None:
            watched = self._watched[name] = _Watched()
            if len(self._watched) > _ACCOUNTS_MOST:
                self._watched.popitem(last=False)
        else:
            self._watched.move_to_end(name)
        return watched


def _is_far(standing: Standing, now_us: int) -> bool:
    """Whether spending goes at less than a quarter of the pace that leads to the lowest threshold.

    Then the ledger need not be asked; most of a thousand tenants are like that. Who speeds up
    later comes nearer with every hour.
    """
    passed_us = now_us - standing.start_us
    if not standing.spent or passed_us <= 0 or now_us >= standing.end_us:
        return True
    line = _part(standing.limit, min(standing.forecast_thresholds, default=100))
    length_us = standing.end_us - standing.start_us
    return 4 * standing.spent.nanodollars * length_us < line.nanodollars * passed_us


def hold_us(standing: Standing) -> int:
    """How long a crossing must hold before it is told."""
    return max(_HOLD_US_LEAST, (standing.end_us - standing.start_us) // _HOLD_PARTS)


def _part(limit: Money, percent: int) -> Money:
    return Money(limit.nanodollars * percent // 100)


def _event(standing: Standing, threshold: int, now_us: int) -> AlertEvent:
    return AlertEvent(
        budget=standing.budget,
        key=standing.key,
        window=standing.window,
        kind=Kind.FORECAST,
        threshold=threshold,
        at_us=now_us,
        spent=standing.spent,
        limit=standing.limit,
    )
