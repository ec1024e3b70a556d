"""The time that a budget's amount is for: calendar spans in a time zone, or a rolling length.

Calendar: `hour`, `day`, `week` (ISO, from Monday), `month`, `quarter`, `year`, and `lifetime`,
which never ends. A day begins at the first midnight of its date on the zone's clocks, so that days
of 23 and 25 hours are right; spans of one window follow each other without gap or overlap.

Rolling: `90m`, `24h`, `7d`, `30d`. Time is cut into buckets of a 48th of the length. A bucket
counts until all of it is past, so what counts is never less than what was spent in the length
before now, and at most a 48th of the length more.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from farthing.errors import ConfigError

__all__ = ["CALENDAR", "FOREVER_US", "Span", "Window"]

CALENDAR: Final = ("hour", "day", "week", "month", "quarter", "year", "lifetime")
FOREVER_US: Final = 2**62  # later than any instant that comes up
_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 60 * _MINUTE_US
_DAY_US: Final = 24 * _HOUR_US
_BUCKETS: Final = 48
_ROLLING: Final = re.compile(r"([1-9]\d{0,4})([mhd])")
_UNITS_US: Final = MappingProxyType({"m": _MINUTE_US, "h": _HOUR_US, "d": _DAY_US})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = MappingProxyType({"month": 1, "quarter": 3, "year": 12})


class Span(msgspec.Struct, frozen=True):
    """One span of a window: from `start_us` up to, without, `end_us`.

    `rolling_us` is 0 for a calendar span; for a bucket, how long it counts after its end.
    """

    id: str
    start_us: int
    end_us: int
    rolling_us: int = 0

    @property
    def counts_until_us(self) -> int:
        """The first instant at which what was spent in the span counts no more."""
        return self.end_us + self.rolling_us


class Window(msgspec.Struct, frozen=True):
    """A budget's window; `rolling_us` is its length where it rolls, else 0."""

    text: str
    timezone: str = "UTC"
    rolling_us: int = 0

    @classmethod
    def parse(cls, text: str, timezone: str = "UTC") -> Window:
        """The window that a text says, on the clocks of an IANA time zone.

        Raises:
            ConfigError: there is no such window or zone. Nothing is guessed: a budget whose
                window is not understood must not run as another one.
        """
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(
                f"{timezone!r} is no time zone that this machine knows; write one like"
                " UTC or Europe/Zurich"
            ) from error
        if text in CALENDAR:
            return cls(text, timezone)
        found = _ROLLING.fullmatch(text)
        if found is None:
            raise ConfigError(
                f"{text!r} is no window; write one of {', '.join(CALENDAR)}, or a rolling length"
                " like 90m, 24h or 30d"
            )
        length_us = int(found[1]) * _UNITS_US[found[2]]
        return cls(text, timezone, length_us)

    def at(self, now_us: int) -> Span:
        """The span that an instant lies in."""
        if self.rolling_us:
            return self._bucket(now_us)
        if self.text == "lifetime":
            return Span("lifetime", 0, FOREVER_US)
        if self.text == "hour":
            return self._hour(now_us)
        return _calendar(self.text, self.timezone, now_us)

    def _bucket(self, now_us: int) -> Span:
        step_us = self.rolling_us // _BUCKETS
        start_us = now_us - now_us % step_us
        began = _EPOCH + timedelta(microseconds=start_us)
        name = f"{self.text} {began:%Y-%m-%dT%H:%M:%S}Z"
        return Span(name, start_us, start_us + step_us, self.rolling_us)

    def _hour(self, now_us: int) -> Span:
        """Hours follow the zone's usual minutes past the UTC hour, and each has 60 minutes."""
        shift_us = _minutes_past_us(self.timezone)
        start_us = now_us - (now_us - shift_us) % _HOUR_US
        began = _EPOCH + timedelta(microseconds=start_us)
        return Span(f"hour {began:%Y-%m-%dT%H:%M}Z", start_us, start_us + _HOUR_US)


@lru_cache(maxsize=256)
def _minutes_past_us(timezone: str) -> int:
    offset = datetime(2026, 1, 1, tzinfo=ZoneInfo(timezone)).utcoffset() or timedelta()
    return -(offset // timedelta(microseconds=1)) % _HOUR_US


def _calendar(unit: str, timezone: str, now_us: int) -> Span:
    zone = ZoneInfo(timezone)
    today = (_EPOCH + timedelta(microseconds=now_us)).astimezone(zone).date()
    first = _floor(unit, today)
    # Where clocks jump over midnight, a date can begin on the clock before its span does.
    if _start_us(first, zone) > now_us:
        first = _floor(unit, first - timedelta(days=1))
    following = _next(unit, first)
    if _start_us(following, zone) <= now_us:
        first, following = following, _next(unit, following)
    return Span(_name(unit, first), _start_us(first, zone), _start_us(following, zone))


def _start_us(day: date, zone: tzinfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (midnight.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _floor(unit: str, day: date) -> date:
    if unit == "day":
        return day
    if unit == "week":
        return day - timedelta(days=day.weekday())
    step = _MONTHS[unit]
    return date(day.year, (day.month - 1) // step * step + 1, 1)


def _next(unit: str, first: date) -> date:
    if unit == "day":
        return first + timedelta(days=1)
    if unit == "week":
        return first + timedelta(days=7)
    months = first.year * 12 + first.month - 1 + _MONTHS[unit]
    return date(months // 12, months % 12 + 1, 1)


def _name(unit: str, first: date) -> str:
    if unit == "day":
        return f"day {first.isoformat()}"
    if unit == "week":
        year, week, _ = first.isocalendar()
        return f"week {year}-W{week:02d}"
    if unit == "month":
        return f"month {first:%Y-%m}"
    if unit == "quarter":
        return f"quarter {first.year}-Q{(first.month + 2) // 3}"
    return f"year {first.year}"
