"""How an account fares: spent, reserved, burn rate, when the money is gone, the forecast.

Pure arithmetic over an account's `Standing` and its hours of spending; `farthing budget status`
prints it, alerts quote it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from farthing.budgets.forecast import Forecast, forecast_end
from farthing.budgets.standing import Standing
from farthing.money import ZERO, Money, round_half_even

__all__ = [
    "Status",
    "forecast_document",
    "instant_text",
    "percent_text",
    "share_tenths",
    "status_of",
]

_HOUR_US: Final = 3_600_000_000
_DAY: Final = 24
_FAR_US: Final = 10 * 365 * _DAY * _HOUR_US  # nobody plans further
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One account at one instant.

    `burn_hour` and `burn_day` are what was spent in the 60 minutes and the 24 hours before
    `at_us`, windows regardless. `exhausted_us` is when the limit is reached if the last day goes
    on as it was (the last hour, while there is less than a day of it); None: not within the
    window, or nothing is being spent. `share_tenths` is spent over limit, in tenths of a percent.
    """

    standing: Standing
    at_us: int
    free: Money
    share_tenths: int
    burn_hour: Money
    burn_day: Money
    exhausted_us: int | None
    forecast: Forecast

    def document(self) -> dict[str, Any]:
        """The status as `--json` prints it: money as decimal texts in USD, instants RFC 3339."""
        standing = self.standing
        ends = instant_text(standing.end_us) if standing.has_end else None
        return {
            "budget": standing.budget,
            "key": standing.key,
            "window": standing.window,
            "starts": instant_text(standing.start_us),
            "ends": ends,
            "mode": standing.mode,
            "at_limit": standing.at_limit,
            "limit_usd": str(standing.limit),
            "spent_usd": str(standing.spent),
            "reserved_usd": str(standing.reserved),
            "free_usd": str(self.free),
            "would_have_been_refused": {
                "calls": standing.passed_calls,
                "cost_usd": str(standing.passed),
            },
            "spent_share": self.share_tenths / 1000,
            "burn": {
                "last_hour_usd": str(self.burn_hour),
                "last_day_usd": str(self.burn_day),
            },
            "exhausted_at": None if self.exhausted_us is None else instant_text(self.exhausted_us),
            "forecast": forecast_document(self.forecast),
        }


def forecast_document(forecast: Forecast) -> dict[str, Any]:
    """A forecast as JSON has it; what is not known is null."""
    return {
        "basis": forecast.basis,
        "expected_usd": None if forecast.expected is None else str(forecast.expected),
        "low_usd": str(forecast.low),
        "high_usd": None if forecast.high is None else str(forecast.high),
        "coverage": forecast.coverage,
    }


def status_of(standing: Standing, hours: Sequence[int], now_us: int) -> Status:
    """The status of an account whose spending by hour is `hours` (see `forecast_end`)."""
    burn_hour = hours[-1] if hours else 0
    burn_day = sum(hours[-_DAY:])
    free = standing.limit - standing.spent - standing.reserved
    return Status(
        standing=standing,
        at_us=now_us,
        free=free,
        share_tenths=share_tenths(standing.spent, standing.limit),
        burn_hour=Money(burn_hour),
        burn_day=Money(burn_day),
        exhausted_us=_exhausted_us(standing, hours, now_us),
        forecast=(
            forecast_end(standing.spent, hours, (standing.end_us - now_us) / _HOUR_US)
            if standing.has_end
            else Forecast(basis="none", expected=None, low=standing.spent, high=None)
        ),
    )


def share_tenths(spent: Money, limit: Money) -> int:
    """Spent over limit in tenths of a percent; a limit of nothing is used up from the start."""
    if limit.nanodollars <= 0:
        return 1000
    return round_half_even(spent.nanodollars * 1000, limit.nanodollars)


def percent_text(tenths: int) -> str:
    """Tenths of a percent for people: `84.2 %`."""
    return f"{tenths // 10}.{tenths % 10} %"


def instant_text(at_us: int) -> str:
    """An instant as RFC 3339 in UTC, to the second."""
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _exhausted_us(standing: Standing, hours: Sequence[int], now_us: int) -> int | None:
    """Rolling windows: what falls out of the window is not counted on, so this is the earliest."""
    left = standing.limit - standing.spent
    if left <= ZERO:
        return now_us
    span = hours[-_DAY:] if len(hours) >= _DAY else hours[-1:]
    burnt = sum(span)
    if burnt <= 0:
        return None
    at_us = now_us + left.nanodollars * len(span) * _HOUR_US // burnt
    if standing.has_end:
        until_us = standing.end_us
    elif standing.is_rolling:
        until_us = now_us + standing.end_us - standing.start_us
    else:
        until_us = now_us + _FAR_US
    return at_us if at_us < until_us else None
