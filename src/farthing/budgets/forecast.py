"""What an account will have spent when its window ends, with an interval.

Method, in three lines. What is left of the window is expected to cost what the same hours of the
last day cost; when more than two days are left, the mean of that and of the last week repeated.
The interval comes from the method's own past errors on this account: it is put back to earlier
instants, its error (as a ratio) is taken for as long a time ahead as the history allows, widened
by the square root of how much longer the real time ahead is, and the middle 80 % are reported.

Why so simple: on hourly request rates of 205 clients of a cloud provider (ServeGen), repeating the
last period was as good at the median as Theta, ETS and Prophet, and by far the best at the 90th
percentile; the backtest in tests/budgets_alerts/test_forecast_backtest.py states what the interval
covers. Ratios, and not differences, because spending grows and shrinks by factors.

Sources: R. J. Hyndman and G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., 5.2
(seasonal naive method), 5.10 (evaluation on a rolling origin); V. Assimakopoulos and
K. Nikolopoulos, "The theta model", International Journal of Forecasting 16 (2000), for the rival;
ServeGen: https://github.com/alibaba/ServeGen (traces at commit f891d11).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from farthing.money import Money

__all__ = ["HISTORY_HOURS", "HOURS_LEAST", "Forecast", "forecast_end"]

HISTORY_HOURS: Final = 28 * 24  # more is not looked at
HOURS_LEAST: Final = 3
COVERAGE: Final = 0.8

_DAY: Final = 24
_WEEK: Final = 168
_SHORT: Final = 48  # hours ahead up to which the last day alone is repeated
_STEP: Final = 6  # hours between the instants it is put back to
_ERRORS_MOST: Final = 60
_COLD_RATIO: Final = 4.0  # either way, while there is less than a day to learn from
_DOUBT: Final = (math.log(2.0),) * 2  # errors it always reckons with, both ways
_WIDEST: Final = math.log(1000.0)
_SOFT: Final = 0.02  # of the mean: keeps ratios of quiet hours finite


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """The account's spending at the window's end: what is expected, and the middle 80 %.

    `basis` says what it rests on: `history` (a day or more), `pace` (some hours; the interval is
    then a rule of thumb, a factor of four either way), `none` (less than three hours: nothing is
    claimed beyond what is spent, and `expected` and `high` are None), `over` (the window ended).
    """

    basis: Literal["history", "pace", "none", "over"]
    expected: Money | None
    low: Money
    high: Money | None
    coverage: float = COVERAGE


def forecast_end(spent: Money, hours: Sequence[int], hours_left: float) -> Forecast:
    """Forecast an account that has `spent` so far and whose window lasts `hours_left` more.

    `hours` is nanodollars in each hour counted back from now, the oldest first, from the first
    hour in which it spent anything; hours before the window began belong in it too.
    """
    if hours_left <= 0:
        return Forecast(basis="over", expected=spent, low=spent, high=spent)
    known = hours[-HISTORY_HOURS:]
    if len(known) < HOURS_LEAST or not any(known):
        return Forecast(basis="none", expected=None, low=spent, high=None)
    ahead = _ahead(known, hours_left)
    if len(known) < _DAY:
        low, high = -math.log(_COLD_RATIO), math.log(_COLD_RATIO)
    else:
        low, high = _errors(known, hours_left)
    soft = _SOFT * sum(known) / len(known) * hours_left
    return Forecast(
        basis="pace" if len(known) < _DAY else "history",
        expected=_plus(spent, ahead),
        low=_plus(spent, (ahead + soft) * math.exp(low) - soft),
        high=_plus(spent, (ahead + soft) * math.exp(high) - soft),
    )


def _plus(spent: Money, nanodollars: float) -> Money:
    return Money(spent.nanodollars + max(0, round(nanodollars)))


def _ahead(hours: Sequence[int], hours_left: float) -> float:
    """What the next `hours_left` are expected to cost, in nanodollars."""
    if len(hours) < _DAY:
        return sum(hours) / len(hours) * hours_left
    by_day = _repeated(hours[-_DAY:], hours_left)
    if hours_left <= _SHORT:
        return by_day
    week = hours[-_WEEK:]
    if len(week) == _WEEK:
        return (by_day + _repeated(week, hours_left)) / 2
    return (by_day + sum(week) / len(week) * hours_left) / 2


def _repeated(period: Sequence[int], hours_left: float) -> float:
    """The sum over the next hours if a period comes again and again."""
    times, rest = divmod(hours_left, len(period))
    whole = int(rest)
    part = sum(period[:whole]) + (rest - whole) * (period[whole] if rest > whole else 0)
    return times * sum(period) + part


def _errors(hours: Sequence[int], hours_left: float) -> tuple[float, float]:
    """The 10th and 90th percentile of the method's log ratio errors; one at most, one at least 0."""
    count = len(hours)
    longest = count // 2 if count < 4 * _DAY else count * 2 // 5
    tested = max(1, min(math.ceil(hours_left), longest))
    soft = _SOFT * sum(hours) / count * tested
    found: list[float] = []
    for origin in range(count - tested, _DAY - 1, -_STEP):
        expected = _ahead(hours[:origin], tested)
        came = sum(hours[origin : origin + tested])
        found.append(math.log((came + soft) / (expected + soft)))
        if len(found) == _ERRORS_MOST:
            break
    found += [*_DOUBT, *(-doubt for doubt in _DOUBT)]
    found.sort()
    wider = math.sqrt(max(1.0, hours_left / tested))
    tail = (1 - COVERAGE) / 2
    low, high = _quantile(found, tail) * wider, _quantile(found, 1 - tail) * wider
    return max(-_WIDEST, min(0.0, low)), min(_WIDEST, max(0.0, high))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the order statistics, with one more counted than there are: a new one may be worse."""
    place = min(max(share * (len(ordered) + 1) - 1, 0.0), len(ordered) - 1.0)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
