"""Calendars of public holidays, for prices that look at them.

A calendar is published a year at a time. What lies outside its years is not known: weekdays are
then taken for working days, which is the most a call can cost, and the card says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

import msgspec

__all__ = ["CALENDARS", "Calendar"]


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """The public holidays of a country in the years it covers, weekends included where named."""

    country: str
    years: frozenset[int]
    days: frozenset[date]
    source: str

    def knows(self, day: date) -> bool:
        """Whether the holidays of that day's year are known."""
        return day.year in self.years

    def __contains__(self, day: date) -> bool:
        return day in self.days


def _days(*spans: tuple[str, int]) -> frozenset[date]:
    """The days of spans of a first day and a length."""
    return frozenset(
        date.fromisoformat(first) + timedelta(days=offset)
        for first, length in spans
        for offset in range(length)
    )


CALENDARS: Mapping[str, Calendar] = MappingProxyType(
    {
        # The State Council publishes a year's days off in the November before it.
        "cn": Calendar(
            country="China",
            years=frozenset({2026}),
            days=_days(
                ("2026-01-01", 3),
                ("2026-02-15", 9),
                ("2026-04-04", 3),
                ("2026-05-01", 5),
                ("2026-06-19", 3),
                ("2026-09-25", 3),
                ("2026-10-01", 7),
            ),
            source=(
                "https://www.gov.cn/zhengce/content/202511/content_7047090.htm (2025-11-04), "
                "read at https://politics.gmw.cn/2025-11/04/content_38391083.htm"
            ),
        ),
    }
)
